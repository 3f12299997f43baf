"""From a table to a TF1-style graph: variables by name in variable scopes, slim's collections."""
import contextlib

import tensorflow as tf

from nets import ops, rows, scopes, towers

v1 = tf.compat.v1


def build(table, inputs, *, scope, default_scope, is_training, devices=None):
    """Builds the network in the current tf.Graph, with the defaults of the arg scope in force.

    Args:
      table: resolved rows. inputs: [batch, height, width, 3]. is_training: bool or boolean tensor.
      scope, default_scope: as in `tf.compat.v1.variable_scope`. devices: two names, to cut the network over (`towers`).

    Returns: (net, end_points), end_points a dictionary from `scope/row` to the row's output.
    """
    defaults = scopes.current_defaults()
    net = halves = tf.convert_to_tensor(inputs)
    end_points = {}
    with v1.variable_scope(scope, default_scope, [inputs]) as outer:
        for row in table:
            with _scope(row):
                variables, activation = (), None
                if isinstance(row, rows.Conv):
                    settings = defaults.of(row)
                    variables, activation = _variables(row, net.shape[3], settings, devices), settings.activation_fn
                if devices:
                    halves = towers.apply(row, halves, devices, variables, activation=activation, training=is_training)
                    net = towers.join(halves, devices[0])
                else:
                    net = ops.apply(row, net, variables, activation=activation, training=is_training)
            if isinstance(row, rows.Conv) and row.squeeze:
                net = tf.squeeze(net, [1, 2], name=f'{row.name}/squeezed')
            if not isinstance(row, rows.Dropout):
                end_points[row.name if isinstance(row, rows.GlobalPool) else f'{outer.name}/{row.name}'] = net
    return net, end_points


def _scope(row):
    if isinstance(row, rows.Conv):
        return v1.variable_scope(row.name)
    return contextlib.nullcontext() if isinstance(row, rows.GlobalPool) else tf.name_scope(row.name)


def _variables(row, channels, settings, devices):
    """(weights, biases) of a Conv over so many channels; on two devices such a pair for each tower."""
    def variable(name, shape, initializer, regularizer):
        return v1.get_variable(
            name, shape, tf.float32, initializer, regularizer, trainable=settings.trainable,
            partitioner=v1.fixed_size_partitioner(2, axis=len(shape) - 1) if devices else None,
            collections=[v1.GraphKeys.GLOBAL_VARIABLES, v1.GraphKeys.MODEL_VARIABLES])
    with v1.device(lambda op: devices['/part_1' in op.name]) if devices else contextlib.nullcontext():
        weights = variable('weights', [row.kernel, row.kernel, channels // row.groups, row.filters],
                           settings.weights_initializer, settings.weights_regularizer)
        biases = variable('biases', [row.filters], settings.biases_initializer, settings.biases_regularizer)
    return list(zip(weights, biases)) if devices else (weights, biases)
