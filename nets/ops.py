"""The arithmetic of a row, which the TF1 graph and the Keras layers share."""
import contextvars
import functools

import tensorflow as tf

from nets import normalization, scopes
from nets import rows as kinds

_dropout_draws = contextvars.ContextVar('ops.dropout_draws', default=None)


def apply(row, x, variables=(), *, activation=None, training=False, part=(0, 1)):
    """The output of a row.

    Args:
      row: of a resolved table. x: [batch, height, width, channels].
      variables, activation: of a Conv, (weights, biases) and as in `convolution`.
      training, part: of a Dropout, as in `dropout`.
    """
    if isinstance(row, kinds.Conv):
        return convolution(x, *variables, stride=row.stride, padding=row.padding, activation=activation)
    if isinstance(row, kinds.Dropout):
        return dropout(x, **row.fields(), training=training, part=part)
    if isinstance(row, kinds.LRN):
        return normalization.local_response_normalization(x, **row.fields())
    if isinstance(row, kinds.SpatialNorm):
        return normalization.spatial_normalization(x, **row.fields())
    if isinstance(row, kinds.MaxPool):
        return tf.nn.max_pool2d(x, row.size, row.stride, 'VALID', name='MaxPool')
    if isinstance(row, kinds.GlobalPool):
        return tf.reduce_mean(x, [1, 2], keepdims=True, name=row.name)
    return {'relu': tf.nn.relu, 'tanh': tf.tanh}[row.kind](x)  # an Activation


def convolution(x, weights, biases, *, stride, padding, activation=None):
    """A 2-D convolution with biases.

    Args:
      x: [batch, height, width, channels].
      weights: [height, width, channels / groups, filters], cast to x's type. The convolution is grouped where they
        have fewer input channels than x. biases: [filters].
      padding: 'SAME', 'VALID' or pixels (before, after). activation: a function of the sums; None: linear.

    Returns: [batch, height', width', filters].
    """
    weights, biases = tf.cast(weights, x.dtype), tf.cast(biases, x.dtype)
    groups = x.shape[3] // weights.shape[2]
    if groups < 2:
        return _convolution(x, weights, biases, stride, padding, activation)
    # Each group on its own, which is as fast as one grouped operation. That one cannot be differentiated on a CPU
    # where TensorFlow does not use oneDNN, nor run with biases and ReLU; and a graph may run where it was not made.
    parts = zip(tf.split(x, groups, -1), tf.split(weights, groups, -1), tf.split(biases, groups))
    return tf.concat([_convolution(*part, stride, padding, activation) for part in parts], -1)


def _convolution(x, weights, biases, stride, padding, activation):
    """`convolution` in one group, computed as a matrix product where the kernel covers exactly the whole map.

    There TensorFlow's convolution on a CPU is several times slower than its matrix product, above all backwards.
    """
    kernel, filters = weights.shape[:2], weights.shape[3]
    if covers_map(x, kernel, padding):
        columns = kernel[0] * kernel[1] * weights.shape[2]
        product = tf.matmul(tf.reshape(x, [-1, columns]), tf.reshape(weights, [columns, filters]))
        net = tf.reshape(product, [-1, 1, 1, filters], name='Conv2D')
    else:
        if not isinstance(padding, str):
            # conv2d's own explicit padding is 17 times slower in bfloat16 on a CPU.
            x, padding = tf.pad(x, [[0, 0], padding, padding, [0, 0]]), 'VALID'
        net = tf.nn.conv2d(x, weights, strides=stride, padding=padding)
    net = tf.nn.bias_add(net, biases)
    return activation(net) if activation else net


def covers_map(x, kernel, padding):
    """Whether a kernel [height, width] lies on all of x [batch, height, width, channels], and nowhere else."""
    return x.shape[1:3] == kernel and (padding == 'VALID' or kernel == [1, 1])


def dropout_draws(seed, *, first_row=0, rows=None):
    """Inside it, dropout depends only on `seed` and on an example's place in the whole batch.

    So a resumed run repeats the draws of the interrupted one, and replicas together draw what one device would.

    Args:
      seed: integer tensor [2]. first_row: place in the whole batch of the first example seen here.
      rows: examples in the whole batch; None: all of them are seen here.
    """
    return scopes.within(_dropout_draws, (seed, first_row, rows))


def check_keep_prob(keep_prob):
    """Raises ValueError for a keep_prob outside (0, 1]."""
    if not 0 < keep_prob <= 1:
        raise ValueError(f'dropout_keep_prob is {keep_prob}; it must be above 0 and at most 1.')


def dropout(x, keep_prob, *, training, number=1, rescale=True, part=(0, 1), seed=None):
    """In training, sets each element of x to 0 with probability 1 - keep_prob.

    Args:
      x: [batch, ..., channels].
      training: bool, boolean tensor, or None for False: nothing is dropped.
      number: of this layer among the network's dropout layers; each has its own draws.
      rescale: divide what is kept by keep_prob in training; False: multiply all by keep_prob at test.
      part: (index, parts): x is that part of the channels and gets that part of the whole's draws.
      seed: of the operation that draws, outside of `dropout_draws`; None: TensorFlow counts.

    Raises: ValueError for a keep_prob outside (0, 1].
    """
    check_keep_prob(keep_prob)
    if tf.is_tensor(training):
        # A branch is a graph of its own, where TensorFlow would count draws from 0: every layer would drop alike.
        seed = tf.compat.v1.get_seed(seed)[1]
        branch = functools.partial(dropout, x, keep_prob, number=number, rescale=rescale, part=part, seed=seed)
        return tf.cond(tf.cast(training, tf.bool), lambda: branch(training=True), lambda: branch(training=False))
    if keep_prob == 1 or not training:
        return tf.identity(x if rescale else x * tf.cast(keep_prob, x.dtype))
    if _dropout_draws.get() is None:
        dropped = tf.nn.dropout(x, rate=1 - keep_prob, seed=seed)
        return dropped if rescale else dropped * tf.cast(keep_prob, x.dtype)
    seed, first_row, rows = _dropout_draws.get()
    seed = tf.random.experimental.stateless_fold_in(seed, number)
    batch, channels, (index, parts) = tf.shape(x)[0], x.shape[-1], part
    uniform = tf.random.stateless_uniform(
        tf.concat([[batch if rows is None else rows], tf.shape(x)[1:-1], [channels * parts]], 0), seed)
    kept = uniform[first_row:first_row + batch, ..., index * channels:(index + 1) * channels] < keep_prob
    value = x / tf.cast(keep_prob, x.dtype) if rescale else x
    return tf.where(kept, value, tf.zeros([], x.dtype))
