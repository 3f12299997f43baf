"""Files of AlexNet's weights in every form, written byte by byte or with the onnx package, not by what is tested."""
import io
import math
import struct

import numpy as np
import pytest

from alexnet_tf.weights import reading

CLASSES = 10
SHAPES = {'conv1': (96, 3, 11, 11), 'conv2': (256, 48, 5, 5), 'conv3': (384, 256, 3, 3), 'conv4': (384, 192, 3, 3),
          'conv5': (256, 192, 3, 3), 'fc6': (4096, 9216), 'fc7': (4096, 4096), 'fc8': (CLASSES, 4096)}
NARROW = {'conv1': (6, 3, 11, 11), 'conv2': (16, 3, 5, 5), 'conv3': (24, 16, 3, 3), 'conv4': (24, 12, 3, 3),
          'conv5': (16, 12, 3, 3), 'fc6': (256, 576), 'fc7': (256, 256), 'fc8': (CLASSES, 256)}  # as narrow.py
TYPES = {'Convolution': 4, 'Dropout': 6, 'InnerProduct': 14, 'LRN': 15, 'Pooling': 17, 'ReLU': 18, 'Softmax': 20}
# Caffe's order of layers: name, type
LAYERS = [layer.split(':') for layer in (
    'conv1:Convolution relu1:ReLU norm1:LRN pool1:Pooling conv2:Convolution relu2:ReLU norm2:LRN pool2:Pooling '
    'conv3:Convolution relu3:ReLU conv4:Convolution relu4:ReLU conv5:Convolution relu5:ReLU pool5:Pooling '
    'fc6:InnerProduct relu6:ReLU drop6:Dropout fc7:InnerProduct relu7:ReLU drop7:Dropout fc8:InnerProduct '
    'prob:Softmax').split()]


def random_weights(shapes):
    """{layer: (weights in Caffe's layout, biases)}; activations stay near the images' 70, so that LRN matters."""
    random = np.random.default_rng(3)
    return {layer: (random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:]))),
                    random.normal(0, 10, shape[0]).astype(np.float32)) for layer, shape in shapes.items()}


def flat(weights):
    """{`conv1/weights`: array} of {layer: (weights, biases)}."""
    return {f'{layer}/{part}': array for layer, pair in weights.items() for part, array in
            zip(('weights', 'biases'), pair)}


def slims(weights):
    """{`alexnet/conv1/weights`: array} as a checkpoint has them: [height, width, in, out], conv1 R, G, B."""
    result = {f'alexnet/{name}': array for name, array in flat(converted(weights)).items()}
    result['alexnet/conv1/weights'] = result['alexnet/conv1/weights'][:, :, ::-1]
    for layer, size in (('fc6', 6), ('fc7', 1), ('fc8', 1)):
        inputs, outputs = result[f'alexnet/{layer}/weights'].shape
        result[f'alexnet/{layer}/weights'] = result[f'alexnet/{layer}/weights'].reshape(
            size, size, inputs // size ** 2, outputs)
    return result


def onnx_model(weights, *, size=227, changes=(), order=None):
    """A ModelProto. size 227: no padding, Flatten, fc7 as MatMul and Add. 224: as in the model zoo, with Softmax.

    changes: {(layer, attribute): value}; order: other layers than LAYERS.
    """
    onnx = pytest.importorskip('onnx')
    helper, changes = onnx.helper, dict(changes)
    zoo, nodes, tensors, current = size == 224, [], [], 'data'

    def tensor(name, array):
        if array.ndim == 1:
            tensors.append(helper.make_tensor(name, onnx.TensorProto.FLOAT, array.shape, array.tolist()))
        else:
            tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))

    def node(op, layer, *parameters, **attributes):
        nonlocal current
        attributes |= {attribute: value for (row, attribute), value in changes.items() if row == layer}
        nodes.append(helper.make_node(op, [current, *parameters], [f'{layer}_{op}'], **attributes))
        current = f'{layer}_{op}'

    for layer, kind in order or LAYERS:
        if layer in weights:
            tensor(layer + '_b', weights[layer][1])
            matrix = weights[layer][0]
            tensor(layer + '_w', matrix.T if layer == 'fc7' and not zoo else matrix)
        if kind == 'Convolution':
            kernel, pads = SHAPES[layer][2], 0 if layer == 'conv1' else SHAPES[layer][2] // 2
            node('Conv', layer, layer + '_w', layer + '_b', kernel_shape=[kernel] * 2, pads=[pads] * 4,
                 strides=[4 if layer == 'conv1' else 1] * 2, group=2 if layer in ('conv2', 'conv4', 'conv5') else 1)
        elif kind == 'LRN':
            node('LRN', layer, size=5, alpha=1e-4, beta=0.75, bias=1.0)
        elif kind == 'Pooling':
            node('MaxPool', layer, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1] if zoo else [0] * 4)
        elif kind == 'InnerProduct':
            if layer == 'fc6' and zoo:
                inputs = 9216 if weights['fc6'][0].shape == SHAPES['fc6'] else -1
                tensors.append(onnx.numpy_helper.from_array(np.array([1, inputs]), 'flat_shape'))
                node('Reshape', layer, 'flat_shape')
            elif layer == 'fc6':
                node('Flatten', layer)
            if layer == 'fc7' and not zoo:
                node('MatMul', layer, 'fc7_w')
                nodes.append(helper.make_node('Add', ['fc7_b', current], ['fc7_sum']))
                current = 'fc7_sum'
            else:
                node('Gemm', layer, layer + '_w', layer + '_b', transB=1)
        elif kind != 'Softmax' or zoo:
            node({'ReLU': 'Relu'}.get(kind, kind), layer)
    value = helper.make_tensor_value_info
    inputs = [value('data', 1, [1 if zoo else 'batch', 3, size, size])]
    inputs += [value(t.name, t.data_type, t.dims) for t in tensors] if zoo else []
    graph = helper.make_graph(nodes, 'alexnet', inputs, [value(current, 1, [1 if zoo else 'batch', CLASSES])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 11)], ir_version=8)


