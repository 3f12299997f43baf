"""The networks' arithmetic against a plain NumPy forward pass, published counts and hand-made numbers."""
import ast
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nets import alexnet, keras_layers, ops, rows

ROOT = pathlib.Path(__file__).resolve().parents[1]


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
    model = make()
    assert model.count_params() == parameters
    assert model.output_shape == (None, 1000)
    assert model.get_layer('conv1').output.shape[3] == first
    for name, size in sizes.items():
        assert model.get_layer(name).output.shape[1:3] == [size, size], name
    # Each weight is used once at each place of the output map.
    multiply_adds = {layer.name: math.prod(layer.kernel.shape) * sizes.get(layer.name, 1) ** 2
                     for layer in model.layers if isinstance(layer, keras_layers.Convolution)}
    assert round(sum(multiply_adds.values()) / 1e6) == millions
    table = {alexnet.AlexNet: alexnet.ALEXNET, alexnet.AlexNetV2: alexnet.ALEXNET_V2}[make]
    walked = {step.row.name: step for step in rows.walk(rows.resolve(table, 1000), 224, 224)}
    assert rows.parameter_count(rows.resolve(table, 1000)) == parameters
    for name, count in multiply_adds.items():
        assert walked[name].multiply_adds == count
        assert walked[name].parameters == model.get_layer(name).count_params()
    for name, size in sizes.items():
        assert walked[name].shape[:2] == (size, size)


def test_printed_tables():
    done = subprocess.run([sys.executable, '-m', 'nets.alexnet'], cwd=ROOT, text=True, capture_output=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    totals = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith('total')]
    assert [parameters for parameters, _ in totals] == ['60,965,224', '50,303,912']
    assert [round(int(multiply_adds.replace(',', '')) / 1e6) for _, multiply_adds in totals] == [724, 737]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ['conv1', '55x55x96', '34,944', '105,415,200', 'paper', '3.5;', 'padding:', 'program'] in lines
    assert ['pool5', '5x5x256', '0', '0', 'slim'] in lines


def test_nets_needs_tensorflow_and_tf_keras_alone():
    imported = set()
    for path in (ROOT / 'nets').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add('nets' if node.level else node.module.split('.')[0])
    assert imported - sys.stdlib_module_names == {'nets', 'tensorflow', 'tf_keras'}


# The whole network in NumPy, float64 ------------------------------------------------------------------


def np_windows(x, size, stride):
    """[batch, h, w, channels, size, size]: what each place of a size x size window sees."""
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return views[:, ::stride, ::stride]


def np_conv(x, weights, biases, *, stride=1, before=0, after=0, towers=1):
    """Convolution; with two towers each half of the kernels sees its half of the maps alone."""
    x = np.pad(x, [(0, 0), (before, after), (before, after), (0, 0)])
    maps, kernels = x.shape[3] // towers, weights.shape[3] // towers
    outputs = [np.tensordot(np_windows(x[..., tower * maps:(tower + 1) * maps], len(weights), stride),
                            weights[..., tower * kernels:(tower + 1) * kernels], ([3, 4, 5], [2, 0, 1]))
               for tower in range(towers)]
    return np.concatenate(outputs, 3) + biases


def np_lrn(x):
    """Paper 3.3: b_i = a_i / (2 + 1e-4 * sum of a_j^2, j from i-2 to i+2 within the maps) ^ 0.75."""
    maps, b = x.shape[-1], np.empty_like(x)
    for i in range(maps):
        total = np.square(x[..., max(0, i - 2):min(maps - 1, i + 2) + 1]).sum(-1)
        b[..., i] = x[..., i] / (2 + 1e-4 * total) ** 0.75
    return b


def np_relu(x):
    return np.maximum(x, 0)


def np_pool(x):
    """Paper 3.4: the largest of 3 x 3 neighbours, 2 apart."""
    return np_windows(x, 3, 2).max((4, 5))


def np_alexnet(x, w, b):
    """The 2012 network: the paper's section 3.5, conv1's overshoot of 3 pixels from the original program."""
    out = {}
    out['conv1'] = np_relu(np_conv(x, w['conv1'], b['conv1'], stride=4, after=3))
    out['norm1'] = np_lrn(out['conv1'])
    out['pool1'] = np_pool(out['norm1'])
    out['conv2'] = np_relu(np_conv(out['pool1'], w['conv2'], b['conv2'], before=2, after=2, towers=2))
    out['norm2'] = np_lrn(out['conv2'])
    out['pool2'] = np_pool(out['norm2'])
    out['conv3'] = np_relu(np_conv(out['pool2'], w['conv3'], b['conv3'], before=1, after=1))
    out['conv4'] = np_relu(np_conv(out['conv3'], w['conv4'], b['conv4'], before=1, after=1, towers=2))
    out['conv5'] = np_relu(np_conv(out['conv4'], w['conv5'], b['conv5'], before=1, after=1, towers=2))
    out['pool5'] = np_pool(out['conv5'])
    out['fc6'] = np_relu(np_dense(out['pool5'], w['fc6'], b['fc6']))
    out['fc7'] = np_relu(np_dense(out['fc6'], w['fc7'], b['fc7']))
    out['fc8'] = np_dense(out['fc7'], w['fc8'], b['fc8'])[:, 0, 0]
    return out


