"""AlexNet (2012) and slim's alexnet_v2, each a table that everything else reads.

Images are float [batch, 224, 224, 3], RGB 0..255 less the training set's mean.
`python -m nets.alexnet` prints both tables with shapes, parameters and multiply-adds.

Sources. paper: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012. program: the original 2012 program, layers/layers-145.cfg. Caffe: bvlc_alexnet.
The three disagree: `variant` chooses among them, by default the paper.
slim: tf_slim 1.1.0 nets/alexnet.py, after the same author's arXiv:1404.5997.
"""
import tensorflow as tf
import tf_keras

from nets import graph, keras_layers, rows, scopes, towers
from nets.rows import LRN, Activation, Conv, Dropout, Init, MaxPool, SpatialNorm

N01 = Init('normal', 0.01)
N03 = Init('normal', 0.03)
N005 = Init('normal', 0.005)
T005 = Init('truncated_normal', 0.005)

# Biases: 0.1 where the paper (section 5) has 1. With 1 the loss stays at ln(classes), as Caffe's authors saw and we
# did too. `hidden_bias=1` gives the paper's values.
ALEXNET = (
    # 224 pixels give maps of 55 x 55 only with 3 more pixels at the end, which the program adds.
    Conv('conv1', 96, 11, 4, padding=(0, 3), init=N01, bias=0, source='paper 3.5; padding: program'),
    LRN('norm1', source='paper 3.3'),
    MaxPool('pool1', 3, 2, source='paper 3.4'),
    Conv('conv2', 256, 5, groups=2, init=N01, bias=0.1, source='paper 3.5; bias: Caffe'),
    LRN('norm2', source='paper 3.3'),
    MaxPool('pool2', 3, 2, source='paper 3.4'),
    Conv('conv3', 384, 3, init=N01, bias=0, source='paper 3.5'),
    Conv('conv4', 384, 3, groups=2, init=N01, bias=0.1, source='paper 3.5; bias: Caffe'),
    Conv('conv5', 256, 3, groups=2, init=N01, bias=0.1, source='paper 3.5; bias: Caffe'),
    MaxPool('pool5', 3, 2, source='paper 3.4'),
    Conv('fc6', 4096, 6, padding='VALID', init=N01, bias=0.1, source='paper 3.5; bias: Caffe'),
    Dropout('dropout6', source='paper 4.2'),
    Conv('fc7', 4096, 1, init=N01, bias=0.1, source='paper 3.5; bias: Caffe'),
    Dropout('dropout7', source='paper 4.2'),
    Conv('fc8', None, 1, relu=False, init=N01, bias=0, source='paper 3.5'),
)

# Where the original program differs. The paper, too, halves at test. Its table divides in training instead, as
# TensorFlow does, which is the same in expectation; `dropout_rescale=False` gives the paper's form.
ALEXNET_SOURCE = rows.changed(
    ALEXNET,
    conv1={'relu': False, 'source': 'program: ReLU after the pool'},
    norm1={'alpha': 2e-5, 'groups': 2, 'source': 'program: scale / size, within a tower'},
    pool1=(MaxPool('pool1', 3, 2, source='program'), Activation('relu1', source='program')),
    conv2={'bias': 1, 'source': 'program'},
    norm2=(LRN('norm2', alpha=2e-5, groups=2, source='program: scale / size, within a tower'),
           SpatialNorm('norm2b', 5, 1, 1e-3 / 25, 0.75, source='program: within a map')),
    conv3={'init': N03, 'source': 'program'},
    conv4={'init': N03, 'bias': 1, 'source': 'program'},
    conv5={'init': N03, 'bias': 1, 'relu': False, 'source': 'program: ReLU after the pool'},
    pool5=(MaxPool('pool5', 3, 2, source='program'), Activation('relu5', source='program')),
    fc6={'bias': 1, 'source': 'program'},
    fc7={'bias': 1, 'source': 'program'},
    dropout6={'rescale': False, 'source': 'program: halved at test'},
    dropout7={'rescale': False, 'source': 'program: halved at test'},
)

# Where Caffe differs.
ALEXNET_CAFFE = rows.changed(
    ALEXNET,
    conv1={'padding': 'VALID', 'source': 'Caffe: 227 pixels'},
    norm1={'alpha': 2e-5, 'bias': 1, 'source': 'Caffe: alpha / size, k 1'},
    norm2={'alpha': 2e-5, 'bias': 1, 'source': 'Caffe: alpha / size, k 1'},
    fc6={'init': N005, 'source': 'Caffe'},
    fc7={'init': N005, 'source': 'Caffe'},
)

