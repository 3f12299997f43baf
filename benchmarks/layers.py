"""What alexnet's normalization and its groups cost, layer by layer and in the whole network.

    python -m benchmarks.layers --output_json=layers.json

Three parts, each with rounds in turns. `norms`: an LRN row beside one pass over its maps, a multiplication by a
constant. `groups`: a grouped convolution beside the ungrouped one of as many maps, which reads twice as many for each
kernel. `networks`: alexnet with its LRN rows beside alexnet without. Shapes are read from the network's table.
"""
import contextlib
import dataclasses
import functools
import gc
import statistics

import tensorflow as tf
import tf_keras
from absl import flags, logging

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import preprocessing
from benchmarks import inputs, timing
from benchmarks.inputs import CLASSES, SIZE
from benchmarks.networks import POLICIES, TABLES
from benchmarks.ours import step_and_state
from nets import alexnet, normalization, ops, rows

FLAGS = flags.FLAGS
ROWS = (
    Flag('parts', list, ['norms', 'groups', 'networks'], 'What to measure.'),
    Flag('dtypes', list, ['float32', 'bfloat16'], 'Arithmetic.'),
    Flag('batch_size', int, 128, 'Images at once.', low=1),
    Flag('repetitions', int, 7, 'Rounds after the warm-up.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)


def layers_with_inputs():
    """[(row, shape of its input for one image)] of alexnet's table."""
    walked = list(rows.walk(rows.resolve(alexnet.ALEXNET, CLASSES), SIZE, SIZE))
    return [(step.row, before.shape) for before, step in zip(walked, walked[1:])]


def random_maps(shape, dtype, seed):
    """Values as after a ReLU: half of them 0."""
    return tf.cast(tf.nn.relu(tf.random.stateless_normal(shape, [seed, 0])), dtype)


def forward(layer, *, compiled=False):
    """A tf.function of what layer(*tensors) gives."""
    @tf.function(autograph=False)
    def run(*tensors):
        with normalization.compiled() if compiled else contextlib.nullcontext():
            return layer(*tensors)
    return run


def forward_and_backward(layer, *, compiled=False):
    """A tf.function of (upstream, *tensors): what layer(*tensors) gives, and the gradients of the tensors."""
    @tf.function(autograph=False)
    def run(upstream, *tensors):
        with tf.GradientTape() as tape, normalization.compiled() if compiled else contextlib.nullcontext():
            tape.watch(tensors)
            net = layer(*tensors)
        return net, tape.gradient(net, tensors, upstream)
    return run


def norm_rows(row, shape, dtype):
    """Rows of one LRN row; the reference is one pass over its maps."""
    maps, upstream = (random_maps([FLAGS.batch_size, *shape], dtype, seed) for seed in (1, 2))

    def layer(x):
        return ops.apply(row, x)
    return in_turns(f'{row.name}, {"x".join(map(str, shape))}', dtype, {
        'one pass over the maps': functools.partial(forward(lambda x: x * tf.cast(1.1, dtype)), maps),
        'forward, as exported and in Keras': functools.partial(forward(layer), maps),
        'forward, compiled (evaluation)': functools.partial(forward(layer, compiled=True), maps),
        'forward and backward (training)': functools.partial(
            forward_and_backward(layer, compiled=True), upstream, maps)})


def group_rows(row, shape, dtype):
    """Rows of one grouped convolution with its ReLU, forward, then forward and backward."""
    maps = random_maps([FLAGS.batch_size, *shape], dtype, 1)
    upstream = random_maps([FLAGS.batch_size, rows.window(row, shape[0]), rows.window(row, shape[1]), row.filters],
                           dtype, 2)
    runs = {}
    for what, layer_row in (('whole', dataclasses.replace(row, groups=1)), (f'{row.groups} groups', row)):
        weights = 0.01 * tf.random.stateless_normal(
            [row.kernel, row.kernel, shape[2] // layer_row.groups, row.filters], [3, 0])
        biases = tf.zeros([row.filters])

        def layer(x, weights, biases, layer_row=layer_row):
            return ops.apply(layer_row, x, (weights, biases), activation=tf.nn.relu)
        # Weights are arguments, as variables are: a constant would be packed for oneDNN once and for all.
        served = tf.cast(weights, dtype), tf.cast(biases, dtype)
        runs[what, 'forward'] = functools.partial(forward(layer), maps, *served)
        runs[what, 'forward and backward'] = functools.partial(
            forward_and_backward(layer), upstream, maps, weights, biases)
    return [found for kind in ('forward', 'forward and backward') for found in in_turns(
        f'{row.name}, {"x".join(map(str, shape))}, {kind}', dtype,
        {what: run for (what, its), run in runs.items() if its == kind})]


def network_rows(dtype):
    """Rows of alexnet with and without LRN: a training step, the model as exported, the model as it is evaluated."""
    images, labels = inputs.random_batch(FLAGS.batch_size)
    names = {'alexnet without LRN': 'without LRN', 'alexnet': 'with LRN'}
    training = {what: step_and_state(network, images, labels, dtype)[0] for network, what in names.items()}
    result = in_turns('alexnet, training step', dtype, training)
    forget(training)
    inference, given = {}, tf.constant(images)
    for network, what in names.items():
        model = alexnet.from_table(TABLES[network], CLASSES, dtype=dtype)  # weights as loading.load keeps them

        def logits(images, model=model):
            return model(preprocessing.subtract_mean(images, inputs.MEAN), training=False)
        inference[what] = functools.partial(forward(logits), given)
        if network == 'alexnet':
            inference[f'{what}, compiled (evaluation)'] = functools.partial(
                forward(logits, compiled=True), given)
    result += in_turns('alexnet, inference', dtype, inference)
    forget(inference)
    return result


def forget(runs):
    """Frees the memory of the functions and their models."""
    runs.clear()
    tf_keras.backend.clear_session()
    gc.collect()


def in_turns(name, dtype, runs):
    """Rows of {what: function} in ms; ratio: the median over the rounds of the time by that of the first."""
    seconds = timing.alternate(runs, repetitions=FLAGS.repetitions, warmup=2)
    first = next(iter(seconds.values()))
    found = [timing.row(name, what, dtype, FLAGS.batch_size, 'ms', [1e3 * value for value in values],
                        statistics.median(value / reference for value, reference in zip(values, first)))
             for what, values in seconds.items()]
    print(timing.markdown(found, COLUMNS), flush=True)
    return found


COLUMNS = {'ratio': 'times the first'}


def main():
    logging.set_verbosity(logging.WARNING)
    tf.get_logger().setLevel('WARNING')
    layers, results = layers_with_inputs(), []
    for dtype in FLAGS.dtypes:
        if POLICIES.get(dtype) is None:
            raise ValueError(f'--dtypes={dtype}; it must be of {", ".join(POLICIES)}.')
        for row, shape in layers:
            if isinstance(row, rows.LRN) and 'norms' in FLAGS.parts:
                results += norm_rows(row, shape, dtype)
            if isinstance(row, rows.Conv) and row.groups > 1 and 'groups' in FLAGS.parts:
                results += group_rows(row, shape, dtype)
        if 'networks' in FLAGS.parts:
            results += network_rows(dtype)
    timing.report(results, FLAGS.output_json, COLUMNS)


if __name__ == '__main__':
    command.run('benchmarks.layers', main, ROWS)
