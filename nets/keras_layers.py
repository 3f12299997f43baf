"""From a table to Keras: one layer a row, named as the row."""
import tensorflow as tf
import tf_keras

from nets import ops, rows

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
        net = ops.convolution(inputs, self.kernel, stride=self.stride, padding=self.padding)
        net = self.activation(tf.nn.bias_add(net, tf.cast(self.bias, net.dtype)))
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


@_register
class LocalResponseNormalization(tf_keras.layers.Layer):
    """A row of kind LRN; arguments as there."""

    def __init__(self, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        self.settings = {'depth_radius': depth_radius, 'bias': bias, 'alpha': alpha, 'beta': beta}

    def call(self, inputs):
        return ops.local_response_normalization(inputs, **self.settings)

    def get_config(self):
        return super().get_config() | self.settings


@_register
class Dropout(tf_keras.layers.Layer):
    """Dropout that follows `ops.dropout_draws`. Active when called with training=True."""

    def __init__(self, keep_prob=0.5, **kwargs):
        super().__init__(**kwargs)
        ops.check_keep_prob(keep_prob)  # here, since a model may not train before long
        self.keep_prob = keep_prob

    def call(self, inputs, training=None):
        if tf.is_tensor(training):
            return tf.cond(tf.cast(training, tf.bool), lambda: ops.dropout(inputs, self.keep_prob),
                           lambda: inputs)
        return ops.dropout(inputs, self.keep_prob) if training else tf.identity(inputs)

    def get_config(self):
        return super().get_config() | {'keep_prob': self.keep_prob}


def build(table, inputs, *, prefix, keep_prob, is_training, spatial_squeeze, defaults, dtype=None):
    """Applies a layer a row to the Keras symbolic tensor `inputs`.

    Args:
      table: resolved rows. prefix: put before each row's name to make the layer's.
      is_training: False switches dropout off for good; True leaves it to the call's `training`.
      defaults: a `scopes.ConvDefaults`. dtype: a Keras dtype or policy name for every layer.

    Returns: (net, end_points), end_points a dictionary from row name to symbolic tensor.
    """
    end_points = {}
    net = inputs
    for row in table:
        common = {'name': prefix + row.name, 'dtype': dtype}
        if isinstance(row, rows.Dropout):
            net = Dropout(keep_prob if is_training else 1.0, **common)(net)
            continue
        net = end_points[row.name] = _layer(row, spatial_squeeze, defaults, common)(net)
    return net, end_points


def _layer(row, spatial_squeeze, defaults, common):
    if isinstance(row, rows.LRN):
        return LocalResponseNormalization(row.depth_radius, row.bias, row.alpha, row.beta, **common)
    if isinstance(row, rows.MaxPool):
        return tf_keras.layers.MaxPool2D(row.size, row.stride, 'valid', **common)
    if isinstance(row, rows.GlobalPool):
        return tf_keras.layers.GlobalAveragePooling2D(keepdims=True, **common)
    bias = row.bias if row.bias is not None else defaults.biases_initializer
    return Convolution(
        row.filters, row.kernel, row.stride, row.padding, row.groups,
        activation=defaults.activation_fn if row.relu else None,
        squeeze=spatial_squeeze and row.name == 'fc8',
        weights_initializer=weights_initializer(row, defaults),
        biases_initializer=bias if callable(bias) else tf_keras.initializers.Constant(bias or 0.0),
        weights_regularizer=defaults.weights_regularizer,
        biases_regularizer=defaults.biases_regularizer,
        trainable=defaults.trainable, **common)