VARIANTS = {'paper': ALEXNET, 'source': ALEXNET_SOURCE, 'caffe': ALEXNET_CAFFE}
IMAGE_SIZES = {'paper': 224, 'source': 224, 'caffe': 227}  # pixels

ALEXNET_V2 = (
    Conv('conv1', 64, 11, 4, padding='VALID', source='slim'),
    MaxPool('pool1', 3, 2, source='slim'),
    Conv('conv2', 192, 5, source='slim'),
    MaxPool('pool2', 3, 2, source='slim'),
    Conv('conv3', 384, 3, source='slim'),
    Conv('conv4', 384, 3, source='slim'),
    Conv('conv5', 256, 3, source='slim'),
    MaxPool('pool5', 3, 2, source='slim'),
    Conv('fc6', 4096, 5, padding='VALID', init=T005, bias=0.1, source='slim'),
    Dropout('dropout6', source='slim'),
    Conv('fc7', 4096, 1, init=T005, bias=0.1, source='slim'),
    Dropout('dropout7', source='slim'),
    Conv('fc8', None, 1, relu=False, init=T005, bias=0, source='slim'),
)


def alexnet_v2_arg_scope(weight_decay=0.0005):
    """Slim's arg scope for alexnet_v2: weight decay, and initial biases of 0.1.

    Args:
      weight_decay: s in the loss s * sum(w^2) / 2 that each layer's weights (not its biases) add; 0 or None: none.

    Returns: a scope for `nets.arg_scope` or `tf_slim.arg_scope`.

    Raises: ValueError for a weight_decay below 0.
    """
    return _arg_scope(weight_decay, biases_initializer=tf_keras.initializers.Constant(0.1))


def alexnet_arg_scope(weight_decay=0.0005):
    """As alexnet_v2_arg_scope, for alexnet, whose table has its own initial biases."""
    return _arg_scope(weight_decay)


def _arg_scope(weight_decay, **defaults):
    if weight_decay and weight_decay < 0:
        raise ValueError(f'weight_decay is {weight_decay}; it must be ≥ 0.')
    # Keras' L2(l) is l * sum(w^2), without the half.
    regularizer = tf_keras.regularizers.L2(weight_decay / 2) if weight_decay else None
    return scopes.conv_scope(activation_fn=tf.nn.relu, weights_regularizer=regularizer, **defaults)


def alexnet_v2(inputs, num_classes=1000, is_training=True, dropout_keep_prob=0.5, spatial_squeeze=True,
               scope='alexnet_v2', global_pool=False):
    """Slim's AlexNet version 2, with slim's variables, collections and end_points.

    Works in a TF1-style tf.Graph (variable scopes, reuse) and on tf_keras symbolic tensors.

    Args:
      inputs: float [batch, height, width, 3]: 224 x 224, or larger with spatial_squeeze=False or global_pool=True.
      num_classes: None or 0 returns the input of the classifier instead of logits.
      is_training: whether dropout is active: a bool, or in a graph a boolean tensor. On Keras tensors True leaves it
        to Keras: active in fit, not in predict.
      dropout_keep_prob: share of activations kept, in (0, 1]; kept ones are divided by it.
      spatial_squeeze: drop the logits' two spatial axes of size 1.
      scope: variable scope; on Keras tensors the prefix of the layers' names.
      global_pool: average fc7 over height and width, so that images of any size give one row of logits.

    Returns: (net, end_points). net: logits [batch, num_classes], or [batch, h, w, num_classes] where they are not
      squeezed, or [batch, h, w, 4096] without classes. end_points: `scope/row` -> that row's output.

    Raises: ValueError for an image below the minimum size, for arguments out of range, and for eager tensors or
      inside tf.function, where a function can't own variables.
    """
    return _build(ALEXNET_V2, 'alexnet_v2', inputs, scope=scope, is_training=is_training, num_classes=num_classes,
                  dropout_keep_prob=dropout_keep_prob, spatial_squeeze=spatial_squeeze, global_pool=global_pool)


