"""Narrow networks, which compute what the whole ones do in a fraction of the time."""
import dataclasses

import numpy as np
import tensorflow as tf

from nets import keras_layers, rows


def narrowed(table, part=8):
    """The table with one in `part` of its kernels."""
    return tuple(dataclasses.replace(row, filters=row.filters // part)
                 if isinstance(row, rows.Conv) and row.filters else row for row in table)


def convolutions(model):
    """{row's name: layer} of a Keras model's convolutions."""
    return {layer.name: layer for layer in model.layers if isinstance(layer, keras_layers.Convolution)}


def with_larger_weights(model):
    """With initial weights the logits are near 0 for all images, and a comparison of them says little."""
    for layer in convolutions(model).values():
        fan_in = np.prod(layer.kernel.shape[:3])
        layer.kernel.assign(tf.random.normal(layer.kernel.shape, 0, np.sqrt(2 / fan_in)))
        layer.bias.assign(tf.random.normal(layer.bias.shape))
    return model


def assert_close(got, expected, tolerance=1e-5, what=''):
    """No value differs by more than this share of the largest: sums in another order differ by so much."""
    got, expected = (np.asarray(values).astype(np.float32) for values in (got, expected))
    assert got.shape == expected.shape, what
    assert np.ptp(expected) > 0, what
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max(), what
