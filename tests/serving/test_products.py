"""Exports in bfloat16 hold fully connected layers with a row of weights for each output."""
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.model import building, specs
from alexnet_tf.serving import products

CLASSES = ('a', 'b', 'c')
MEAN = (120.0, 110.0, 100.0)


@pytest.mark.parametrize('name, size, options', [
    ('alexnet_v2', 224, {}), ('alexnet', 224, {}), ('alexnet', 227, {'variant': 'caffe'}),
    ('alexnet', 224, {'variant': 'source', 'unscaled_dropout': 0.5})])
def test_a_copy_computes_the_same(narrow, name, size, options):
    tf_keras.utils.set_random_seed(5)
    model = building.build(specs.Spec(name, size, CLASSES, MEAN, **options))
    for variable in model.variables:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.02))  # biases, too, are more than a constant
    copy = products.with_products(model)
    assert [layer.name for layer in copy.layers if isinstance(layer, products.Product)] == ['fc6', 'fc7', 'fc8']
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    images = np.random.RandomState(2).uniform(-120, 120, (3, size, size, 3)).astype(np.float32)
    expected = np.array(model(images))
    np.testing.assert_allclose(copy(images), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    fc7 = [tf_keras.Model(one.input, one.get_layer('fc7').output)(images) for one in (model, copy)]
    assert fc7[0].shape == fc7[1].shape and np.abs(fc7[0]).max() > 0
    np.testing.assert_allclose(*fc7, rtol=1e-5, atol=1e-5 * np.abs(fc7[0]).max())
