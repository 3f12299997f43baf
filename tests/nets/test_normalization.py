"""Local response normalization in all its forms, and normalization within a map: numbers, gradients, edges."""
import numpy as np
import pytest
import tensorflow as tf

from nets import alexnet, normalization
from tests.helpers import numpy_alexnet

LRN = {'depth_radius': 2, 'bias': 2.0, 'alpha': 1e-4, 'beta': 0.75}


@pytest.fixture(params=['products', 'compiled', 'as on a GPU'])
def normalize(request, monkeypatch):
    """local_response_normalization in each of the forms that it chooses between."""
    if request.param == 'as on a GPU':
        monkeypatch.setattr(tf.config, 'get_visible_devices', lambda kind: [kind] if kind == 'GPU' else [])
    if request.param != 'compiled':
        return normalization.local_response_normalization

    def compiled(x, **kwargs):
        with normalization.compiled():
            return normalization.local_response_normalization(x, **kwargs)
    return compiled


def with_gradient(function, x, upstream, **kwargs):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x, **kwargs)
    return y, tape.gradient(y, x, upstream)


def test_worked_example(normalize):
    x = tf.reshape(tf.range(1.0, 33.0), [2, 2, 2, 4])
    y = normalize(x, depth_radius=2, bias=0, alpha=1, beta=1).numpy()
    assert x[1, 1, 0, 1] == 26
    assert y[1, 1, 0, 1] == pytest.approx(26 / (25 ** 2 + 26 ** 2 + 27 ** 2 + 28 ** 2), rel=1e-5)
    assert y[1, 1, 0, 1] == pytest.approx(0.00923952, rel=1e-5)


@pytest.mark.parametrize('channels', [1, 3, 34, 96])
@pytest.mark.parametrize('settings', [LRN, {'depth_radius': 1, 'bias': 1.5, 'alpha': 0.02, 'beta': 0.5}],
                         ids=['paper', 'other'])
def test_it_and_its_gradient_equal_tensorflows(normalize, channels, settings):
    random = np.random.default_rng(8)
    x = tf.constant(random.normal(0, 80, [2, 3, 4, channels]), tf.float32)
    upstream = tf.constant(random.normal(size=x.shape), tf.float32)
    y, gradient = with_gradient(normalize, x, upstream, **settings)
    expected, expected_gradient = with_gradient(tf.nn.local_response_normalization, x, upstream, **settings)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('depth_radius', [16, 17])
def test_windows_that_reach_beyond_the_blocks_beside(normalize, depth_radius):
    x = tf.random.stateless_normal([2, 1, 1, 64], [1, 2], stddev=80.0)
    settings = LRN | {'depth_radius': depth_radius}
    np.testing.assert_allclose(normalize(x, **settings), tf.nn.local_response_normalization(x, **settings), rtol=1e-5)


def test_groups_do_not_see_each_other(normalize):
    x = tf.random.stateless_normal([2, 1, 1, 64], [1, 2], stddev=80.0)
    halves = [tf.nn.local_response_normalization(half, **LRN) for half in tf.split(x, 2, -1)]
    np.testing.assert_allclose(normalize(x, **LRN, groups=2), tf.concat(halves, -1), rtol=1e-5)


def test_one_number(normalize):
    assert float(normalize(tf.constant([[30.0]]), **LRN)[0, 0]) == pytest.approx(30 * (2 + 1e-4 * 900) ** -0.75)


def test_shapes_stay_known(normalize):
    traced = tf.function(lambda x: normalize(x, **LRN))
    assert traced.get_concrete_function(tf.TensorSpec([None, 4, 5, 16])).output_shapes.as_list() == [None, 4, 5, 16]


