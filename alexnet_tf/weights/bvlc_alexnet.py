"""Caffe's bvlc_alexnet: from its layouts, as files have them, to slim's."""
import numpy as np

from alexnet_tf.model import specs
from alexnet_tf.weights import network
from nets import alexnet

MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)  # Caffe: ilsvrc_2012_mean.npy, mean over its pixels
NAMES = tuple(name.removeprefix('alexnet/') for name in network.shapes('alexnet', 'caffe', 1))  # `conv1/weights`, …


def parse(tensors, layout):
    """(Spec, mean as float32 [3], {`alexnet/conv1/weights`: array}) of a file's arrays, for network.model_of.

    Args:
      tensors: {`conv1/weights`: array}; conv1's input axis is B, G, R.
      layout: 'caffe': conv [out, in, height, width] and fc [out, in], fc6's inputs ordered by channel, row, column.
        'hwio': conv [height, width, in, out] and fc [in, out], fc6's inputs ordered by row, column, channel.

    Raises: ValueError for other names or shapes.
    """
    network.check_names(tensors, NAMES)
    biases = tensors['fc8/biases']
    if biases.ndim != 1 or not len(biases):
        raise ValueError(f'fc8/biases has the shape {biases.shape}; expected is (classes,).')
    result = {}
    for (slims_name, shape), name in zip(network.shapes('alexnet', 'caffe', len(biases)).items(), NAMES):
        result[slims_name] = _to_hwio(name, tensors[name], shape, layout) if len(shape) > 1 else tensors[name]
    result['alexnet/conv1/weights'] = result['alexnet/conv1/weights'][:, :, ::-1]  # BGR to RGB
    spec = specs.Spec('alexnet', alexnet.IMAGE_SIZES['caffe'], tuple(map(str, range(len(biases)))), MEAN_RGB,
                      variant='caffe')
    return spec, np.array(MEAN_RGB, np.float32), result


def _to_hwio(name, weights, shape, layout):
    """Weights as [height, width, in, out], which is `shape`. Raises: ValueError for weights of another shape."""
    height, width, channels, out = shape
    full, inputs = name.startswith('fc'), height * width * channels
    if layout == 'caffe':
        network.check_shape(name, weights, (out, inputs) if full else (out, channels, height, width))
        return weights.reshape(out, channels, height, width).transpose(2, 3, 1, 0)
    network.check_shape(name, weights, (inputs, out) if full else shape)
    return weights.reshape(shape)
