"""Training steps: this project's beside tf_slim, PyTorch and stock tf_keras layers with fit.

    python -m benchmarks.train_step --output_json=train_step.json

Images of random bytes in memory; mean, dropout, loss, gradients, weight decay and momentum are inside every step.
"""
import gc
import subprocess
import sys

import numpy as np
import tensorflow as tf
import tf_keras
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data.color_noise import color_noise
from alexnet_tf.training import optimizers, run
from alexnet_tf.training.step import make_train_step
from benchmarks import peers, timing
from nets import alexnet, rows

FLAGS = flags.FLAGS
ROWS = (
    Flag('networks', list, ['alexnet_v2', 'alexnet'], 'Networks.'),
    Flag('dtypes', list, ['float32', 'bfloat16'], 'Arithmetic.'),
    Flag('batches', list, ['32', '128', '256'], 'Images per step.'),
    Flag('peers', list, ['alexnet_tf', peers.SLIM, 'pytorch', 'tf_keras fit'], 'Whom to time.'),
    Flag('repetitions', int, 5, 'Steps of each peer after the warm-up.', low=1),
    Flag('compare_networks', bool, True, 'Also the networks beside each other, and alexnet without LRN.'),
    Flag('memory', bool, True, 'Also peak memory, a process a peer.'),
    Flag('memory_of', str, None, 'Used by the benchmark itself.'),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)
CLASSES, SIZE = 1000, 224
TABLES = {'alexnet': alexnet.ALEXNET, 'alexnet_v2': alexnet.ALEXNET_V2,
          'alexnet without LRN': tuple(row for row in alexnet.ALEXNET if not isinstance(row, rows.LRN))}
POLICIES = {'float32': 'float32', 'bfloat16': 'mixed_bfloat16'}


def ours(network, images, labels, dtype):
    """A function of one of the project's own training steps."""
    return make_ours(network, images, labels, dtype)[0]


def make_ours(network, images, labels, dtype):
    """(function of one training step, its State)."""
    model = alexnet.from_table(TABLES[network], CLASSES, dtype=POLICIES[dtype])
    state = run.begin(model, optimizer=optimizers.make('momentum'))
    step = make_train_step(state, batch_size=len(images), mean=peers.MEAN,
                                    seed=0, noise=color_noise())
    state.optimizer.learning_rate.assign(1e-4)
    images, labels = tf.constant(images), tf.constant(labels)
    numbers = iter(range(10 ** 9))
    return lambda: float(step(images, labels, tf.constant(next(numbers), tf.int64))), state


def make_peer(peer, network, images, labels, dtype):
    """A function of one step of a peer; None where it has no such network or arithmetic."""
    if peer == 'alexnet_tf':
        return ours(network, images, labels, dtype)
    if peer == 'pytorch':
        return peers.torch_train(network, images, labels, CLASSES, dtype == 'bfloat16')
    if network != 'alexnet_v2':
        return None
    if peer == peers.SLIM:
        return peers.slim(images, labels, CLASSES, training=True)
    return peers.keras_fit(images, labels, CLASSES, POLICIES[dtype])


def measure(network, dtype, batch):
    """Rows of one table: all peers on the same batch."""
    images, labels = timing.random_batch(batch, SIZE, CLASSES)
    runs = {}
    for peer in FLAGS.peers:
        try:
            step = make_peer(peer, network, images, labels, dtype)
        except ImportError as error:
            print(f'{peer} is left out: {error}')
            continue
        if step:
            runs[peer] = step
    product, product_flops = timing.matmul(dtype)
    seconds = timing.alternate({**runs, 'product': product}, repetitions=FLAGS.repetitions)
    ceiling = product_flops / np.median(seconds.pop('product')) / timing.flops(TABLES[network], CLASSES, SIZE, True)
    results = timing.rates(f'train {network}', dtype, batch, seconds, images=batch, ceiling=ceiling)
    forget(runs)
    print(timing.markdown(results), flush=True)
    return results


def compare_networks(dtype, batch):
    """Rows of the project's own networks beside each other: what LRN costs, speed per FLOP."""
    images, labels = timing.random_batch(batch, SIZE, CLASSES)
    runs = {network: ours(network, images, labels, dtype) for network in TABLES}
    product, product_flops = timing.matmul(dtype)
    seconds = timing.alternate({**runs, 'product': product}, repetitions=FLAGS.repetitions)
    per_second = product_flops / np.median(seconds.pop('product'))
    results = timing.rates('train', dtype, batch, seconds, images=batch, ours='alexnet', ceiling={
        network: per_second / timing.flops(table, CLASSES, SIZE, True) for network, table in TABLES.items()})
    forget(runs)
    print(timing.markdown(results), flush=True)
    return results


def forget(runs):
    """Frees the memory of the functions and their models."""
    runs.clear()
    tf_keras.backend.clear_session()
    gc.collect()


def peak_memory(network, dtype, batch):
    """Rows of the peak memory of a process that makes three steps."""
    result = []
    for peer in FLAGS.peers:
        done = subprocess.run(
            [sys.executable, '-m', 'benchmarks.train_step', f'--memory_of={peer}', f'--networks={network}',
             f'--dtypes={dtype}', f'--batches={batch}'], capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith('peak ')]
        if lines:
            gigabytes = float(lines[0].split()[1])
            result.append(timing.row(f'peak memory, {network}', peer, dtype, batch, 'GB', [gigabytes]))
    return result


def report_own_peak(peer):
    """In a process of its own: three steps, then its peak memory."""
    network, dtype, batch = FLAGS.networks[0], FLAGS.dtypes[0], int(FLAGS.batches[0])
    step = make_peer(peer, network, *timing.random_batch(batch, SIZE, CLASSES), dtype)
    if step:
        for _ in range(3):
            step()
        print(f'peak {timing.peak_bytes() / 1e9:.3f} GB')


def main():
    if FLAGS.memory_of:
        report_own_peak(FLAGS.memory_of)
        return
    results = []
    for network in FLAGS.networks:
        for dtype in FLAGS.dtypes:
            for batch in FLAGS.batches:
                results += measure(network, dtype, int(batch))
    if FLAGS.compare_networks:
        for dtype in FLAGS.dtypes:
            results += compare_networks(dtype, 128)
    if FLAGS.memory:
        results += peak_memory('alexnet_v2', 'float32', 128)
    timing.report(results, FLAGS.output_json)


if __name__ == '__main__':
    command.run('benchmarks.train_step', main, ROWS)
