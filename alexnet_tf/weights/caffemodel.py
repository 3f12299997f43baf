"""Weights in Caffe's .caffemodel: protocol buffers, of which only the fields that are needed are declared.

Packed floats are declared as bytes, which they are on the wire (little-endian), so that NumPy reads them at once.
"""
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from alexnet_tf.weights import bvlc_alexnet, checks
from nets import alexnet, rows

_SCALARS = {'int64': 3, 'int32': 5, 'string': 9, 'bytes': 12}  # FieldDescriptorProto.Type
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PACKAGE = 'alexnet_tf.caffe'
_FIELDS = {  # message: {field: (number, kind)}; kind: a scalar or a message; a * before it: repeated
    'Net': {'layers': (2, '*OldLayer'), 'layer': (100, '*Layer')},
    'Layer': {'name': (1, 'string'), 'type': (2, 'string'), 'blobs': (7, '*Blob')},
    'OldLayer': {'name': (4, 'string'), 'type': (5, 'int32'), 'blobs': (6, '*Blob')},
    'Blob': {'num': (1, 'int32'), 'channels': (2, 'int32'), 'height': (3, 'int32'), 'width': (4, 'int32'),
             'data': (5, '*bytes'), 'shape': (7, 'BlobShape'), 'double_data': (8, '*bytes')},
    'BlobShape': {'dim': (1, '*int64')},
    'Onnx': {'graph': (7, 'bytes')},
}
_OLD_TYPES = {4: 'Convolution', 14: 'InnerProduct', 15: 'LRN', 17: 'Pooling'}  # V1LayerParameter.LayerType
_TYPES = {rows.LRN: 'LRN', rows.MaxPool: 'Pooling'}


def _message_classes():
    file = descriptor_pb2.FileDescriptorProto(name=f'{_PACKAGE}.proto', package=_PACKAGE, syntax='proto2')
    for name, fields in _FIELDS.items():
        declared = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label, kind = _REPEATED if kind.startswith('*') else _OPTIONAL, kind.lstrip('*')
            declared.field.add(name=field, number=number, label=label, type=_SCALARS.get(kind, _MESSAGE),
                               type_name=None if kind in _SCALARS else f'.{_PACKAGE}.{kind}')
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f'{_PACKAGE}.{name}')) for name in _FIELDS}


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
        if not layer.blobs:
            continue
        if len(layer.blobs) != 2 or f'{layer.name}/weights' in tensors:
            raise ValueError(f'layer {layer.name!r} is there twice, or has {len(layer.blobs)} blobs; expected are two, '
                             'weights and biases.')
        for part, blob, ndim in zip(('weights', 'biases'), layer.blobs, (4 if layer.name.startswith('conv') else 2, 1)):
            tensors[f'{layer.name}/{part}'] = _array(blob, f'{layer.name}/{part}', ndim)
    bvlc_alexnet.check_names(tensors)
    _check_order([_OLD_TYPES.get(layer.type, layer.type) for layer in layers])
    return tensors


def _check_order(types):
    """Raises ValueError unless the layers' types follow one another as in bvlc_alexnet.

    CaffeNet pools before it normalizes; its weights have the same names and shapes.
    """
    found = [kind for kind in types if kind in _OLD_TYPES.values()]
    expected = [_TYPES.get(type(row)) or ('InnerProduct' if row.name.startswith('fc') else 'Convolution')
                for row in alexnet.ALEXNET_CAFFE if not isinstance(row, rows.Dropout)]
    if found != expected:
        raise ValueError(f'its layers are {", ".join(found)}; those of bvlc_alexnet are {", ".join(expected)}. It is '
                         'another network (CaffeNet pools before it normalizes).')


def _array(blob, name, ndim):
    shape = list(blob.shape.dim) if blob.HasField('shape') else [blob.num, blob.channels, blob.height, blob.width]
    while len(shape) > ndim and shape[0] == 1:  # old files have four axes everywhere
        del shape[0]
    kind, data = ('<f8', blob.double_data) if blob.double_data else ('<f4', blob.data)
    data = b''.join(data)
    checks.check_size(name, shape, np.dtype(kind).itemsize, len(data))
    return np.frombuffer(data, kind).reshape(shape)
