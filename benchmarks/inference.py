"""Inference: this project's Keras model and exported SavedModel beside tf_slim and PyTorch.

    python -m benchmarks.inference --output_json=loading.json

Throughput by batch, and at batch 1 the latency's median and 99th percentile.
"""
import tempfile

import numpy as np
import tensorflow as tf
from absl import flags, logging

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import preprocessing
from alexnet_tf.model import building, loading, specs
from alexnet_tf.serving import saved_model
from benchmarks import peers, timing
from benchmarks.train_step import CLASSES, SIZE, TABLES, forget

FLAGS = flags.FLAGS
ROWS = (
    Flag('networks', list, ['alexnet_v2', 'alexnet'], 'Networks.'),
    Flag('dtypes', list, ['float32', 'bfloat16'], 'Arithmetic.'),
    Flag('batches', list, ['1', '8', '128'], 'Images at once.'),
    Flag('repetitions', int, 7, 'Of each peer after the warm-up; 200 at batch 1.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)


def ours(network, images, dtype):
    """Functions of the logits: of the Keras model in a tf.function, and of the exported SavedModel."""
    spec = specs.Spec(network, SIZE, tuple(map(str, range(CLASSES))), tuple(map(float, peers.MEAN)))
    model = building.build(spec, dtype=dtype)  # as loading.load does
    inputs = tf.constant(images)

    @tf.function
    def logits(images):
        return tf.cast(model(preprocessing.subtract_mean(images, peers.MEAN), training=False), tf.float32)
    runs = {'alexnet_tf': lambda: logits(inputs).numpy()}
    with tempfile.TemporaryDirectory() as folder:
        saved_model.export(loading.Loaded(model, spec, peers.MEAN, '', 0), folder)
        served = tf.saved_model.load(folder)
    floats = tf.cast(images, tf.float32)
    signature = served.signatures['serving_default']
    runs['alexnet_tf SavedModel'] = lambda served=served: signature(images=floats)['logits'].numpy()
    return runs


def measure(network, dtype, batch):
    """Rows of one table."""
    images, labels = timing.random_batch(batch, SIZE, CLASSES)
    runs = ours(network, images, dtype)
    if network == 'alexnet_v2':
        try:
            runs[peers.SLIM] = peers.slim(images, labels, CLASSES, training=False)
        except ImportError as error:
            print(f'tf_slim is left out: {error}')
    try:
        runs['pytorch'] = peers.torch_inference(network, images, CLASSES, dtype == 'bfloat16')
    except ImportError as error:
        print(f'pytorch is left out: {error}')
    product, product_flops = timing.matmul(dtype)
    repetitions = 200 if batch == 1 else FLAGS.repetitions
    ceiling = product_flops / np.median(timing.alternate({'product': product})['product'])
    ceiling /= timing.flops(TABLES[network], CLASSES, SIZE, training=False)
    seconds = timing.alternate(runs, repetitions=repetitions, warmup=20 if batch == 1 else 2)
    name = f'infer {network}'
    rows = timing.rates(name, dtype, batch, seconds, images=batch, ceiling=ceiling)
    if batch == 1:
        rows += [timing.Row(f'{name}, latency p50 and p99', peer, dtype, 1, 'ms', 1e3 * float(np.median(values)),
                            1e3 * float(np.median(values)), 1e3 * float(np.percentile(values, 99)),
                            None if peer == 'alexnet_tf' else
                            float(np.median(seconds['alexnet_tf']) / np.median(values)))
                 for peer, values in seconds.items()]
    forget(runs)
    print(timing.markdown(rows))
    return rows


def main():
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel('WARNING')
    results = []
    for network in FLAGS.networks:
        for dtype in FLAGS.dtypes:
            for batch in FLAGS.batches:
                results += measure(network, dtype, int(batch))
    timing.report(results, FLAGS.output_json)


if __name__ == '__main__':
    command.run('benchmarks.inference', main, ROWS)
