"""From a table to Keras: one layer a row, named as the row."""
import tensorflow as tf
import tf_keras

from nets import ops, rows, scopes, towers

_register = tf_keras.utils.register_keras_serializable('nets')


@_register
class Convolution(tf_keras.layers.Layer):
    """A Conv row; arguments as there. Variables: `weights` [height, width, in / groups, out] and `biases` [out]."""

    def __init__(self, filters, kernel, stride=1, *, padding='SAME', groups=1, activation=None, squeeze=False,
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
        net = ops.convolution(inputs, self.kernel, self.bias, stride=self.stride, padding=self.padding,
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
    """A layer without variables; its arguments are the fields of `kind`, a class of rows."""

    def __init__(self, *, name=None, trainable=True, dtype=None, **fields):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.row = self.kind(name or '', **fields)

    def call(self, inputs):
        return ops.apply(self.row, inputs)

    def get_config(self):
        return super().get_config() | self.row.fields()


@_register
class LocalResponseNormalization(_Row):
    """An LRN row; arguments as there."""
    kind = rows.LRN


@_register
class SpatialNormalization(_Row):
    """A SpatialNorm row; arguments as there."""
    kind = rows.SpatialNorm


@_register
class Dropout(tf_keras.layers.Layer):
    """Dropout that follows `ops.dropout_draws`, when called with training=True; arguments as of `ops.dropout`."""

    def __init__(self, keep_prob=0.5, number=1, rescale=True, **kwargs):
        super().__init__(**kwargs)
        ops.check_keep_prob(keep_prob)  # now, since the first training step may be long after
        self.keep_prob, self.number, self.rescale = keep_prob, number, rescale

    def call(self, inputs, training=None):
        return ops.dropout(inputs, self.keep_prob, training=training, number=self.number, rescale=self.rescale)

    def get_config(self):
        return super().get_config() | {'keep_prob': self.keep_prob, 'number': self.number, 'rescale': self.rescale}


class TwoTowers(tf_keras.layers.Layer):
    """A row cut over two devices (`towers.apply`): from two tensors, or the images, to two tensors, one a tower.

    A Conv has settings (`scopes.ConvDefaults.of` the row), and variables `part_0/weights` and `part_0/biases` on the
    first device, `part_1/…` on the second.
    """

    def __init__(self, row, devices, settings=None, **kwargs):
        super().__init__(**kwargs)
        self.row, self.devices, self.settings = row, tuple(devices), settings
        self.parts = ()

    def build(self, input_shapes):
        if isinstance(self.row, rows.Conv):
            shapes = input_shapes if isinstance(input_shapes, list) else [input_shapes]
            channels = sum(shape[-1] for shape in shapes) // self.row.groups
            # Drawn once for both towers, so that the same seed starts the same network as on one device.
            weights = self.settings.weights_initializer([self.row.kernel, self.row.kernel, channels, self.row.filters])
            biases = self.settings.biases_initializer([self.row.filters])
            self.parts = [(self._half(tower, 'weights', weights, self.settings.weights_regularizer),
                           self._half(tower, 'biases', biases, self.settings.biases_regularizer)) for tower in (0, 1)]
        super().build(input_shapes)

    def _half(self, tower, name, whole, regularizer):
        kernels = whole.shape[-1]
        start = tf.split(whole, [kernels - kernels // 2, kernels // 2], -1)[tower]
        with tf.device(self.devices[tower]):
            return self.add_weight(f'part_{tower}/{name}', start.shape, regularizer=regularizer,
                                   initializer=lambda shape, dtype=None: tf.cast(start, dtype))

    def call(self, inputs, training=None):
        activation = self.settings and self.settings.activation_fn
        return towers.apply(self.row, inputs, self.devices, self.parts, activation=activation, training=training)

    def get_config(self):
        raise NotImplementedError('a network on two devices cannot be saved as a Keras model. Save its checkpoint, '
                                  'load that into a network on one device, and save this one.')


class Join(tf_keras.layers.Layer):
    """Both towers' maps as one tensor on a device; squeeze drops the two spatial axes of a 1 x 1 map."""

    def __init__(self, device, squeeze=False, **kwargs):
        super().__init__(**kwargs)
        self.device, self.squeeze = device, squeeze

    def call(self, inputs):
        net = towers.join(inputs, self.device)
        return tf.squeeze(net, [1, 2]) if self.squeeze else net


def build(table, inputs, *, prefix='', is_training=True, dtype=None, devices=None):
    """Applies a layer a row to the Keras symbolic tensor `inputs`, with the defaults of the arg scope in force.

    Args:
      table: resolved rows. prefix: put before each row's name in the names of layers and end points.
      is_training: False switches dropout off for good; True leaves it to the call's `training`.
      dtype: a Keras dtype or policy name. devices: two names, to cut the network over (`towers`).

    Returns: (net, end_points), end_points a dictionary from prefix and row name to symbolic tensor.
    """
    defaults = scopes.current_defaults()
    net = whole = inputs
    end_points = {}
    for row in table:
        name = prefix + row.name
        layer = _layer(row, devices, defaults, name=name, dtype=dtype)
        if isinstance(row, rows.Dropout):
            net = whole = layer(net) if is_training else layer(net, training=False)
            continue
        net = whole = layer(net)
        if devices:
            squeeze = isinstance(row, rows.Conv) and row.squeeze
            whole = Join(devices[0], squeeze, name=f'{name}/joined', dtype=dtype)(net)
        end_points[row.name if isinstance(row, rows.GlobalPool) else name] = whole
    return whole, end_points


def _layer(row, devices, defaults, **common):
    settings = defaults.of(row) if isinstance(row, rows.Conv) else None
    if devices:
        return TwoTowers(row, devices, settings, trainable=settings is None or settings.trainable, **common)
    if settings:
        others = dict(vars(settings))
        return Convolution(row.filters, row.kernel, row.stride, padding=row.padding, groups=row.groups,
                           squeeze=row.squeeze, activation=others.pop('activation_fn'), **others, **common)
    kinds = {rows.LRN: LocalResponseNormalization, rows.SpatialNorm: SpatialNormalization, rows.Dropout: Dropout}
    if type(row) in kinds:
        return kinds[type(row)](**row.fields(), **common)
    if isinstance(row, rows.MaxPool):
        return tf_keras.layers.MaxPool2D(row.size, row.stride, 'valid', **common)
    if isinstance(row, rows.Activation):
        return tf_keras.layers.Activation(row.kind, **common)
    return tf_keras.layers.GlobalAveragePooling2D(keepdims=True, **common)
