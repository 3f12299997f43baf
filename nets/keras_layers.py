"""From a table to Keras: one layer a row, named as the row."""
import dataclasses

import tensorflow as tf
import tf_keras

from nets import ops, rows, towers

_register = tf_keras.utils.register_keras_serializable('nets')


def weights_initializer(row, defaults):
    """A Keras initializer (valid for get_variable as well) for a rows.Conv's weights."""
    init = row.init
    if init is None:
        if defaults.weights_initializer is not None:
            return defaults.weights_initializer
        init = rows.GLOROT
    if init.kind == 'glorot_uniform':
        return tf_keras.initializers.GlorotUniform()
    if init.kind == 'normal':
        return tf_keras.initializers.RandomNormal(0.0, init.stddev)
    # Keras rescales a truncated normal nowhere: stddev is that of the normal before it is cut at 2.
    return tf_keras.initializers.TruncatedNormal(0.0, init.stddev)


@_register
class Convolution(tf_keras.layers.Layer):
    """A row of kind Conv. Variables `weights` [height, width, in / groups, out] and `biases` [out].

    Arguments as in `rows.Conv`; squeeze drops the two spatial axes of a 1 x 1 map from the output.
    """

    def __init__(self, filters, kernel, stride=1, padding='SAME', groups=1, activation=None, squeeze=False,
                 weights_initializer='glorot_uniform', biases_initializer='zeros',
                 weights_regularizer=None, biases_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.stride, self.groups = filters, kernel, stride, groups
        self.padding = padding if isinstance(padding, str) else tuple(padding)
        self.squeeze = squeeze
        self.activation = tf_keras.activations.get(activation)
        self.weights_initializer = tf_keras.initializers.get(weights_initializer)
        self.biases_initializer = tf_keras.initializers.get(biases_initializer)
        self.weights_regularizer = tf_keras.regularizers.get(weights_regularizer)
        self.biases_regularizer = tf_keras.regularizers.get(biases_regularizer)

    def build(self, input_shape):
        shape = [self.kernel_size, self.kernel_size, input_shape[-1] // self.groups, self.filters]
        self.kernel = self.add_weight('weights', shape, initializer=self.weights_initializer,
                                      regularizer=self.weights_regularizer)
        self.bias = self.add_weight('biases', [self.filters], initializer=self.biases_initializer,
                                    regularizer=self.biases_regularizer)
        super().build(input_shape)

    def call(self, inputs):
        net = ops.biased_convolution(inputs, self.kernel, self.bias, stride=self.stride, padding=self.padding,
                                     activation=self.activation)
        return tf.squeeze(net, [1, 2]) if self.squeeze else net

    def get_config(self):
        return super().get_config() | {
            'filters': self.filters, 'kernel': self.kernel_size, 'stride': self.stride,
            'padding': self.padding, 'groups': self.groups, 'squeeze': self.squeeze,
            'activation': tf_keras.activations.serialize(self.activation),
            'weights_initializer': tf_keras.initializers.serialize(self.weights_initializer),
            'biases_initializer': tf_keras.initializers.serialize(self.biases_initializer),
            'weights_regularizer': tf_keras.regularizers.serialize(self.weights_regularizer),
            'biases_regularizer': tf_keras.regularizers.serialize(self.biases_regularizer)}


class _Row(tf_keras.layers.Layer):
    """A layer without variables whose arguments are the fields of a row of `kind`."""
    kind = None

    def __init__(self, *, name=None, trainable=True, dtype=None, **fields):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.row = self.kind(name or '', **fields)

    def call(self, inputs):
        return ops.apply(self.row, inputs)

    def get_config(self):
        fields = dataclasses.asdict(self.row)
        return super().get_config() | {key: fields[key] for key in fields if key not in ('name', 'source')}


@_register
class LocalResponseNormalization(_Row):
    """A row of kind LRN; arguments as there."""
    kind = rows.LRN


@_register
class SpatialNormalization(_Row):
    """A row of kind SpatialNorm; arguments as there."""
    kind = rows.SpatialNorm


@_register
class Dropout(tf_keras.layers.Layer):
    """Dropout that follows `ops.dropout_draws`. Active when called with training=True.

    number, rescale: see `ops.dropout`.
    """

    def __init__(self, keep_prob=0.5, number=1, rescale=True, **kwargs):
        super().__init__(**kwargs)
        ops.check_keep_prob(keep_prob)  # here, since a model may not train before long
        self.keep_prob, self.number, self.rescale = keep_prob, number, rescale

    def call(self, inputs, training=None):
        return when(training, lambda training: ops.dropout(
            inputs, self.keep_prob, training=training, number=self.number, rescale=self.rescale))

    def get_config(self):
        return super().get_config() | {'keep_prob': self.keep_prob, 'number': self.number, 'rescale': self.rescale}


def when(training, apply):
    """apply(training: bool), chosen when the step runs where training is a tensor."""
    if tf.is_tensor(training):
        return tf.cond(tf.cast(training, tf.bool), lambda: apply(True), lambda: apply(False))
    return apply(bool(training))


@_register
class TwoTowers(tf_keras.layers.Layer):
    """A row cut over two devices: from two tensors to two tensors, a tower each (`towers.apply`).

    Variables: of a Conv, `part_0/weights`, `part_0/biases` on the first device and `part_1/…` on the second.

    Args:
      row, number: the row and its place in the table. devices: two names.
      Others as in Convolution and Dropout.
    """

    def __init__(self, row, number, devices, activation=None, keep_prob=1.0, dropout_number=1,
                 weights_initializer=None, biases_initializer=None, weights_regularizer=None,
                 biases_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.row, self.number, self.devices = row, number, tuple(devices)
        self.activation, self.keep_prob, self.dropout_number = activation, keep_prob, dropout_number
        self.initializers = weights_initializer, biases_initializer
        self.regularizers = weights_regularizer, biases_regularizer
        self.parts = ((), ())

    def build(self, input_shapes):
        if isinstance(self.row, rows.Conv):
            channels = [shape[-1] for shape in input_shapes]
            if towers.reads_both(self.row, self.number):
                channels = [sum(channels)] * 2
            filters = self.row.filters - self.row.filters // 2, self.row.filters // 2
            # Drawn once for both towers, so that the same seed starts the same network as on one device.
            shape = [self.row.kernel, self.row.kernel, channels[0], self.row.filters]
            start = [tf.split(initializer(shape), filters, -1) for initializer, shape in zip(
                self.initializers, (shape, [self.row.filters]))]
            self.parts = tuple(map(self._part, range(2), self.devices, *start))
        super().build(input_shapes)

    def _part(self, tower, device, weights, biases):
        with tf.device(device):
            return tuple(
                self.add_weight(f'part_{tower}/{name}', start.shape, regularizer=regularizer,
                                initializer=lambda shape, dtype=None, start=start: tf.cast(start, dtype))
                for name, start, regularizer in zip(('weights', 'biases'), (weights, biases), self.regularizers))

    def call(self, inputs, training=None):
        return when(training if isinstance(self.row, rows.Dropout) else False, lambda training: towers.apply(
            self.row, self.number, inputs, self.devices, self.parts, activation=self.activation,
            keep_prob=self.keep_prob, training=training, dropout_number=self.dropout_number))

    def get_config(self):
        raise NotImplementedError('a network on two devices is not saved as a Keras model; save its checkpoint, load '
                                  'that into a network on one device, and save this.')


@_register
class Join(tf_keras.layers.Layer):
    """Both towers' maps as one tensor on a device; squeeze drops the two spatial axes of a 1 x 1 map."""

    def __init__(self, device, squeeze=False, **kwargs):
        super().__init__(**kwargs)
        self.device, self.squeeze = device, squeeze

    def call(self, inputs):
        net = towers.join(inputs, self.device)
        return tf.squeeze(net, [1, 2]) if self.squeeze else net


def build(table, inputs, *, prefix, keep_prob, is_training, spatial_squeeze, defaults, dtype=None, devices=None):
    """Applies a layer a row to the Keras symbolic tensor `inputs`.

    Args:
      table: resolved rows. prefix: put before each row's name to make the layer's.
      is_training: False switches dropout off for good; True leaves it to the call's `training`.
      defaults: a `scopes.ConvDefaults`. dtype: a Keras dtype or policy name for every layer.
      devices: two names: the network is cut over them, a TwoTowers layer a row.

    Returns: (net, end_points), end_points a dictionary from row name to symbolic tensor.
    """
    end_points = {}
    net, dropouts = [inputs, inputs] if devices else inputs, 0
    for number, row in enumerate(table):
        common = {'name': prefix + row.name, 'dtype': dtype}
        is_dropout = isinstance(row, rows.Dropout)
        dropouts += is_dropout
        if devices:
            layer = TwoTowers(row, number, devices, keep_prob=keep_prob, dropout_number=dropouts,
                              **_convolution(row, defaults), **common)
        elif is_dropout:
            layer = Dropout(keep_prob, dropouts, row.rescale, **common)
        else:
            layer = _layer(row, spatial_squeeze, defaults, common)
        net = layer(net, training=False) if is_dropout and not is_training else layer(net)
        if not is_dropout:
            squeeze = spatial_squeeze and row.name == 'fc8'
            end_points[row.name] = Join(devices[0], squeeze, name=f'{prefix}{row.name}/joined', dtype=dtype)(
                net) if devices else net
    return end_points[table[-1].name] if devices else net, end_points


def _layer(row, spatial_squeeze, defaults, common):
    if isinstance(row, rows.Conv):
        return Convolution(row.filters, row.kernel, row.stride, row.padding, row.groups,
                           squeeze=spatial_squeeze and row.name == 'fc8', **_convolution(row, defaults), **common)
    if isinstance(row, rows.LRN):
        return LocalResponseNormalization(**_fields(row), **common)
    if isinstance(row, rows.SpatialNorm):
        return SpatialNormalization(**_fields(row), **common)
    if isinstance(row, rows.MaxPool):
        return tf_keras.layers.MaxPool2D(row.size, row.stride, 'valid', **common)
    if isinstance(row, rows.Activation):
        return tf_keras.layers.Activation(row.kind, **common)
    return tf_keras.layers.GlobalAveragePooling2D(keepdims=True, **common)


def _fields(row):
    return {key: value for key, value in vars(row).items() if key not in ('name', 'source')}


def _convolution(row, defaults):
    """The arguments of a Conv's layer that the arg scope has a say in."""
    if not isinstance(row, rows.Conv):
        return {}
    bias = row.bias if row.bias is not None else defaults.biases_initializer
    return {
        'activation': defaults.activation_fn if row.relu else None,
        'weights_initializer': weights_initializer(row, defaults),
        'biases_initializer': bias if callable(bias) else tf_keras.initializers.Constant(bias or 0.0),
        'weights_regularizer': defaults.weights_regularizer,
        'biases_regularizer': defaults.biases_regularizer,
        'trainable': defaults.trainable}
