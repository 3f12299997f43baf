"""The three versions of AlexNet against NumPy, layer by layer; what the original program has of its own."""
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nets import alexnet, keras_layers, rows
from tests.helpers import numpy_alexnet
from tests.helpers.networks import convolutions

pytestmark = pytest.mark.usefixtures('narrow')


@pytest.mark.parametrize('variant', ['paper', 'source', 'caffe'])
def test_every_layer_against_numpy(variant):
    random = np.random.default_rng(5)
    model = alexnet.AlexNet(7, variant=variant)
    layers = convolutions(model).values()
    for layer in layers:
        # Weights that keep activations near the images' 70 let normalization divide by far more than 2^0.75.
        fan_in = math.prod(layer.kernel.shape[:3])
        layer.set_weights([random.normal(0, math.sqrt(2 / fan_in), layer.kernel.shape),
                           random.normal(0, 10, layer.bias.shape)])
    images = random.uniform(-128, 128, [2, *model.input_shape[1:]]).astype(np.float32)
    weights = {layer.name: layer.kernel.numpy().astype(np.float64) for layer in layers}
    biases = {layer.name: layer.bias.numpy().astype(np.float64) for layer in layers}
    expected = getattr(numpy_alexnet, variant)(images.astype(np.float64), weights, biases)
    got = tf_keras.Model(model.input, {name: model.get_layer(name).output for name in expected})(images)
    assert set(expected) | {'images', 'dropout6', 'dropout7'} == {layer.name for layer in model.layers}
    strength = np.abs(expected['norm1']) / np.abs(expected['conv1']).clip(1e-9)
    assert strength[np.abs(expected['conv1']) > 1].min() < 0.5 * strength.max()  # the normalization matters
    for name, values in expected.items():
        assert got[name].shape == values.shape, name
        worst = np.abs(got[name] - values).max() / np.abs(values).max()
        assert worst < 1e-4, (name, worst)
    # The same images through the TF1 graph builder, at the same weights.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits, end_points = alexnet.alexnet(tf.constant(images), 7, is_training=False, variant=variant)
        for variable in tf.compat.v1.global_variables():
            _, layer, kind = variable.op.name.split('/')
            variable.load({'weights': weights, 'biases': biases}[kind][layer].astype(np.float32), session)
        assert set(end_points) == {f'alexnet/{name}' for name in expected}
        for name, values in zip(expected, session.run([end_points[f'alexnet/{name}'] for name in expected]),
                                strict=True):
            worst = np.abs(values - expected[name]).max() / np.abs(expected[name]).max()
            assert worst < 1e-4, (name, worst)
    assert end_points['alexnet/fc8'] is logits


@pytest.fixture
def two_thin_layers(monkeypatch):
    """Enough weights in every layer to see their distribution, and not tens of millions in fc6 and fc7."""
    for variant, table in (('paper', alexnet.ALEXNET), ('caffe', alexnet.ALEXNET_CAFFE)):
        monkeypatch.setitem(alexnet.VARIANTS, variant, rows.changed(table, fc6={'filters': 256}, fc7={'filters': 256}))


def test_initial_values_are_the_programs_normal_distributions(two_thin_layers):
    tf_keras.utils.set_random_seed(3)
    model = alexnet.AlexNet(50, initial_values='source')
    for name, layer in convolutions(model).items():
        sigma = 0.03 if name in ('conv3', 'conv4', 'conv5') else 0.01
        weights = layer.kernel.numpy()
        assert weights.std() == pytest.approx(sigma, rel=0.02), name
        # not cut at two deviations: of a normal distribution 4.6 % lie beyond
        assert np.mean(np.abs(weights) > 2 * sigma) == pytest.approx(0.0455, abs=0.006), name
        assert np.unique(layer.bias.numpy()) == (0 if name in ('conv1', 'conv3', 'fc8') else 1), name


def test_caffes_initial_values(two_thin_layers):
    tf_keras.utils.set_random_seed(3)
    model = alexnet.AlexNet(50, variant='caffe')
    assert model.get_layer('fc6').kernel.numpy().std() == pytest.approx(0.005, rel=0.02)
    assert model.get_layer('fc8').kernel.numpy().std() == pytest.approx(0.01, rel=0.02)
    assert np.unique(model.get_layer('conv2').bias.numpy()) == np.float32(0.1)


def test_dropout_form_of_the_program():
    model = alexnet.AlexNet(4, variant='source', dropout_keep_prob=0.5)
    assert [layer.rescale for layer in model.layers if isinstance(layer, keras_layers.Dropout)] == [False, False]
    again = tf_keras.models.clone_model(model)  # by way of the configuration
    assert again.get_layer('norm1').row.groups == 2 and again.get_layer('norm2b').row.size == 5
    assert again.get_layer('dropout7').number == 2 and not again.get_layer('dropout7').rescale


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="variant is 'matlab'; it must be one of paper, source, caffe"):
        alexnet.AlexNet(variant='matlab')
