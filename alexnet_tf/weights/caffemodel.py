"""Weights in Caffe's .caffemodel: protocol buffers, of which only the fields that are needed are declared.

Packed floats are declared as bytes, which they are on the wire (little-endian), so that NumPy reads them at once.
"""
import numpy as np
from google.protobuf import descriptor_pb2, message, message_factory

from alexnet_tf.weights import bvlc_alexnet, network
from nets import alexnet, rows

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
            raise ValueError(f'layer {layer.name!r} is there twice, or has {len(layer.blobs)} blobs; expected are two, '
                             'weights and biases.')
        for part, blob, ndim in zip(('weights', 'biases'), layer.blobs, (4 if layer.name.startswith('conv') else 2, 1)):
            tensors[f'{layer.name}/{part}'] = _array(blob, f'{layer.name}/{part}', ndim)
    network.check_names(tensors, bvlc_alexnet.NAMES)
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
    kind, data = ('<f8', blob.double_data) if blob.double_data else ('<f4', blob.data)
    data = b''.join(data)
    network.check_size(name, shape, np.dtype(kind).itemsize, len(data))
    return np.frombuffer(data, kind).reshape(shape)
