"""What a run shows in TensorBoard besides numbers: a batch, the kernels of conv1, histograms of the weights."""
import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.pictures import kernels

SHOWN = 16  # images of a batch
SAMPLED = 1 << 18  # weights of a variable, evenly spaced: the histogram of 38 million takes seconds, and looks the same
ZOOM = 4  # pixels of the picture for a pixel of a kernel


def batch(images, step, *, mean, seed, noise=None, noise_on=1.0):
    """The first SHOWN images of a batch as the network saw them in a step, as uint8.

    Args:
      images: uint8 [batch, size, size, 3], what the step was given. step: its number. Others: see make_train_step.

    The mean is added again, so that they are pictures; what color noise makes darker than 0 is 0.
    """
    seeds = tf.stack([tf.constant(seed, tf.int64), step])
    seen = preprocessing.training_batch(images[:SHOWN], mean, seeds, noise=noise, noise_on=noise_on, rows=len(images))
    pixels = preprocessing.subtract_mean(seen, -np.asarray(mean))
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8).numpy()


def conv1(state):
    """uint8 [1, height, width, 3], the kernels of a State's first convolution."""
    name = next(name for name in state.weights if name.endswith('conv1/weights'))
    mosaic = kernels.mosaic(kernels.scaled(tf.convert_to_tensor(state.weights[name])))
    return np.round(255 * mosaic).astype(np.uint8).repeat(ZOOM, 0).repeat(ZOOM, 1)[np.newaxis]


def samples(state):
    """{name: float32 [at most SAMPLED]} of a State's weights and biases."""
    return {name: _sample(tf.reshape(tf.convert_to_tensor(variable), [-1])) for name, variable in state.weights.items()}


def _sample(values):
    return values[::-(-values.shape[0] // SAMPLED)].numpy()
