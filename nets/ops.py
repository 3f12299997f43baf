"""The arithmetic of a row: what the TF1 graph and the Keras layers both call."""
import contextlib
import threading

import tensorflow as tf

from nets import normalization
from nets import rows as kinds


def apply(row, x, groups=None):
    """The output of a row that has neither variables nor chance: normalisation, pooling, activation.

    Args:
      groups: in place of an LRN row's own.
    """
    if isinstance(row, kinds.LRN):
        return normalization.local_response_normalization(
            x, depth_radius=row.depth_radius, bias=row.bias, alpha=row.alpha, beta=row.beta,
            groups=groups or row.groups)
    if isinstance(row, kinds.SpatialNorm):
        return normalization.spatial_normalization(
            x, size=row.size, bias=row.bias, alpha=row.alpha, beta=row.beta)
    if isinstance(row, kinds.MaxPool):
        return tf.nn.max_pool2d(x, row.size, row.stride, 'VALID', name='MaxPool')
    if isinstance(row, kinds.GlobalPool):
        return tf.reduce_mean(x, [1, 2], keepdims=True, name=row.name)
    return {'relu': tf.nn.relu, 'tanh': tf.tanh}[row.kind](x)  # an Activation


def convolution(x, weights, *, stride, padding, name=None):
    """A 2-D convolution, computed as a matrix product where the map is exactly the kernel's size.

    TensorFlow's CPU convolution is several times slower than its matrix product of the same numbers
    when a kernel covers the whole map (fully connected layers), above all backwards.

    Args:
      x: [batch, height, width, channels].
      weights: [height, width, channels / groups, filters], cast to x's type. Fewer input channels
        than x has make it a grouped convolution.
      padding: 'SAME', 'VALID' or pixels (before, after).

    Returns: [batch, height', width', filters].
    """
    weights = tf.cast(weights, x.dtype)
    kernel, filters = weights.shape[:2], weights.shape[3]
    covers_map = x.shape[1:3] == kernel and (padding == 'VALID' or kernel == [1, 1])
    if covers_map and x.shape[3] == weights.shape[2]:
        columns = kernel[0] * kernel[1] * weights.shape[2]
        product = tf.matmul(tf.reshape(x, [-1, columns]), tf.reshape(weights, [columns, filters]))
        return tf.reshape(product, [-1, 1, 1, filters], name=name)
    if not isinstance(padding, str):
        # conv2d's own explicit padding takes a path that is 17 times slower in bfloat16 on the CPU.
        x, padding = tf.pad(x, [[0, 0], padding, padding, [0, 0]]), 'VALID'
    return tf.nn.conv2d(x, weights, strides=stride, padding=padding, name=name)


def biased_convolution(x, weights, biases, *, stride, padding, activation=None):
    """`convolution`, the biases [filters] added, and activation of that (None: linear)."""
    net = convolution(x, weights, stride=stride, padding=padding, name='Conv2D')
    net = tf.nn.bias_add(net, tf.cast(biases, net.dtype), name='BiasAdd')
    return activation(net) if activation else net


_dropout_draws = threading.local()


@contextlib.contextmanager
def dropout_draws(seed, *, first_row=0, rows=None):
    """Inside it, dropout is a pure function of `seed` and of an example's row in the whole batch.

    Without it dropout draws from TensorFlow's stateful generator, as Keras users expect. With it a
    resumed run repeats the draws of the interrupted one, and a batch split over several replicas
    gets the draws of the undivided batch.

    Args:
      seed: integer tensor [2].
      first_row: the row of the whole batch with which the batch seen here begins.
      rows: examples in the whole batch; None: the batch seen here is the whole.
    """
    outer = getattr(_dropout_draws, 'value', None)
    _dropout_draws.value = (seed, first_row, rows)
    try:
        yield
    finally:
        _dropout_draws.value = outer


def check_keep_prob(keep_prob):
    """Raises ValueError unless keep_prob is in (0, 1]."""
    if not 0 < keep_prob <= 1:
        raise ValueError(f'dropout_keep_prob is {keep_prob}; it must be above 0 and at most 1.')


def dropout(x, keep_prob, *, training, number=1, rescale=True, part=(0, 1), name=None):
    """Sets each element of x to 0 with probability 1 - keep_prob; what is kept is rescaled here or at test.

    Args:
      x: [batch, ..., channels].
      training: False: nothing is dropped.
      number: of this layer among the network's dropout layers; each has draws of its own.
      rescale: divide what is kept by keep_prob in training; False: multiply by keep_prob at test.
      part: (index, parts): x is that part of the channels, and gets the draws that it would have in the whole.
    """
    check_keep_prob(keep_prob)
    if keep_prob == 1 or not training:
        return tf.identity(x if rescale else x * tf.cast(keep_prob, x.dtype), name)
    draws = getattr(_dropout_draws, 'value', None)
    if draws is None:
        dropped = tf.nn.dropout(x, rate=1 - keep_prob, name=name)
        return dropped if rescale else dropped * tf.cast(keep_prob, x.dtype)
    seed, first_row, rows = draws
    seed = tf.random.experimental.stateless_fold_in(seed, number)
    batch, channels, (index, parts) = tf.shape(x)[0], x.shape[-1], part
    uniform = tf.random.stateless_uniform(
        tf.concat([[batch if rows is None else rows], tf.shape(x)[1:-1], [channels * parts]], 0), seed)
    kept = uniform[first_row:first_row + batch, ..., index * channels:(index + 1) * channels] < keep_prob
    value = x / tf.cast(keep_prob, x.dtype) if rescale else x
    return tf.where(kept, value, tf.zeros([], x.dtype), name=name)
