"""The networks' arithmetic against a plain NumPy forward pass, published counts and hand-made numbers."""
import ast
import math
import pathlib
import runpy
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nets import alexnet, keras_layers, ops, rows
from tests.helpers.networks import convolutions
from tests.helpers.numpy_alexnet import np_conv

ROOT = pathlib.Path(__file__).resolve().parents[2]


# Counts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('make, parameters, millions, first, sizes', [
    # Published: alexnet-2012.md, "Arithmetic". The sizes: paper and Caffe; slim's contract.
    (alexnet.AlexNet, 60_965_224, 724, 96,
     {'conv1': 55, 'norm1': 55, 'pool1': 27, 'conv2': 27, 'pool2': 13, 'conv3': 13, 'conv4': 13, 'conv5': 13,
      'pool5': 6, 'fc6': 1, 'fc7': 1}),
    (alexnet.AlexNetV2, 50_303_912, 737, 64,
     {'conv1': 54, 'pool1': 26, 'conv2': 26, 'pool2': 12, 'conv3': 12, 'conv4': 12, 'conv5': 12,
      'pool5': 5, 'fc6': 1}),
])
def test_parameters_multiply_adds_and_sizes(make, parameters, millions, first, sizes):
    with tf.Graph().as_default():  # where no session runs, nobody draws 60 million initial values
        model = make()
    assert model.count_params() == parameters
    assert model.output_shape == (None, 1000)
    assert model.get_layer('conv1').output.shape[3] == first
    for name, size in sizes.items():
        assert model.get_layer(name).output.shape[1:3] == [size, size], name
    # Each weight is used once at each place of the output map.
    multiply_adds = {name: math.prod(layer.kernel.shape) * sizes.get(name, 1) ** 2
                     for name, layer in convolutions(model).items()}
    assert round(sum(multiply_adds.values()) / 1e6) == millions
    table = {alexnet.AlexNet: alexnet.ALEXNET, alexnet.AlexNetV2: alexnet.ALEXNET_V2}[make]
    walked = {step.row.name: step for step in rows.walk(rows.resolve(table, 1000), 224, 224)}
    assert sum(step.parameters for step in walked.values()) == parameters
    for name, count in multiply_adds.items():
        assert walked[name].multiply_adds == count
        assert walked[name].parameters == model.get_layer(name).count_params()
    for name, size in sizes.items():
        assert walked[name].shape[:2] == (size, size)


@pytest.mark.filterwarnings('ignore:.*nets.alexnet.* found in sys.modules:RuntimeWarning')
def test_printed_tables(capsys):
    runpy.run_module('nets.alexnet', run_name='__main__')
    lines = capsys.readouterr().out.splitlines()
    totals = [line.split()[1:] for line in lines if line.startswith('total')]
    assert [parameters for parameters, _ in totals] == 3 * ['60,965,224'] + ['50,303,912']
    assert [round(int(multiply_adds.replace(',', '')) / 1e6) for _, multiply_adds in totals] == [724, 724, 724, 737]
    words = [line.split() for line in lines]
    assert ['conv1', '55x55x96', '34,944', '105,415,200', 'paper', '3.5;', 'padding:', 'program'] in words
    assert ['pool5', '5x5x256', '0', '0', 'slim'] in words
    assert 'source on two devices' in lines[-2] and 'conv3 86,528, fc6 18,432, fc7 8,192, fc8 8,192' in lines[-2]


def test_nets_needs_tensorflow_and_tf_keras_alone():
    imported = set()
    for path in (ROOT / 'nets').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add('nets' if node.level else node.module.split('.')[0])
    assert imported - sys.stdlib_module_names == {'nets', 'tensorflow', 'tf_keras'}