def alexnet(inputs, num_classes=1000, is_training=True, dropout_keep_prob=0.5, spatial_squeeze=True,
            scope='alexnet', global_pool=False, variant='paper', devices=None):
    """AlexNet of 2012: local response normalization, overlapping pooling, two groups in conv2, 4 and 5.

    Other arguments, result and errors as of alexnet_v2. 224 x 224 images ('caffe': 227 x 227) give 55 x 55 maps.

    Args:
      variant: whose AlexNet, where the sources disagree: 'paper', 'source' (the original program) or 'caffe'. 'paper'
        has Caffe's initial biases of 0.1 and rescales dropout in training; AlexNet has arguments for the paper's own.
      devices: two names, as ('/GPU:0', '/GPU:1'): the paper's two towers, each with its variables on its
        device. A Saver's checkpoint of them is that of one device.
    """
    return _build(variant_table(variant), 'alexnet', inputs, scope=scope, is_training=is_training, devices=devices,
                  num_classes=num_classes, dropout_keep_prob=dropout_keep_prob, spatial_squeeze=spatial_squeeze,
                  global_pool=global_pool)


alexnet.default_image_size = alexnet_v2.default_image_size = 224


def variant_table(variant):
    """The table of one of VARIANTS. Raises ValueError for another name."""
    if variant not in VARIANTS:
        raise ValueError(f'variant is {variant!r}; it must be one of {", ".join(VARIANTS)}.')
    return VARIANTS[variant]


def has_unscaled_dropout(variant):
    """Whether the variant multiplies by dropout_keep_prob at test."""
    return not all(row.rescale for row in variant_table(variant) if isinstance(row, Dropout))


def AlexNet(num_classes=1000, *, variant='paper', devices=None, input_shape=None, dropout_keep_prob=0.5,
            dropout_rescale=None, spatial_squeeze=True, global_pool=False, weight_decay=0.0, hidden_bias=None,
            initial_values=None, dtype=None, name='alexnet'):
    """AlexNet of 2012 as a tf_keras model with a layer a row: conv1, norm1, pool1, … fc8.

    Args:
      num_classes, dropout_keep_prob, spatial_squeeze, global_pool: as of alexnet_v2.
      variant: as of alexnet.
      devices: as of alexnet; Keras cannot save such a model, but nets.slim_checkpoints can.
      input_shape: (height, width, 3), default the variant's (224, 224, 3) or (227, 227, 3). None as height or width:
        any size, with spatial_squeeze=False or global_pool=True, but slower fully connected layers.
      dropout_rescale: True: kept values are divided by dropout_keep_prob in training. False: all are
        multiplied by it at test, as in the original program. None: as the variant has it.
      weight_decay: as of alexnet_v2_arg_scope. Leave it at 0 for an optimizer that decays weights itself.
      initial_values: another variant, whose initial weights and biases to take.
      hidden_bias: initial biases of conv2, conv4, conv5, fc6, fc7: 0.1 (Caffe) or 1 (the paper). None: those of
        the table of initial_values, where 'paper' has Caffe's 0.1.
      dtype: Keras policy of the layers, for example 'mixed_bfloat16'; None: the global policy.

    Returns: a model from float images (RGB 0..255 less the mean) to logits.

    Raises: ValueError for an image below the minimum size and for arguments out of range.
    """
    start = {row.name: row for row in variant_table(initial_values or variant)}
    table = rows.each(variant_table(variant), Conv,
                      lambda row: {'init': start[row.name].init, 'bias': start[row.name].bias})
    if dropout_rescale is not None:
        table = rows.each(table, Dropout, lambda row: {'rescale': dropout_rescale})
    if hidden_bias is not None:
        table = rows.with_bias(table, hidden_bias)
    input_shape = input_shape or (IMAGE_SIZES[variant], IMAGE_SIZES[variant], 3)
    return from_table(table, num_classes, input_shape=input_shape, dropout_keep_prob=dropout_keep_prob, dtype=dtype,
                      spatial_squeeze=spatial_squeeze, global_pool=global_pool, devices=devices, name=name,
                      scope=alexnet_arg_scope(weight_decay))