def varint(number):
    number &= (1 << 64) - 1
    groups = []
    while True:
        groups.append(number & 127 | (128 if number > 127 else 0))
        number >>= 7
        if not number:
            return bytes(groups)


def field(number, value):
    """One field on the wire: a whole number as a varint, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array, old, shape=None):
    shape = shape or array.shape
    data = field(5, array.astype('<f4').tobytes())
    if old:
        return b''.join(field(i + 1, size) for i, size in enumerate((1,) * (4 - len(shape)) + tuple(shape))) + data
    return data + field(7, field(1, b''.join(map(varint, shape))))


def caffemodel(weights, *, old=False, order=LAYERS, shapes=()):
    """The wire format of a NetParameter. shapes: {layer: what its weights' blob declares}."""
    layers = [field(1, b'AlexNet')]
    for layer, kind in order:
        blobs = []
        if layer in weights:
            blobs = [blob(weights[layer][0], old, dict(shapes).get(layer)), blob(weights[layer][1], old)]
        if old:
            content = field(4, layer.encode()) + field(5, TYPES[kind]) + b''.join(field(6, b) for b in blobs)
        else:
            content = field(1, layer.encode()) + field(2, kind.encode()) + b''.join(field(7, b) for b in blobs)
        layers.append(field(2 if old else 100, content))
    return b''.join(layers)


def converted(weights):
    """Caffe's layouts as converters to TensorFlow have them: HWIO; [in, out], fc6's rows in the order H, W, C."""
    result = {}
    for layer, (matrix, biases) in weights.items():
        if matrix.ndim == 4:
            matrix = matrix.transpose(2, 3, 1, 0)
        elif layer == 'fc6' and matrix.size > 2:
            matrix = matrix.reshape(len(matrix), -1, 6, 6).transpose(2, 3, 1, 0).reshape(-1, len(matrix))
        else:
            matrix = matrix.T
        result[layer] = np.ascontiguousarray(matrix), biases
    return result


def py2_array(array, *, spec=b'f4', data=None, shape=None):
    """A pickle of an ndarray as Python 2 wrote it with protocol 2, its data a str."""
    shape = array.shape if shape is None else shape
    data = data or b'T' + struct.pack('<i', array.nbytes) + array.tobytes()
    dtype = (b'cnumpy\ndtype\nU' + bytes([len(spec)]) + spec + b'K\0K\1\x87R(K\3U\1' + (b'|' if b'O' in spec else b'<')
             + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK' + (b'?' if b'O' in spec else b'\0') + b'tb')
    sizes = b'(' + b''.join(b'J' + struct.pack('<i', size) for size in shape) + b't'
    return (b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R(K\1' + sizes + dtype + b'\x89'
            + data + b'tb')


def py2_npy(content):
    """A .npy of a pickled object, as numpy.save(path, {…}) wrote it; content: the object's pickle without a frame."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += b' ' * (-(len(header) + 11) % 16) + b'\n'
    pickled = b'\x80\2' + py2_array(None, spec=b'O8', data=b'](' + content + b'e', shape=()) + b'.'
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header + pickled


def py2_dictionary(layers):
    content = b'}('
    for layer, (matrix, biases) in layers.items():
        content += b'U' + bytes([len(layer)]) + layer.encode() + b'](' + py2_array(matrix) + py2_array(biases) + b'e'
    return content + b'u'


def npz_bytes(arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def object_array(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


TINY = {layer: (np.ones((2, 1, 1, 1) if 'conv' in layer else (2, 1), np.float32), np.ones(2, np.float32))
        for layer in SHAPES}  # the same names with nearly no numbers, for what is refused before shapes are looked at
HWIO_FORMS = {
    '.npy of Python 2': lambda w: py2_npy(py2_dictionary(converted(w))),
    '.npz of arrays': lambda w: npz_bytes({  # both ways of naming them
        layer + part: array for layer, pair in converted(w).items()
        for part, array in zip(('/weights', '/biases') if 'fc' in layer else ('_W', '_b'), pair)}),
    '.npz of object arrays': lambda w: npz_bytes({layer: object_array(*pair) for layer, pair in converted(w).items()}),
}
CAFFEMODELS = {'.caffemodel': caffemodel, 'old .caffemodel': lambda w: caffemodel(w, old=True)}
FORMS = HWIO_FORMS | CAFFEMODELS


def refused(tmp_path, content, pattern, name='file'):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=pattern) as caught:
        reading.read(str(path))
    assert str(path) in str(caught.value)
