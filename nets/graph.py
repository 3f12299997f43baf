"""From a table to a TF1-style graph: variables by name in variable scopes, slim's collections."""
import contextlib

import tensorflow as tf

from nets import ops, rows, towers
from nets.keras_layers import weights_initializer

v1 = tf.compat.v1


def build(table, inputs, *, scope, default_scope, is_training, keep_prob, spatial_squeeze, defaults, devices=None):
    """Builds the network in the current tf.Graph.

    Args:
      table: resolved rows. inputs: [batch, height, width, 3].
      scope, default_scope: as in `tf.compat.v1.variable_scope`.
      is_training: bool or boolean tensor. defaults: a `scopes.ConvDefaults`.
      devices: two names: the network is cut over them (`towers`).

    Returns: (net, end_points), end_points a dictionary from `scope/row` to the row's output.
    """
    end_points = {}
    net = tf.convert_to_tensor(inputs)
    halves, dropouts = [net, net], 0
    with v1.variable_scope(scope, default_scope, [inputs]) as outer:
        for number, row in enumerate(table):
            dropouts += isinstance(row, rows.Dropout)
            with _scope(row) as inner:
                if devices:
                    halves = _towers(row, number, halves, devices, defaults, keep_prob, is_training, dropouts)
                    net = towers.join(halves, devices[0])
                elif isinstance(row, rows.Conv):
                    net = _conv(row, net, defaults)
                elif isinstance(row, rows.Dropout):
                    net = _dropout(is_training, lambda training, net=net, row=row, number=dropouts: ops.dropout(
                        net, keep_prob, training=training, number=number, rescale=row.rescale))
                else:
                    net = ops.apply(row, net)
            if isinstance(row, rows.Conv):
                end_points[inner.name] = net
            elif isinstance(row, rows.GlobalPool):
                end_points[row.name] = net
            elif not isinstance(row, rows.Dropout):
                end_points[f'{outer.name}/{row.name}'] = net
        if spatial_squeeze and table[-1].name == 'fc8':
            net = end_points[f'{outer.name}/fc8'] = tf.squeeze(net, [1, 2], name='fc8/squeezed')
    return net, end_points


def _scope(row):
    if isinstance(row, rows.Conv):
        return v1.variable_scope(row.name)
    return contextlib.nullcontext() if isinstance(row, rows.GlobalPool) else tf.name_scope(row.name)


def _conv(row, net, defaults):
    weights, biases = _variables(row, net.shape[3] // row.groups, defaults)
    return ops.biased_convolution(net, weights, biases, stride=row.stride, padding=row.padding,
                                  activation=defaults.activation_fn if row.relu else None)


def _towers(row, number, halves, devices, defaults, keep_prob, is_training, dropouts):
    variables = ((), ())
    if isinstance(row, rows.Conv):
        channels = halves[0].shape[3] * (2 if towers.reads_both(row, number) else 1)

        def place(op):
            return devices['/part_1' in op.name]
        with v1.device(place):
            variables = list(zip(*map(list, _variables(
                row, channels, defaults, v1.fixed_size_partitioner(2, axis=3), v1.fixed_size_partitioner(2)))))
    return _dropout(is_training if isinstance(row, rows.Dropout) else False, lambda training: towers.apply(
        row, number, halves, devices, variables, keep_prob=keep_prob, training=training, dropout_number=dropouts,
        activation=defaults.activation_fn if isinstance(row, rows.Conv) and row.relu else None))


def _variables(row, channels, defaults, weights_partitioner=None, biases_partitioner=None):
    bias = row.bias if row.bias is not None else defaults.biases_initializer
    if not callable(bias):
        bias = v1.constant_initializer(bias or 0.0)
    weights = _variable('weights', [row.kernel, row.kernel, channels, row.filters],
                        weights_initializer(row, defaults), defaults.weights_regularizer, defaults, weights_partitioner)
    biases = _variable('biases', [row.filters], bias, defaults.biases_regularizer, defaults, biases_partitioner)
    return weights, biases


def _variable(name, shape, initializer, regularizer, defaults, partitioner):
    return v1.get_variable(
        name, shape, tf.float32, initializer, regularizer, trainable=defaults.trainable, partitioner=partitioner,
        collections=[v1.GraphKeys.GLOBAL_VARIABLES, v1.GraphKeys.MODEL_VARIABLES])


def _dropout(is_training, apply):
    """apply(training: bool), chosen when the graph runs where is_training is a tensor."""
    if tf.is_tensor(is_training):
        return tf.cond(is_training, lambda: apply(True), lambda: apply(False))
    return apply(bool(is_training))
