"""Gradients in bfloat16 beside those in float32, a layer at a time.

How far bfloat16 may be away is taken from a plain network of TensorFlow's own operations, in both types and on the same
processor, since each rounds in its own way.
"""
import numpy as np
import pytest
import tensorflow as tf

from nets import alexnet, normalization, ops
from tests.helpers.networks import convolutions, with_larger_weights

CLASSES = 10
LAYERS = 'conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'
IMAGES = 40 * tf.image.resize(tf.random.stateless_normal([8, 28, 28, 3], [1, 2]), [224, 224], 'bicubic')
LABELS = tf.range(8)


def loss_of(logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, tf.cast(logits, tf.float32)))


# The plain networks: paper 3.5 with the program's 3 pixels, and slim's alexnet_v2. x has the type of the arithmetic.


def grouped(x, weights, groups):
    parts = zip(tf.split(x, groups, -1), tf.split(weights, groups, -1))
    return tf.concat([tf.nn.conv2d(maps, kernels, 1, 'SAME') for maps, kernels in parts], -1)


def lrn(x):
    normalized = tf.nn.local_response_normalization(tf.cast(x, tf.float32), 2, 2.0, 1e-4, 0.75)
    return tf.cast(normalized, x.dtype)


def plain(network, x, weights):
    """Logits. weights: {layer: (kernels, biases)}, float32."""
    kernels = {layer: tf.cast(pair[0], x.dtype) for layer, pair in weights.items()}
    biases = {layer: tf.cast(pair[1], x.dtype) for layer, pair in weights.items()}
    groups, normalize = (2, lrn) if network == 'alexnet' else (1, lambda x: x)
    if network == 'alexnet':
        x = tf.pad(x, [[0, 0], [0, 3], [0, 3], [0, 0]])
    x = tf.nn.relu(tf.nn.conv2d(x, kernels['conv1'], 4, 'VALID') + biases['conv1'])
    x = tf.nn.max_pool2d(normalize(x), 3, 2, 'VALID')
    x = tf.nn.relu(grouped(x, kernels['conv2'], groups) + biases['conv2'])
    x = tf.nn.max_pool2d(normalize(x), 3, 2, 'VALID')
    for layer, parts in (('conv3', 1), ('conv4', groups), ('conv5', groups)):
        x = tf.nn.relu(grouped(x, kernels[layer], parts) + biases[layer])
    x = tf.nn.max_pool2d(x, 3, 2, 'VALID')
    for layer in ('fc6', 'fc7', 'fc8'):
        x = tf.reshape(x, [len(x), -1]) @ tf.reshape(kernels[layer], [-1, kernels[layer].shape[-1]]) + biases[layer]
        x = x if layer == 'fc8' else tf.nn.relu(x)
    return x


# Both, in both types ----------------------------------------------------------------------------------


def plain_gradients(network, model, dtype):
    layers = convolutions(model)
    weights = {layer: (layers[layer].kernel.value(), layers[layer].bias.value()) for layer in LAYERS}
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = loss_of(plain(network, tf.cast(IMAGES, dtype), weights))
    return named(tape.gradient(loss, weights))


def our_gradients(model):
    """As the training step computes them, with XLA's normalization and all."""
    layers = convolutions(model)
    weights = {layer: (layers[layer].kernel, layers[layer].bias) for layer in LAYERS}

    @tf.function(autograph=False)
    def gradients():
        with normalization.compiled(), tf.GradientTape() as tape:
            loss = loss_of(model(IMAGES, training=True))
        return tape.gradient(loss, weights)
    return named(gradients())


def named(gradients):
    return {f'{layer}/{kind}': np.asarray(gradient, np.float64) for layer, pair in gradients.items()
            for kind, gradient in zip(('weights', 'biases'), pair)}


def away(got, expected):
    """{name: distance of the gradients, as a share of the expected one's length}."""
    return {name: np.linalg.norm(got[name] - expected[name]) / np.linalg.norm(expected[name]) for name in expected}


def of_layers(distances):
    """{name: the larger one of its layer's weights and biases}: few numbers scatter much."""
    return {f'{layer}/{kind}': max(distances[f'{layer}/weights'], distances[f'{layer}/biases'])
            for layer in LAYERS for kind in ('weights', 'biases')}


@pytest.fixture(scope='module', params=['alexnet', 'alexnet_v2'])
def case(request, narrow):
    """(model in float32, the same in bfloat16, what a plain network's gradients differ by between these types)."""
    make = {'alexnet': alexnet.AlexNet, 'alexnet_v2': alexnet.AlexNetV2}[request.param]
    tf.keras.utils.set_random_seed(2)
    single = with_larger_weights(make(CLASSES, dropout_keep_prob=1.0, dtype='float32'))
    mixed = make(CLASSES, dropout_keep_prob=1.0, dtype='mixed_bfloat16')
    mixed.set_weights(single.get_weights())
    exact = plain_gradients(request.param, single, tf.float32)
    assert max(away(our_gradients(single), exact).values()) < 1e-3
    return mixed, exact, of_layers(away(plain_gradients(request.param, single, tf.bfloat16), exact))


def too_far(mixed, exact, rounding):
    """{name: distance} of the gradients in bfloat16 that are further away than twice the plain network's and 5 %."""
    found = away(our_gradients(mixed), exact)
    return {name: distance for name, distance in found.items() if distance > 2 * rounding[name] + 0.05}


def test_gradients_in_bfloat16_are_as_near_as_a_plain_networks(case):
    mixed, exact, rounding = case
    assert max(rounding.values()) < 0.3, rounding
    assert too_far(mixed, exact, rounding) == {}


def test_gradients_that_were_scaled_would_be_noticed(case, monkeypatch):
    """All kernels larger than 1 x 1, in bfloat16 alone, as an error in a kernel of the processor's would be."""
    mixed, exact, rounding = case
    convolution = ops.convolution

    @tf.custom_gradient
    def scaled(weights):
        return tf.identity(weights), lambda upstream: 0.1 * upstream
    monkeypatch.setattr(ops, 'convolution', lambda x, weights, biases, **options: convolution(
        x, scaled(weights) if x.dtype == tf.bfloat16 and weights.shape[0] > 1 else weights, biases, **options))
    assert set(too_far(mixed, exact, rounding)) == {f'{layer}/weights' for layer in LAYERS[:6]}
