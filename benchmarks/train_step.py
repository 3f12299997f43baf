"""Training steps: this project's beside tf_slim, PyTorch (eager and compiled) and stock tf_keras layers with fit.

    python -m benchmarks.train_step --output_json=train_step.json

Images of random bytes in memory; mean, dropout, loss, gradients, weight decay and momentum are inside every step. Each
peer has a process of its own; they take turns. A peer that cannot be had, or dies, says so in its row.
"""
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from benchmarks import timing, turns, yardsticks

FLAGS = flags.FLAGS
OURS, SLIM, FIT = 'alexnet_tf', 'tf_slim (float32)', 'tf_keras fit'  # slim knows no other arithmetic
EAGER, COMPILED = 'pytorch eager', 'pytorch compiled'
ROWS = (
    Flag('networks', list, ['alexnet_v2', 'alexnet'], 'Networks.'),
    Flag('dtypes', list, ['float32', 'bfloat16'], 'Arithmetic.'),
    Flag('batches', list, ['32', '128'], 'Images per step. All peers hold their memory at the same time.'),
    Flag('peers', list, [OURS, SLIM, FIT, EAGER, COMPILED], 'Whom to time.'),
    Flag('repetitions', int, 5, 'Steps of each peer after the warm-up.', low=1),
    Flag('compare_networks', bool, True, 'Also the networks beside each other, and alexnet without LRN.'),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)
COLUMNS = {**timing.COLUMNS, 'memory': 'peak GB'}


def makers(network, dtype, batch):
    """{peer: what turns.measure takes} of the peers that have such a network."""
    from benchmarks import networks
    torch = {'layers': networks.layers(network), 'dtype': dtype, 'batch': batch}
    found = {OURS: ('benchmarks.ours.training_step', {'network': network, 'dtype': dtype, 'batch': batch}),
             EAGER: ('benchmarks.torch_peers.training_step', {**torch, 'compiled': False}),
             COMPILED: ('benchmarks.torch_peers.training_step', {**torch, 'compiled': True})}
    if network == 'alexnet_v2':
        found[SLIM] = ('benchmarks.tensorflow_peers.slim', {'batch': batch, 'training': True})
        found[FIT] = ('benchmarks.tensorflow_peers.keras_fit', {'policy': networks.POLICIES[dtype], 'batch': batch})
    return {peer: found[peer] for peer in FLAGS.peers if peer in found}


def measure(name, runs, dtype, batch, *, ours, flops):
    """Rows of one table: {peer: what turns.measure takes}, and the matrix product. flops: {peer: FLOPs an image}."""
    product = {yardsticks.PRODUCT: ('benchmarks.yardsticks.product', {'dtype': dtype})}
    outcomes = turns.measure({**runs, **product}, repetitions=FLAGS.repetitions)
    product = timing.product_row(outcomes.pop(yardsticks.PRODUCT), dtype, yardsticks.PRODUCT_SIZE)
    ceiling = {peer: 1e9 * product.median / flops[peer] for peer in runs} if product.median else None
    results = [*timing.rates(name, dtype, batch, outcomes, ours=ours, ceiling=ceiling), product]
    print(timing.markdown(results, COLUMNS), flush=True)
    return results


def main():
    from benchmarks import networks
    unknown = set(FLAGS.peers) - {OURS, SLIM, FIT, EAGER, COMPILED}
    if unknown:
        raise ValueError(f'--peers has {", ".join(sorted(unknown))}; known are {OURS}, {SLIM}, {FIT}, {EAGER}, '
                         f'{COMPILED}.')
    results = []
    for network in FLAGS.networks:
        for dtype in FLAGS.dtypes:
            for batch in map(int, FLAGS.batches):
                runs = makers(network, dtype, batch)
                results += measure(f'train {network}', runs, dtype, batch, ours=OURS,
                                   flops=dict.fromkeys(runs, networks.flops(network, training=True)))
    for dtype in FLAGS.dtypes if FLAGS.compare_networks else ():
        runs = {network: ('benchmarks.ours.training_step', {'network': network, 'dtype': dtype, 'batch': 128})
                for network in networks.TABLES}
        results += measure('train', runs, dtype, 128, ours='alexnet', flops={
            network: networks.flops(network, training=True) for network in runs})
    timing.report(results, FLAGS.output_json, COLUMNS)


if __name__ == '__main__':
    command.run('benchmarks.train_step', main, ROWS)
