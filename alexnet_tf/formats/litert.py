"""A network as a LiteRT (.tflite) file of built-in operators, by TensorFlow's converter."""
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.console import loading
from alexnet_tf.data import preprocessing
from alexnet_tf.files import writing
from alexnet_tf.model import building
from nets import ops, rows, slim_checkpoints

EXACT = 'exact'  # scope of what stays float32 in an int8 file


def write(loaded, folder, precision, calibration=()):
    """Writes a loading.Loaded as folder/model.tflite, and classes.txt beside; returns the path.

    images, float32 [1, size, size, 3], RGB 0..255 -> logits, float32 [1, classes], whatever the precision.

    Args:
      precision: 'float32'; 'float16': weights in half the bytes; 'int8': weights and activations in 8 bits, but for
        what needs more: the mean, normalization and the classifier.
      calibration: for int8, uint8 images [n, size, size, 3], from which the ranges of activations are taken.
    """
    with loading.held():  # the converter writes dozens of notes
        content = _int8(loaded, calibration) if precision == 'int8' else _float(loaded, precision)
    path = os.path.join(folder, 'model.tflite')
    writing.write_text(os.path.join(folder, 'classes.txt'), ''.join(f'{name}\n' for name in loaded.spec.class_names))
    with writing.whole(path) as file:
        file.write(content)
    return path


def _float(loaded, precision):
    converter = _converter(loaded)
    if precision == 'float16':
        converter.optimizations, converter.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    return converter.convert()


def _int8(loaded, calibration):
    """Leaves out what is in the scope EXACT, by its names in float32: 8 bits are too few for sums of squares."""
    floating = tf.lite.Interpreter(model_content=_float(loaded, 'float32'))
    names = [tensor['name'] for tensor in floating.get_tensor_details() if f'{EXACT}/' in tensor['name']]
    names += [tensor['name'] for tensor in floating.get_output_details()]
    converter = _converter(loaded)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ({'images': image[np.newaxis].astype(np.float32)}
                                                for image in calibration)
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=names)
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_options=options)
    return debugger.get_nondebug_quantized_model()


def _converter(loaded):
    network = _Network(loaded)
    return tf.lite.TFLiteConverter.from_concrete_functions([network.logits.get_concrete_function()], network)


class _Network(tf.Module):
    """The network from its table, its normalization in operators that LiteRT has."""

    def __init__(self, loaded):
        super().__init__()
        self._spec, self._mean = loaded.spec, np.float32(loaded.mean)
        if self._mean.ndim == 3:
            self._mean = preprocessing.central_crop(self._mean, loaded.spec.image_size)
        self._variables = slim_checkpoints.named_variables(loaded.model)
        size = loaded.spec.image_size
        self.logits = tf.function(self._logits, input_signature=[tf.TensorSpec([1, size, size, 3], name='images')])

    def _logits(self, images):
        with tf.name_scope(EXACT):
            x = images - self._mean
        for row in building.table(self._spec):
            x = self._apply(row, x)
        return {'logits': x}

    def _apply(self, row, x):
        if isinstance(row, rows.LRN | rows.SpatialNorm):
            with tf.name_scope(f'{EXACT}/{row.name}'):
                return _normalized(row, x)
        if not isinstance(row, rows.Conv):
            return ops.apply(row, x)
        weights, biases = (self._variables[f'{self._spec.model_name}/{row.name}/{part}'] for part in
                           ('weights', 'biases'))
        # Of all that 8 bits round, rounded logits change the most answers.
        with tf.name_scope(f'{EXACT}/{row.name}' if row.squeeze else row.name):
            x = ops.apply(row, x, (weights, biases), activation=tf.nn.relu if row.relu else None)
            return tf.squeeze(x, [1, 2]) if row.squeeze else x


def _normalized(row, x):
    """Six operators: square, a convolution that gives the scale, two roots, two products.

    LiteRT's own LOCAL_RESPONSE_NORMALIZATION computes a power of every value, which takes longer than all of these.
    """
    maps, squares = x.shape[-1], tf.square(x)
    if isinstance(row, rows.LRN):
        number, part = np.arange(maps), maps // row.groups
        near = abs(number[:, np.newaxis] - number) <= row.depth_radius
        window = row.alpha * (near & (number[:, np.newaxis] // part == number // part))
        scale = tf.nn.conv2d(squares, window[np.newaxis, np.newaxis].astype(np.float32), 1, 'SAME')
    else:
        window = np.full([row.size, row.size, maps, 1], row.alpha, np.float32)
        scale = tf.nn.depthwise_conv2d(squares, window, [1, 1, 1, 1], 'SAME')
    scale = tf.nn.bias_add(scale, np.full(maps, row.bias, np.float32))
    if row.beta != 0.75:
        return x * tf.pow(scale, -row.beta)
    root = tf.math.rsqrt(scale)
    return x * (root * tf.sqrt(root))