# Convolution ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('height, width, padding', [(6, 6, 'VALID'), (2, 3, 'VALID'), (1, 1, 'SAME'), (1, 1, 'VALID')])
def test_matrix_product_and_convolution_agree(height, width, padding):
    random = np.random.default_rng(6)
    x = tf.constant(random.normal(size=[3, height, width, 8]), tf.float32)
    weights = tf.constant(random.normal(size=[height, width, 8, 5]), tf.float32)

    def value_gradients_and_ops(static_shape):
        @tf.function(input_signature=[tf.TensorSpec(static_shape, tf.float32),
                                      tf.TensorSpec(weights.shape, tf.float32)])
        def run(x, weights):
            y = ops.convolution(x, weights, tf.zeros([5]), stride=1, padding=padding)
            return y, tf.gradients(tf.reduce_sum(y * tf.reshape(tf.range(15.0), [3, 1, 1, 5])), [x, weights])
        operations = {op.type for op in run.get_concrete_function().graph.get_operations()}
        return run(x, weights), operations

    (product, product_gradients), product_ops = value_gradients_and_ops([None, height, width, 8])
    (convolved, convolved_gradients), convolution_ops = value_gradients_and_ops([None, None, None, 8])
    assert 'Conv2D' not in product_ops
    assert 'Conv2D' in convolution_ops
    assert product.shape == convolved.shape == (3, 1, 1, 5)
    np.testing.assert_allclose(product, convolved, rtol=1e-5, atol=1e-4)
    for one, other in zip(product_gradients, convolved_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('kernel, groups, padding', [(3, 1, 'SAME'), (3, 2, 'VALID'), (1, 2, 'SAME')])
def test_no_matrix_product_where_the_kernel_does_not_cover_the_map(kernel, groups, padding):
    """A SAME kernel as large as the map has other places too, and groups see a part of the maps alone."""
    random = np.random.default_rng(7)
    x = random.normal(size=[2, kernel, kernel, 4])
    weights = random.normal(size=[kernel, kernel, 4 // groups, 6])
    biases = random.normal(size=[6])
    got = ops.convolution(tf.constant(x, tf.float32), tf.constant(weights, tf.float32), biases, stride=1,
                          padding=padding)
    margin = kernel // 2 if padding == 'SAME' else 0
    expected = np_conv(x, weights, biases, before=margin, after=margin, towers=groups)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


# Sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('table, minimum', [(alexnet.ALEXNET, 224), (alexnet.ALEXNET_CAFFE, 227),
                                            (alexnet.ALEXNET_V2, 195)])
def test_sizes_below_the_minimum_are_refused(table, minimum):
    # 195: 5 maps before fc6 need 11 before pool5, 23 before pool2, 47 before pool1, 46 * 4 + 11 pixels;
    # 224: 6 need 13, 27, 55, 54 * 4 + 11 = 227 less the 3 of padding.
    resolved = rows.resolve(table, 7)
    assert rows.minimum_size(resolved) == minimum
    *_, last = rows.walk(resolved, minimum, minimum)
    assert last.shape == (1, 1, 7)
    for size in (*range(1, minimum - 1, 10), minimum - 1):
        for shape in ((size, size), (minimum, size), (size, None)):
            with pytest.raises(ValueError, match=f'too small for .*at least {minimum}x{minimum} pixels'):
                list(rows.walk(resolved, *shape))


# Dropout draws ----------------------------------------------------------------------------------------


def draw(x, keep_prob=0.5, layers=1, **arguments):
    """The outputs of that many dropout layers in one pass."""
    arguments.setdefault('seed', tf.constant([1, 2]))
    with ops.dropout_draws(**arguments):
        return [ops.dropout(x, keep_prob, training=True, number=number + 1).numpy() for number in range(layers)]


ONES = tf.ones([8, 50, 20])


def test_draws_repeat_with_the_seed_and_differ_between_layers():
    first, second = draw(ONES, layers=2)
    assert not np.array_equal(first, second)
    again = draw(ONES, layers=2)
    np.testing.assert_array_equal([first, second], again)
    other, = draw(ONES, seed=tf.constant([1, 3]))
    assert not np.array_equal(first, other)
    assert np.mean(first == other) == pytest.approx(0.5, abs=0.05)  # independent, not merely different
    assert np.mean(first == second) == pytest.approx(0.5, abs=0.05)
    assert not np.array_equal(first[0], first[1])  # nor do two examples share a mask


def test_parts_of_a_batch_draw_as_the_whole():
    whole = draw(ONES, layers=2)
    lower = draw(ONES[:3], layers=2, first_row=0, rows=8)
    upper = draw(ONES[3:], layers=2, first_row=tf.constant(3), rows=tf.constant(8))
    np.testing.assert_array_equal(np.concatenate([lower, upper], 1), whole)


@pytest.mark.parametrize('keep_prob', [0.25, 0.8])
@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16])
def test_kept_share_and_scale(keep_prob, dtype):
    y, = draw(tf.cast(ONES, dtype), keep_prob)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.unique(y.astype(np.float32)), [0, 1 / keep_prob], rtol=0.005)
    assert np.mean(y > 0) == pytest.approx(keep_prob, abs=0.02)