def np_dense(x, weights, biases):
    return np.einsum('bhwc,hwco->bo', x, weights, optimize=True)[:, None, None] + biases


def test_every_layer_of_alexnet_against_numpy():
    random = np.random.default_rng(5)
    model = alexnet.AlexNet(7)
    layers = [layer for layer in model.layers if isinstance(layer, keras_layers.Convolution)]
    for layer in layers:
        # Weights that keep activations near the images' 70 let normalisation divide by far more than 2^0.75.
        fan_in = math.prod(layer.kernel.shape[:3])
        layer.set_weights([random.normal(0, math.sqrt(2 / fan_in), layer.kernel.shape),
                           random.normal(0, 10, layer.bias.shape)])
    images = random.uniform(-128, 128, [2, 224, 224, 3]).astype(np.float32)
    weights = {layer.name: layer.kernel.numpy().astype(np.float64) for layer in layers}
    biases = {layer.name: layer.bias.numpy().astype(np.float64) for layer in layers}
    expected = np_alexnet(images.astype(np.float64), weights, biases)
    got = tf_keras.Model(model.input, {name: model.get_layer(name).output for name in expected})(images)
    assert set(expected) | {'images', 'dropout6', 'dropout7'} == {layer.name for layer in model.layers}
    assert np.abs(expected['norm1'] * 2 ** 0.75 / expected['conv1'].clip(1e-9)).min() < 0.3
    for name, values in expected.items():
        assert got[name].shape == values.shape, name
        worst = np.abs(got[name] - values).max() / np.abs(values).max()
        assert worst < 1e-4, (name, worst)
    # The same images through the TF1 graph builder, at the same weights.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits, end_points = alexnet.alexnet(tf.constant(images), 7, is_training=False)
        for variable in tf.compat.v1.global_variables():
            _, layer, kind = variable.op.name.split('/')
            variable.load({'weights': weights, 'biases': biases}[kind][layer].astype(np.float32), session)
        assert set(end_points) == {f'alexnet/{name}' for name in expected}
        for name, values in zip(expected, session.run([end_points[f'alexnet/{name}'] for name in expected]),
                                strict=True):
            worst = np.abs(values - expected[name]).max() / np.abs(expected[name]).max()
            assert worst < 1e-4, (name, worst)
    assert end_points['alexnet/fc8'] is logits


# Convolution ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('size, kernel, padding', [(6, 6, 'VALID'), (1, 1, 'SAME'), (1, 1, 'VALID')])
def test_matrix_product_and_convolution_agree(size, kernel, padding):
    random = np.random.default_rng(6)
    x = tf.constant(random.normal(size=[3, size, size, 8]), tf.float32)
    weights = tf.constant(random.normal(size=[kernel, kernel, 8, 5]), tf.float32)

    def value_gradients_and_ops(static_shape):
        @tf.function(input_signature=[tf.TensorSpec(static_shape, tf.float32),
                                      tf.TensorSpec(weights.shape, tf.float32)])
        def run(x, weights):
            y = ops.convolution(x, weights, stride=1, padding=padding)
            return y, tf.gradients(tf.reduce_sum(y * tf.reshape(tf.range(15.0), [3, 1, 1, 5])), [x, weights])
        operations = {op.type for op in run.get_concrete_function().graph.get_operations()}
        return run(x, weights), operations

    (product, product_gradients), product_ops = value_gradients_and_ops([None, size, size, 8])
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
    got = ops.convolution(tf.constant(x, tf.float32), tf.constant(weights, tf.float32), stride=1,
                          padding=padding)
    margin = kernel // 2 if padding == 'SAME' else 0
    expected = np_conv(x, weights, 0, before=margin, after=margin, towers=groups)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


# Local response normalisation -------------------------------------------------------------------------


LRN = {'depth_radius': 2, 'bias': 2.0, 'alpha': 1e-4, 'beta': 0.75}


def test_lrn_worked_example():
    x = tf.reshape(tf.range(1.0, 33.0), [2, 2, 2, 4])
    y = ops.local_response_normalization(x, depth_radius=2, bias=0, alpha=1, beta=1).numpy()
    assert x[1, 1, 0, 1] == 26
    assert y[1, 1, 0, 1] == pytest.approx(26 / (25 ** 2 + 26 ** 2 + 27 ** 2 + 28 ** 2), rel=1e-5)
    assert y[1, 1, 0, 1] == pytest.approx(0.00923952, rel=1e-5)


