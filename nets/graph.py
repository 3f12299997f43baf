"""From a table to a TF1-style graph: variables by name in variable scopes, slim's collections."""
import contextlib

import tensorflow as tf

from nets import ops, rows, scopes, towers

v1 = tf.compat.v1


def build(table, inputs, *, scope, default_scope, is_training, devices=None):
    """Builds the network in the current tf.Graph, with the defaults of the arg scope in force.

    Args:
      table: resolved rows. inputs: [batch, height, width, 3].
      scope, default_scope: as in `tf.compat.v1.variable_scope`.
      is_training: bool or boolean tensor.
      devices: two names: the network is cut over them (`towers`).

    Returns: (net, end_points), end_points a dictionary from `scope/row` to the row's output.
    """
    defaults = scopes.current_defaults()
    net = halves = tf.convert_to_tensor(inputs)
    end_points = {}
    with v1.variable_scope(scope, default_scope, [inputs]) as outer:
        for row in table:
            with _scope(row) as inner:
                if devices:
                    halves = _apply_on_two(row, halves, net.shape[3], devices, defaults, is_training)
                    net = towers.join(halves, devices[0])
                else:
                    net = _apply(row, net, defaults, is_training)
            if isinstance(row, rows.Conv):
                net = tf.squeeze(net, [1, 2], name=f'{row.name}/squeezed') if row.squeeze else net
                end_points[inner.name] = net
            elif isinstance(row, rows.GlobalPool):
                end_points[row.name] = net
            elif not isinstance(row, rows.Dropout):
                end_points[f'{outer.name}/{row.name}'] = net
    return net, end_points


def _scope(row):
    if isinstance(row, rows.Conv):
        return v1.variable_scope(row.name)
    return contextlib.nullcontext() if isinstance(row, rows.GlobalPool) else tf.name_scope(row.name)


def _apply(row, net, defaults, is_training):
    if isinstance(row, rows.Conv):
        settings = defaults.of(row)
        return ops.apply(row, net, _variables(row, net.shape[3], settings), activation=settings.activation_fn)
    return _when_dropout(row, is_training, lambda training: ops.apply(row, net, training=training))


def _apply_on_two(row, halves, channels, devices, defaults, is_training):
    if isinstance(row, rows.Conv):
        settings = defaults.of(row)
        with v1.device(lambda op: devices['/part_1' in op.name]):
            variables = _variables(row, channels, settings, parts=2)
        return towers.apply(row, halves, devices, list(zip(*map(list, variables))), activation=settings.activation_fn)
    return _when_dropout(row, is_training, lambda training: towers.apply(row, halves, devices, training=training))


def _when_dropout(row, is_training, apply):
    return ops.when(is_training, apply) if isinstance(row, rows.Dropout) else apply(False)


def _variables(row, channels, settings, parts=None):
    """(weights, biases) of a Conv over so many channels, cut along the kernels into `parts` (None: not cut)."""
    def variable(name, shape, initializer, regularizer):
        return v1.get_variable(
            name, shape, tf.float32, initializer, regularizer, trainable=settings.trainable,
            partitioner=parts and v1.fixed_size_partitioner(parts, axis=len(shape) - 1),
            collections=[v1.GraphKeys.GLOBAL_VARIABLES, v1.GraphKeys.MODEL_VARIABLES])
    return (variable('weights', [row.kernel, row.kernel, channels // row.groups, row.filters],
                     settings.weights_initializer, settings.weights_regularizer),
            variable('biases', [row.filters], settings.biases_initializer, settings.biases_regularizer))