def test_nothing_is_drawn_where_all_is_kept():
    with tf.Graph().as_default() as graph, ops.dropout_draws(tf.constant([1, 2])):
        ops.dropout(tf.ones([8, 20]), 1.0, training=True)
    assert not [operation.type for operation in graph.get_operations() if 'Random' in operation.type]


def test_random_outside_of_draws():
    draw(ONES)
    first, second = (ops.dropout(ONES, 0.25, training=True).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(np.unique(first), [0, 4])
    assert np.mean(first > 0) == pytest.approx(0.25, abs=0.03)


def test_a_models_dropout_follows_the_draws():
    inputs = tf_keras.Input([50, 20])
    model = tf_keras.Model(inputs, keras_layers.Dropout(0.5, number=2)(keras_layers.Dropout(0.5)(inputs)))
    with ops.dropout_draws(tf.constant([1, 2])):
        got = model(ONES, training=True)
    first, second = draw(ONES, layers=2)
    np.testing.assert_array_equal(got, first * second)
    np.testing.assert_array_equal(model(ONES, training=False), ONES)


def test_without_rescaling_in_training_all_is_multiplied_at_test():
    with ops.dropout_draws(tf.constant([1, 2])):
        rescaled, kept = (ops.dropout(3 * ONES, 0.25, training=True, rescale=rescale) for rescale in (True, False))
    np.testing.assert_array_equal(rescaled, 4 * kept)  # the same are dropped
    np.testing.assert_allclose(np.unique(kept), [0, 3])
    np.testing.assert_allclose(ops.dropout(3 * ONES, 0.25, training=False, rescale=False), 0.75 * ONES)
    np.testing.assert_allclose(np.unique(ops.dropout(3 * ONES, 0.25, training=True, rescale=False)), [0, 3])


def test_parts_of_the_channels_draw_as_the_whole():
    whole, = draw(ONES)
    with ops.dropout_draws(tf.constant([1, 2])):
        halves = [ops.dropout(half, 0.5, training=True, part=(number, 2))
                  for number, half in enumerate(tf.split(ONES, 2, -1))]
    np.testing.assert_array_equal(tf.concat(halves, -1), whole)


@pytest.mark.parametrize('options', [{'number': 2}, {'rescale': False}, {'part': (1, 2)}], ids=str)
def test_training_may_be_a_tensor(options):
    with ops.dropout_draws(tf.constant([1, 2])):
        for training in (True, False):
            expected = ops.dropout(ONES, 0.5, training=training, **options)
            np.testing.assert_array_equal(ops.dropout(ONES, 0.5, training=tf.constant(training), **options), expected)


# Rows -------------------------------------------------------------------------------------------------


def test_a_row_of_dropout_drops_in_training_alone():
    row = rows.Dropout('dropout6', keep_prob=0.5, number=2)
    np.testing.assert_array_equal(ops.apply(row, ONES), ONES)
    with ops.dropout_draws(tf.constant([1, 2])):
        np.testing.assert_array_equal(ops.apply(row, ONES, training=True), draw(ONES, layers=2)[1])
        halves = [ops.apply(row, half, training=True, part=(number, 2))
                  for number, half in enumerate(tf.split(ONES, 2, -1))]
        np.testing.assert_array_equal(tf.concat(halves, -1), draw(ONES, layers=2)[1])


@pytest.mark.parametrize('kind, function', [('relu', lambda x: np.maximum(x, 0)), ('tanh', np.tanh)])
def test_a_row_of_an_activation(kind, function):
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    np.testing.assert_allclose(ops.apply(rows.Activation('a', kind), x), function(x), rtol=1e-6)


def test_operations_are_named_as_slims():
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3])
        alexnet.alexnet_v2(images, 10, global_pool=True)
        names = {operation.name for operation in graph.get_operations()}
    assert {f'alexnet_v2/{name}' for name in (
        *(f'{layer}/{part}' for layer in ('conv1', 'conv5', 'fc6', 'fc7', 'fc8') for part in ('Conv2D', 'BiasAdd')),
        'pool1/MaxPool', 'pool5/MaxPool', 'global_pool')} <= names