@pytest.mark.parametrize('channels', [1, 3, 96])
@pytest.mark.parametrize('settings', [LRN, {'depth_radius': 1, 'bias': 1.5, 'alpha': 0.02, 'beta': 0.5}],
                         ids=['paper', 'other'])
def test_lrn_and_its_gradient_equal_tensorflows(channels, settings):
    random = np.random.default_rng(8)
    x = tf.constant(random.normal(0, 80, [2, 3, 4, channels]), tf.float32)
    upstream = tf.constant(random.normal(size=x.shape), tf.float32)
    results = []
    for function in (ops.local_response_normalization, tf.nn.local_response_normalization):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, **settings)
        results.append((y, tape.gradient(y, x, upstream)))
    (y, gradient), (expected, expected_gradient) = results
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('beta', [0.75, 1.0])
def test_lrn_gradient_against_finite_differences(beta):
    random = np.random.default_rng(9)
    x = random.normal(0, 3, [2, 2, 7]).astype(np.float32).astype(np.float64)
    upstream = random.normal(size=x.shape)

    def loss(x):
        squares = np.pad(np.square(x), [(0, 0), (0, 0), (2, 2)])
        total = sum(squares[..., shift:shift + 7] for shift in range(5))
        return np.sum(upstream * x / (1 + 0.1 * total) ** beta)

    expected = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        expected[index] = (loss(x + step) - loss(x - step)) / 2e-5
    with tf.GradientTape() as tape:
        inputs = tf.constant(x, tf.float32)
        tape.watch(inputs)
        y = ops.local_response_normalization(inputs, depth_radius=2, bias=1.0, alpha=0.1, beta=beta)
    gradient = tape.gradient(y, inputs, tf.constant(upstream, tf.float32))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_lrn_in_bfloat16():
    x = tf.cast(tf.random.stateless_normal([2, 5, 5, 96], seed=[1, 2], stddev=80.0), tf.bfloat16)
    upstream = tf.random.stateless_normal(x.shape, seed=[3, 4])
    results = []
    for inputs in (x, tf.cast(x, tf.float32)):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = ops.local_response_normalization(inputs, **LRN)
        results.append((y, tape.gradient(y, inputs, tf.cast(upstream, inputs.dtype))))
    (y, gradient), (expected, expected_gradient) = results
    assert y.dtype == gradient.dtype == tf.bfloat16
    # bfloat16 keeps 8 bits: a rounding is up to 0.4 %, and a handful of them follow each other.
    for got, wanted in ((y, expected), (gradient, expected_gradient)):
        error = np.abs(tf.cast(got, tf.float32) - wanted)
        assert error.max() < 0.02 * np.abs(wanted).max()
        assert error.mean() < 0.005 * np.abs(wanted).mean()


def test_lrn_of_an_empty_batch():
    x = tf.zeros([0, 3, 3, 8])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.local_response_normalization(x, **LRN)
    assert y.shape == tape.gradient(y, x).shape == (0, 3, 3, 8)


# Sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('table, minimum', [(alexnet.ALEXNET, 224), (alexnet.ALEXNET_V2, 195)])
def test_every_size_below_the_minimum_is_refused(table, minimum):
    # 195: 5 maps before fc6 need 11 before pool5, 23 before pool2, 47 before pool1, 46 * 4 + 11 pixels;
    # 224: 6 need 13, 27, 55, 54 * 4 + 11 = 227 less the 3 of padding.
    resolved = rows.resolve(table, 7)
    assert rows.minimum_size(resolved) == minimum
    *_, last = rows.walk(resolved, minimum, minimum)
    assert last.shape == (1, 1, 7)
    for size in range(1, minimum):
        for shape in ((size, size), (minimum, size), (size, None)):
            with pytest.raises(ValueError, match=f'too small for .*at least {minimum}x{minimum} pixels'):
                list(rows.walk(resolved, *shape))


# Dropout draws ----------------------------------------------------------------------------------------


def draw(x, keep_prob=0.5, layers=1, **arguments):
    """The outputs of that many dropout layers in one pass."""
    arguments.setdefault('seed', tf.constant([1, 2]))
    with ops.dropout_draws(**arguments):
        return [ops.dropout(x, keep_prob).numpy() for _ in range(layers)]


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


def test_random_outside_of_draws():
    draw(ONES)
    first, second = (ops.dropout(ONES, 0.25).numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(np.unique(first), [0, 4])
    assert np.mean(first > 0) == pytest.approx(0.25, abs=0.03)


def test_a_models_dropout_follows_the_draws():
    inputs = tf_keras.Input([50, 20])
    model = tf_keras.Model(inputs, keras_layers.Dropout(0.5)(keras_layers.Dropout(0.5)(inputs)))
    with ops.dropout_draws(tf.constant([1, 2])):
        got = model(ONES, training=True)
    first, second = draw(ONES, layers=2)
    np.testing.assert_array_equal(got, first * second)
    np.testing.assert_array_equal(model(ONES, training=False), ONES)