@pytest.mark.parametrize('beta', [0.75, 1.0])
@pytest.mark.parametrize('groups', [1, 2])
def test_gradient_against_finite_differences_in_float64(normalize, beta, groups):
    random = np.random.default_rng(9)
    x = random.normal(0, 3, [2, 2, 14]).astype(np.float32).astype(np.float64)
    upstream = random.normal(size=x.shape)

    def loss(x):
        maps = x.reshape(2, 2, groups, 14 // groups)
        squares = np.pad(np.square(maps), [(0, 0)] * 3 + [(2, 2)])
        total = sum(squares[..., shift:shift + 14 // groups] for shift in range(5))
        return np.sum(upstream * (maps / (1 + 0.1 * total) ** beta).reshape(x.shape))

    expected = np.empty_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-5
        expected[index] = (loss(x + step) - loss(x - step)) / 2e-5
    _, gradient = with_gradient(normalize, tf.constant(x, tf.float32), tf.constant(upstream, tf.float32),
                                depth_radius=2, bias=1.0, alpha=0.1, beta=beta, groups=groups)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16(normalize):
    x = tf.cast(tf.random.stateless_normal([2, 5, 5, 96], seed=[1, 2], stddev=80.0), tf.bfloat16)
    upstream = tf.cast(tf.random.stateless_normal(x.shape, seed=[3, 4]), tf.bfloat16)
    results = with_gradient(normalize, x, upstream, **LRN)
    expected = with_gradient(normalize, tf.cast(x, tf.float32), tf.cast(upstream, tf.float32), **LRN)
    # bfloat16 keeps 8 bits: a rounding is up to 0.4 %, and a handful of them follow each other.
    for got, wanted in zip(results, expected):
        assert got.dtype == tf.bfloat16
        error = np.abs(tf.cast(got, tf.float32) - wanted)
        assert error.max() < 0.02 * np.abs(wanted).max()
        assert error.mean() < 0.005 * np.abs(wanted).mean()


def test_large_and_tiny_numbers(normalize):
    x = tf.constant([[1e12, 1e-30, 0.0, -1e15, 3e4, 1e-3, 255.0, -1.0]])
    expected = x.numpy().astype(np.float64)
    squares = np.pad(np.square(expected), [(0, 0), (2, 2)])
    expected = expected * (2 + 1e-4 * sum(squares[:, shift:shift + 8] for shift in range(5))) ** -0.75
    y, gradient = with_gradient(normalize, x, tf.ones_like(x), **LRN)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-38)
    assert np.isfinite(gradient).all()


def test_empty_batch(normalize):
    x = tf.zeros([0, 3, 3, 8])
    y, gradient = with_gradient(tf.function(normalize), x, tf.zeros_like(x), **LRN)
    assert y.shape == gradient.shape == (0, 3, 3, 8)


def test_the_network_compiled_gives_the_same_logits_and_gradients(narrow):
    model = alexnet.AlexNet(5)
    images = tf.random.stateless_normal([2, 224, 224, 3], [1, 1], stddev=60.0)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(images, training=False)))
        return loss, tape.gradient(loss, model.trainable_variables)

    plain = step.get_concrete_function()()
    with normalization.compiled():
        fused = tf.function(step.python_function)()
    np.testing.assert_allclose(fused[0], plain[0], rtol=1e-4)
    for got, expected in zip(fused[1], plain[1]):
        # As a whole: where two inputs of a max pooling differ by a rounding only, each way may choose the other one.
        assert np.linalg.norm(got - expected) < 0.02 * np.linalg.norm(expected)


def test_normalization_within_a_map_and_its_gradient():
    random = np.random.default_rng(1)
    x = random.normal(0, 60, [2, 6, 7, 3])
    upstream = random.normal(size=x.shape)
    with tf.GradientTape() as tape:
        inputs = tf.constant(x, tf.float32)
        tape.watch(inputs)
        y = normalization.spatial_normalization(inputs, size=5, bias=1.0, alpha=1e-3 / 25, beta=0.75)
    np.testing.assert_allclose(y, numpy_alexnet.np_within_map(x, 1e-3 / 25), rtol=1e-5)
    gradient = tape.gradient(y, inputs, tf.constant(upstream, tf.float32))
    for index in [(0, 0, 0, 0), (1, 3, 3, 1), (0, 5, 6, 2), (1, 2, 5, 0)]:
        step = np.zeros_like(x)
        step[index] = 1e-3
        difference = [np.sum(upstream * numpy_alexnet.np_within_map(x + sign * step, 1e-3 / 25)) for sign in (1, -1)]
        assert float(gradient[index]) == pytest.approx((difference[0] - difference[1]) / 2e-3, rel=1e-4)


def test_only_inside_compiled_must_xla_compile():
    """TensorFlow Serving refuses functions that must be compiled."""
    def must_compile():
        traced = tf.function(lambda x: normalization.local_response_normalization(x, **LRN))
        graph = traced.get_concrete_function(tf.TensorSpec([2, 4, 4, 16])).graph
        return b'_XlaMustCompile' in graph.as_graph_def().SerializeToString()
    assert not must_compile()
    with normalization.compiled():
        assert must_compile()
    assert not must_compile()