def AlexNetV2(num_classes=1000, *, input_shape=(224, 224, 3), dropout_keep_prob=0.5, spatial_squeeze=True,
              global_pool=False, weight_decay=0.0, hidden_bias=0.1, dtype=None, name='alexnet_v2'):
    """Slim's alexnet_v2 as a tf_keras model, with the initial values that slim's arg scope gives.

    Arguments and result as of AlexNet; hidden_bias is that of every layer but fc8.
    """
    return from_table(rows.with_bias(ALEXNET_V2, hidden_bias), num_classes, input_shape=input_shape, dtype=dtype,
                      dropout_keep_prob=dropout_keep_prob, spatial_squeeze=spatial_squeeze, global_pool=global_pool,
                      name=name, scope=alexnet_v2_arg_scope(weight_decay))


def from_table(table, num_classes, *, input_shape=(224, 224, 3), dropout_keep_prob=0.5, spatial_squeeze=True,
               global_pool=False, devices=None, scope=None, dtype=None, name=None):
    """The tf_keras model of any table, such as a changed ALEXNET; other arguments as of AlexNet.

    Args:
      table: rows, the last two a Dropout and the classifier, as in ALEXNET.
      scope: an arg scope; None: alexnet_arg_scope(0).
    """
    images = tf_keras.Input(input_shape, name='images')
    table = _resolved(table, images, devices, num_classes=num_classes, dropout_keep_prob=dropout_keep_prob,
                      spatial_squeeze=spatial_squeeze, global_pool=global_pool)
    with scopes.arg_scope(scope or alexnet_arg_scope(0.0)):
        logits, _ = keras_layers.build(table, images, dtype=dtype, devices=devices)
    return tf_keras.Model(images, logits, name=name)


def _build(table, name, inputs, *, scope, is_training, devices=None, **choices):
    """A table as a function of slim's. choices: of rows.resolve."""
    table = _resolved(table, inputs, devices, **choices)
    if _is_symbolic(inputs):
        return keras_layers.build(table, inputs, prefix=f'{scope or name}/', is_training=is_training, devices=devices)
    if tf.executing_eagerly() or isinstance(tf.compat.v1.get_default_graph(), tf.__internal__.FuncGraph):
        model = {'alexnet': 'AlexNet', 'alexnet_v2': 'AlexNetV2'}[name]
        raise ValueError(f'{name}() makes variables by name, in a tf.Graph or on tf_keras.Input tensors; in eager code '
                         f'and tf.function call a model: nets.alexnet.{model}(num_classes={choices["num_classes"]}).')
    return graph.build(table, inputs, scope=scope, default_scope=name, is_training=is_training, devices=devices)


def _resolved(table, images, devices, **choices):
    """The resolved table of a network. Raises ValueError where it does not suit the images or the devices."""
    table = rows.resolve(table, **choices)
    if devices:
        towers.check(table, devices)
    if not tf.as_dtype(images.dtype).is_floating:
        raise ValueError(f'images are {tf.as_dtype(images.dtype).name}; they must be floating point: '
                         'tf.cast(images, tf.float32), less the mean.')
    shape = tf.TensorShape(images.shape)
    if shape.rank != 4 or shape[3] is None:
        raise ValueError(f'images have shape {shape}; they must be [batch, height, width, channels] with the number of '
                         'channels known.')
    *_, last = rows.walk(table, shape[1], shape[2], shape[3])
    # A TF1 placeholder of unknown size is squeezed when the graph runs, as in slim.
    allowed = {1} if _is_symbolic(images) else {1, None}
    if isinstance(last.row, Conv) and last.row.squeeze and not set(last.shape[:2]) <= allowed:
        raise ValueError(f'images of {shape[1]}x{shape[2]} give a {last.shape[0]}x{last.shape[1]} map of logits, which '
                         'cannot be squeezed; pass spatial_squeeze=False or global_pool=True, or resize to '
                         f'{max(224, rows.minimum_size(table))} pixels.')
    return table


def _is_symbolic(images):
    return tf.is_tensor(images) and tf_keras.backend.is_keras_tensor(images)  # the latter raises for NumPy


if __name__ == '__main__':
    for variant, table in VARIANTS.items():
        rows.print_table(f'alexnet, variant {variant}', table, IMAGE_SIZES[variant])
    rows.print_table('alexnet_v2', ALEXNET_V2, 224)
    for variant, table in VARIANTS.items():
        crossing = towers.exchanged(rows.resolve(table, 1000), IMAGE_SIZES[variant], IMAGE_SIZES[variant])
        print(f'{variant} on two devices, bytes per image that cross each way: '
              + ', '.join(f'{layer} {count:,}' for layer, count in crossing.items()))
