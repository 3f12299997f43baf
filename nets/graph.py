"""From a table to a TF1-style graph: variables by name in variable scopes, slim's collections."""
import tensorflow as tf

from nets import ops, rows
from nets.keras_layers import weights_initializer

v1 = tf.compat.v1


def build(table, inputs, *, scope, default_scope, is_training, keep_prob, spatial_squeeze, defaults):
    """Builds the network in the current tf.Graph.

    Args:
      table: resolved rows. inputs: [batch, height, width, 3].
      scope, default_scope: as in `tf.compat.v1.variable_scope`.
      is_training: bool or boolean tensor. defaults: a `scopes.ConvDefaults`.

    Returns: (net, end_points), end_points a dictionary from `scope/row` to the row's output.
    """
    end_points = {}
    net = tf.convert_to_tensor(inputs)
    with v1.variable_scope(scope, default_scope, [inputs]) as outer:
        for row in table:
            if isinstance(row, rows.Conv):
                with v1.variable_scope(row.name) as inner:
                    net = end_points[inner.name] = _conv(row, net, defaults)
            elif isinstance(row, rows.LRN):
                with tf.name_scope(row.name):
                    net = end_points[f'{outer.name}/{row.name}'] = ops.local_response_normalization(
                        net, depth_radius=row.depth_radius, bias=row.bias, alpha=row.alpha, beta=row.beta)
            elif isinstance(row, rows.MaxPool):
                with tf.name_scope(row.name):
                    net = end_points[f'{outer.name}/{row.name}'] = tf.nn.max_pool2d(
                        net, row.size, row.stride, 'VALID', name='MaxPool')
            elif isinstance(row, rows.GlobalPool):
                net = end_points[row.name] = tf.reduce_mean(net, [1, 2], keepdims=True, name=row.name)
            else:
                with tf.name_scope(row.name):
                    net = _dropout(net, keep_prob, is_training)
        if spatial_squeeze and table[-1].name == 'fc8':
            net = end_points[f'{outer.name}/fc8'] = tf.squeeze(net, [1, 2], name='fc8/squeezed')
    return net, end_points


def _conv(row, net, defaults):
    channels = net.shape[3] // row.groups
    weights = _variable('weights', [row.kernel, row.kernel, channels, row.filters],
                        weights_initializer(row, defaults), defaults.weights_regularizer, defaults)
    bias = row.bias if row.bias is not None else defaults.biases_initializer
    if not callable(bias):
        bias = v1.constant_initializer(bias or 0.0)
    biases = _variable('biases', [row.filters], bias, defaults.biases_regularizer, defaults)
    net = ops.convolution(net, weights, stride=row.stride, padding=row.padding, name='Conv2D')
    net = tf.nn.bias_add(net, tf.cast(biases, net.dtype), name='BiasAdd')
    return defaults.activation_fn(net) if row.relu and defaults.activation_fn else net


def _variable(name, shape, initializer, regularizer, defaults):
    return v1.get_variable(
        name, shape, tf.float32, initializer, regularizer, trainable=defaults.trainable,
        collections=[v1.GraphKeys.GLOBAL_VARIABLES, v1.GraphKeys.MODEL_VARIABLES])


def _dropout(net, keep_prob, is_training):
    if tf.is_tensor(is_training):
        return tf.cond(is_training, lambda: ops.dropout(net, keep_prob), lambda: net)
    return ops.dropout(net, keep_prob) if is_training else net
