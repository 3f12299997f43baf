"""Caffe's bvlc_alexnet: its .caffemodel, and the way from Caffe's layouts, which other files have too, to slim's.

A .caffemodel is a protocol buffer, of which only the fields that are needed are declared. Packed floats are declared
as bytes, which they are on the wire (little-endian), so that NumPy reads them at once.
"""
import numpy as np
from google.protobuf import descriptor_pb2, message, message_factory

from alexnet_tf.model import specs
from alexnet_tf.weights import network
from nets import alexnet, rows

MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)  # Caffe: ilsvrc_2012_mean.npy, mean over its pixels
_NAMES = [name.removeprefix('alexnet/') for name in network.shapes('alexnet', 'caffe', 1)]  # `conv1/weights`, …
_SCALARS = {'int64': 3, 'int32': 5, 'string': 9, 'bytes': 12}  # FieldDescriptorProto.Type
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_FIELDS = {  # message: {field: (number, kind)}; kind: a scalar or a message; a * before it: repeated
    'Net': {'layers': (2, '*OldLayer'), 'layer': (100, '*Layer')},
    'Layer': {'name': (1, 'string'), 'type': (2, 'string'), 'blobs': (7, '*Blob')},
    'OldLayer': {'name': (4, 'string'), 'type': (5, 'int32'), 'blobs': (6, '*Blob')},
    'Blob': {'num': (1, 'int32'), 'channels': (2, 'int32'), 'height': (3, 'int32'), 'width': (4, 'int32'),
             'data': (5, '*bytes'), 'shape': (7, 'BlobShape'), 'double_data': (8, '*bytes')},
    'BlobShape': {'dim': (1, '*int64')},
    'Onnx': {'graph': (7, 'bytes')},
}
_ROWS = {'Convolution': 'Conv', 'InnerProduct': 'Conv', 'LRN': 'LRN', 'Pooling': 'MaxPool',
         4: 'Conv', 14: 'Conv', 15: 'LRN', 17: 'MaxPool'}  # types of layers; in old files V1LayerParameter.LayerType


def _message_classes():
    file = descriptor_pb2.FileDescriptorProto(name='caffe.proto')
    for name, fields in _FIELDS.items():
        declared = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label, kind = _REPEATED if kind.startswith('*') else _OPTIONAL, kind.lstrip('*')
            declared.field.add(name=field, number=number, label=label, type=_SCALARS.get(kind, _MESSAGE),
                               type_name=None if kind in _SCALARS else f'.{kind}')
    return message_factory.GetMessages([file])


_MESSAGES = _message_classes()


def is_onnx(data):
    """Whether bytes are an ONNX model. It keeps its graph in field 7, where a .caffemodel has at most a number."""
    try:
        return _MESSAGES['Onnx'].FromString(data).HasField('graph')
    except message.DecodeError:
        return False


def read(data):
    """{`conv1/weights`: array} of a .caffemodel's bytes: conv [out, in, height, width], fc [out, in].

    Raises: ValueError when they are no .caffemodel, damaged, or of another network.
    """
    try:
        net = _MESSAGES['Net'].FromString(data)
    except message.DecodeError:
        net = None
    layers = net and (net.layer or net.layers)
    if not layers:
        raise ValueError('it is neither a NumPy file, nor ONNX, nor a .caffemodel; or it is damaged or cut off.')
    tensors = {}
    for layer in layers:
        if len(layer.blobs) not in (0, 2) or layer.blobs and f'{layer.name}/weights' in tensors:
            raise ValueError(f'layer {layer.name!r} is there twice or has {len(layer.blobs)} blobs; expected are two.')
        for part, blob, ndim in zip(('weights', 'biases'), layer.blobs, (4 if layer.name.startswith('conv') else 2, 1)):
            tensors[f'{layer.name}/{part}'] = _array(blob, f'{layer.name}/{part}', ndim)
    network.check_names(tensors, _NAMES)
    found = [_ROWS[layer.type] for layer in layers if layer.type in _ROWS]
    expected = [type(row).__name__ for row in alexnet.ALEXNET_CAFFE if not isinstance(row, rows.Dropout)]
    if found != expected:  # CaffeNet's weights have the same names and shapes
        raise ValueError(f'its layers are {", ".join(found)}; those of bvlc_alexnet are {", ".join(expected)}. It is '
                         'another network (CaffeNet pools before it normalizes).')
    return tensors


def _array(blob, name, ndim):
    shape = list(blob.shape.dim) if blob.HasField('shape') else [blob.num, blob.channels, blob.height, blob.width]
    while len(shape) > ndim and shape[0] == 1:  # old files have four axes everywhere
        del shape[0]
    kind, data = ('<f8', b''.join(blob.double_data)) if blob.double_data else ('<f4', b''.join(blob.data))
    network.check_size(name, shape, np.dtype(kind).itemsize, len(data))
    return np.frombuffer(data, kind).reshape(shape)


def parse(tensors, layout):
    """(Spec, mean as float32 [3], {`alexnet/conv1/weights`: array}) of a file's arrays, for network.model_of.

    Args:
      tensors: {`conv1/weights`: array}; conv1's input axis is B, G, R.
      layout: 'caffe': conv [out, in, height, width] and fc [out, in], fc6's inputs ordered by channel, row, column.
        'hwio': conv [height, width, in, out] and fc [in, out], fc6's inputs ordered by row, column, channel.

    Raises: ValueError for other names, or weights of other shapes.
    """
    network.check_names(tensors, _NAMES)
    classes = max(tensors['fc8/biases'].size, 1)  # network.model_of refuses another shape than [classes]
    result = {}
    for name, (slims_name, shape) in zip(_NAMES, network.shapes('alexnet', 'caffe', classes).items()):
        array = tensors[name]
        if name.endswith('weights'):
            height, width, channels, out = shape
            full, inputs = name.startswith('fc'), height * width * channels
            if layout == 'caffe':
                network.check_shape(name, array, (out, inputs) if full else (out, channels, height, width))
                array = array.reshape(out, channels, height, width).transpose(2, 3, 1, 0)
            else:
                network.check_shape(name, array, (inputs, out) if full else shape)
                array = array.reshape(shape)
        result[slims_name] = array
    result['alexnet/conv1/weights'] = result['alexnet/conv1/weights'][:, :, ::-1]  # BGR to RGB
    spec = specs.Spec('alexnet', alexnet.IMAGE_SIZES['caffe'], tuple(map(str, range(classes))), MEAN_RGB,
                      variant='caffe', resize_mode='warp')
    return spec, np.array(MEAN_RGB, np.float32), result
