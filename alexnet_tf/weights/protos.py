"""Weights in ONNX files and Caffe's .caffemodel: protocol buffers, read without those projects' own packages.

Only the fields that are needed are declared; protobuf keeps the others when a message is written again. Packed floats
are declared as bytes, which they are on the wire (little-endian), so that NumPy reads them at once.
"""
import math

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from alexnet_tf.weights import numpy_files
from nets import alexnet, rows

_SCALARS = {'float': 2, 'int64': 3, 'int32': 5, 'string': 9, 'bytes': 12}  # FieldDescriptorProto.Type
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3


def message_classes(package, messages):
    """{name: class} of {name: {field: (number, kind)}}; kind: a scalar or another name, * before it: repeated."""
    file = descriptor_pb2.FileDescriptorProto(name=f'{package}.proto', package=package, syntax='proto2')
    for name, fields in messages.items():
        declared = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label, kind = _REPEATED if kind.startswith('*') else _OPTIONAL, kind.lstrip('*')
            declared.field.add(name=field, number=number, label=label, type=_SCALARS.get(kind, _MESSAGE),
                               type_name=None if kind in _SCALARS else f'.{package}.{kind}')
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f'{package}.{name}')) for name in messages}


_ONNX = message_classes('alexnet_tf.onnx', {
    'ONNX': {'graph': (7, 'Graph')},
    'Graph': {'node': (1, '*Node'), 'initializer': (5, '*Tensor'), 'input': (11, '*ValueInfo'),
              'output': (12, '*ValueInfo'), 'value_info': (13, '*ValueInfo')},
    'Node': {'input': (1, '*string'), 'output': (2, '*string'), 'name': (3, 'string'), 'op_type': (4, 'string'),
             'attribute': (5, '*Attribute'), 'domain': (7, 'string')},
    'Attribute': {'name': (1, 'string'), 'f': (2, 'float'), 'i': (3, 'int64'), 's': (4, 'bytes'), 't': (5, 'Tensor'),
                  'ints': (8, '*int64')},
    'Tensor': {'dims': (1, '*int64'), 'data_type': (2, 'int32'), 'float_data': (4, '*bytes'),
               'int64_data': (7, '*int64'), 'name': (8, 'string'), 'raw_data': (9, 'bytes'),
               'external_data': (13, '*Entry'), 'data_location': (14, 'int32')},
    'Entry': {'key': (1, 'string'), 'value': (2, 'string')},
    'ValueInfo': {'name': (1, 'string'), 'type': (2, 'Type')},
    'Type': {'tensor_type': (1, 'TensorType')},
    'TensorType': {'shape': (2, 'Shape')},
    'Shape': {'dim': (1, '*Dimension')},
    'Dimension': {'dim_value': (1, 'int64'), 'dim_param': (2, 'string')},
})
_CAFFE = message_classes('alexnet_tf.caffe', {
    'caffemodel': {'layers': (2, '*OldLayer'), 'layer': (100, '*Layer')},
    'Layer': {'name': (1, 'string'), 'type': (2, 'string'), 'blobs': (7, '*Blob')},
    'OldLayer': {'name': (4, 'string'), 'type': (5, 'int32'), 'blobs': (6, '*Blob')},
    'Blob': {'num': (1, 'int32'), 'channels': (2, 'int32'), 'height': (3, 'int32'), 'width': (4, 'int32'),
             'data': (5, '*bytes'), 'shape': (7, 'BlobShape'), 'double_data': (8, '*bytes')},
    'BlobShape': {'dim': (1, '*int64')},
})
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType


def parse(data):
    """('ONNX', ModelProto) or ('caffemodel', NetParameter), whichever the bytes hold.

    Raises: ValueError when they hold neither.
    """
    for kind, proto, fields in (('ONNX', _ONNX, ('graph',)), ('caffemodel', _CAFFE, ('layer', 'layers'))):
        try:
            parsed = proto[kind].FromString(data)
        except message.DecodeError:
            continue
        if any(field.name in fields for field, _ in parsed.ListFields()):
            return kind, parsed
    raise ValueError('it is neither a NumPy file, nor ONNX, nor a .caffemodel; or it is damaged or cut off.')


# --- Caffe -----------------------------------------------------------------------------------------

_OLD_TYPES = {4: 'Convolution', 14: 'InnerProduct', 15: 'LRN', 17: 'Pooling'}  # V1LayerParameter.LayerType
_CAFFE_TYPES = {rows.LRN: 'LRN', rows.MaxPool: 'Pooling'}


def caffe_layers(net):
    """({layer: {'weights', 'biases'}}, all layers' types) of a NetParameter, conv [out, in, h, w], fc [out, in].

    Raises: ValueError when a blob is damaged, or a layer is there twice.
    """
    stored = list(net.layer) or list(net.layers)
    layers = {}
    for layer in stored:
        if not layer.blobs:
            continue
        if len(layer.blobs) != 2 or layer.name in layers:
            raise ValueError(f'layer {layer.name!r} is there twice or has {len(layer.blobs)} blobs; expected are two, '
                             'weights and biases.')
        ndim = 4 if layer.name.startswith('conv') else 2
        layers[layer.name] = {'weights': _blob(layer.blobs[0], f'{layer.name} weights', ndim),
                              'biases': _blob(layer.blobs[1], f'{layer.name} biases', 1)}
    return layers, [_OLD_TYPES.get(layer.type, layer.type) for layer in stored]


def check_caffe_order(types):
    """Raises ValueError unless the layers' types follow one another as in bvlc_alexnet.

    CaffeNet, whose weights have the same names and shapes, pools before it normalises.
    """
    found = [kind for kind in types if kind in _OLD_TYPES.values()]
    expected = [_CAFFE_TYPES.get(type(row)) or ('InnerProduct' if row.name.startswith('fc') else 'Convolution')
                for row in alexnet.ALEXNET_CAFFE if not isinstance(row, rows.Dropout)]
    if found != expected:
        raise ValueError(f'its layers are {", ".join(found)}; those of bvlc_alexnet are {", ".join(expected)}. It is '
                         'another network (CaffeNet pools before it normalises).')


def _blob(blob, name, ndim):
    shape = list(blob.shape.dim) if blob.HasField('shape') else [blob.num, blob.channels, blob.height, blob.width]
    while len(shape) > ndim and shape[0] == 1:  # old files have four axes everywhere
        del shape[0]
    kind, data = ('<f8', blob.double_data) if blob.double_data else ('<f4', blob.data)
    data = b''.join(data)
    numpy_files.check_size(name, shape, np.dtype(kind).itemsize, len(data))
    return np.frombuffer(data, kind).reshape(shape)


# --- ONNX ------------------------------------------------------------------------------------------


def onnx_layers(model):
    """{layer: {'weights': array, 'biases': array}} of a ModelProto, conv [out, in, h, w], fc [out, in].

    Every node is compared with Caffe's table, in the order of the graph.

    Raises: ValueError naming the first difference, a weight that is missing, or one that nothing uses.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {node.output[0]: attribute.t for node in graph.node if node.op_type == 'Constant' and node.output
                for attribute in node.attribute if attribute.name == 'value'}
    layers = {}
    nodes = _chain(graph, tensors)
    for place, (kind, row) in enumerate(_expected()):
        op, node, parameters = nodes[place] if place < len(nodes) else ('its end', None, ())
        if op != kind:
            raise ValueError(f'node {place + 1} of its network is {op}, but {kind} ({row.name}) in bvlc_alexnet; it is '
                             'another network.')
        _check_attributes(node, row)
        if kind == 'Flatten':
            _check_flat(node, tensors, row)
        if kind in ('Conv', 'Gemm'):
            layers[row.name] = _parameters(op, node, parameters, tensors, row)
    used = {name for node in graph.node for name in node.input}
    unused = [name for name, tensor in tensors.items() if tensor.data_type == _FLOAT and name not in used]
    if unused or len(nodes) > place + 1:
        raise ValueError(f'it has more than bvlc_alexnet: {", ".join(unused) or "node " + nodes[place + 1][0]}; it is '
                         'another network.')
    return layers


def _expected():
    """[(operation, row)] of Caffe's AlexNet as ONNX has them, without dropout."""
    steps = []
    for row in alexnet.ALEXNET_CAFFE:
        if isinstance(row, rows.Conv):
            full = row.name.startswith('fc')
            steps += [('Flatten', row)] if full and row.kernel > 1 else []
            steps += [('Gemm' if full else 'Conv', row)] + [('Relu', row)] * row.relu
        elif not isinstance(row, rows.Dropout):
            steps.append((type(row).__name__, row))
    return steps


def _chain(graph, tensors):
    """[(operation, node, parameters' names)] from the image to the logits: each node feeds the next one.

    MatMul and Add are one Gemm, Reshape is Flatten; Dropout, Identity and the Softmax at the end are left out.
    """
    current, steps = image_input(graph).name, []
    for node in graph.node:
        if node.op_type == 'Constant':
            continue
        inputs = list(node.input)
        if node.op_type == 'Add' and current in inputs[1:]:
            inputs.reverse()
        if node.domain not in ('', 'ai.onnx') or not inputs or not node.output or inputs[0] != current:
            raise ValueError(f'node {node.op_type} {node.name!r} ({node.domain or "ai.onnx"}) does not follow on the '
                             'one before it; bvlc_alexnet is a chain. It is another network.')
        current = node.output[0]
        if node.op_type == 'Add' and steps and steps[-1][0] == 'MatMul':
            steps[-1] = ('Gemm', steps[-1][1], steps[-1][2] + inputs[1:])
        elif node.op_type not in ('Dropout', 'Identity'):
            op = {'Reshape': 'Flatten'}.get(node.op_type, node.op_type)
            steps.append((op, node, [name for name in inputs[1:] if name]))
    if current not in [output.name for output in graph.output]:
        raise ValueError(f'the last node gives {current!r}, which is no output of the graph; it is another network.')
    return steps[:-1] if steps and steps[-1][0] == 'Softmax' else steps


def image_input(graph):
    """The one input of the graph that is not a weight."""
    weights = {tensor.name for tensor in graph.initializer}  # old files list them as inputs, too
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ValueError(f'its inputs are {", ".join(value.name for value in inputs) or "none"}; expected is one, the '
                         'images.')
    return inputs[0]


def _check_attributes(node, row):
    """Raises ValueError unless each attribute of a node has a value that Caffe's row allows."""
    allowed = _allowed_attributes(row)[node.op_type]
    given = {attribute.name: attribute for attribute in node.attribute}
    for name in set(given) - set(allowed):
        raise ValueError(f'{row.name}: {node.op_type} has an attribute {name}, which bvlc_alexnet has not; it is '
                         'another network.')
    for name, (kind, default, *values) in allowed.items():
        value = _value(given[name], kind) if name in given else default
        if values and value is not None and not any(_same(value, other) for other in values):
            raise ValueError(f'{row.name}: {node.op_type} has {name} {value}, but bvlc_alexnet '
                             f'{" or ".join(map(str, values))}; it is another network.')


def _allowed_attributes(row):
    """{operation: {attribute: (field, default, values allowed …)}}; default None: need not be given. No values: any."""
    ones = {'dilations': ('ints', None, [1, 1])}
    old = {'consumed_inputs': ('ints', [], [], [0])}  # of opset 1
    allowed = {'Relu': old, 'Flatten': {'axis': ('i', 1, 1)}, 'MatMul': {},
               'Reshape': {'allowzero': ('i', 0, 0, 1), 'shape': ('ints', None)},
               'Gemm': {'alpha': ('f', 1, 1), 'beta': ('f', 1, 1), 'transA': ('i', 0, 0), 'transB': ('i', 0, 0, 1),
                        'broadcast': ('i', 1, 0, 1)}}
    if isinstance(row, rows.LRN):
        size = 2 * row.depth_radius + 1
        allowed['LRN'] = {'size': ('i', 0, size), 'alpha': ('f', 1e-4, row.alpha * size), 'beta': ('f', 0.75, row.beta),
                          'bias': ('f', 1, row.bias)}  # ONNX, as Caffe, divides alpha by size
    if isinstance(row, rows.MaxPool):
        window = {'kernel_shape': ('ints', [], [row.size] * 2), 'strides': ('ints', [1, 1], [row.stride] * 2)}
        # Caffe rounds sizes up. At 227 pixels no window reaches beyond the map, padded or not.
        allowed['MaxPool'] = window | ones | {'pads': ('ints', [0] * 4, [0] * 4, [0, 0, 1, 1]),
                                              'ceil_mode': ('i', 0, 0, 1), 'storage_order': ('i', 0, 0),
                                              'auto_pad': ('s', b'NOTSET', b'NOTSET', b'VALID')}
    if isinstance(row, rows.Conv):
        pads = [0 if row.padding == 'VALID' else row.kernel // 2] * 4
        window = {'kernel_shape': ('ints', None, [row.kernel] * 2), 'strides': ('ints', [1, 1], [row.stride] * 2)}
        allowed['Conv'] = window | ones | {'pads': ('ints', [0] * 4, pads), 'group': ('i', 1, row.groups),
                                           'auto_pad': ('s', b'NOTSET', b'NOTSET')}
    return allowed


def _value(attribute, kind):
    value = getattr(attribute, kind)
    return list(value) if kind == 'ints' else value


def _same(value, other):
    if isinstance(value, float):
        return math.isclose(value, other, rel_tol=1e-6)  # stored as float32
    return value == other


def _check_flat(node, tensors, row):
    """fc6 must see [batch, 9216], in the order of channels, rows, columns."""
    if node.op_type == 'Flatten':
        return
    shapes = [list(attribute.ints) for attribute in node.attribute if attribute.name == 'shape']  # before opset 5
    shapes += [np.frombuffer(tensor.raw_data, '<i8').tolist() if tensor.raw_data else list(tensor.int64_data)
               for name in node.input[1:] if (tensor := tensors.get(name)) and tensor.data_type == _INT64]
    if len(shapes) != 1:
        raise ValueError(f'{row.name}: the shape that Reshape makes is not in the file; expected is a constant.')
    shape = shapes[0]
    if len(shape) != 2 or shape[1] not in (-1, 9216):  # 6 * 6 * 256
        raise ValueError(f'{row.name}: Reshape makes {shape}, but bvlc_alexnet [batch, 9216]; it is another network.')


def _parameters(op, node, names, tensors, row):
    if len(names) != 2:
        raise ValueError(f'{row.name}: {node.op_type} has {len(names)} parameters; expected are weights and biases.')
    weights, biases = (_tensor(tensors, name, f'{row.name} {kind}') for name, kind in zip(names, ('weights', 'biases')))
    stored_out_first = op == 'Conv' or any(a.name == 'transB' and a.i for a in node.attribute)
    return {'weights': weights if stored_out_first else weights.T, 'biases': biases}


def _tensor(tensors, name, meaning):
    """float32 array of an initializer."""
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f'{meaning}: the graph has no initializer {name!r}, and weights must stand in the file.')
    if tensor.external_data or tensor.data_location:
        raise ValueError(f'{meaning}: {name!r} stands in another file; save the model with all its data in one file.')
    if tensor.data_type != _FLOAT:
        raise ValueError(f'{meaning}: {name!r} has ONNX type {tensor.data_type}, not {_FLOAT} (float32); get the '
                         'float32 form of the model.')
    data = tensor.raw_data or b''.join(tensor.float_data)
    numpy_files.check_size(f'{meaning} ({name})', tensor.dims, 4, len(data))
    return np.frombuffer(data, '<f4').reshape(tuple(tensor.dims))


def runnable(model, size):
    """(bytes, input's name, output's name, batch) of a ModelProto for images of size x size pixels, giving logits.

    Changes the message. batch: the file's own where it is fixed, as a Reshape may hold it.
    """
    graph = model.graph
    del graph.value_info[:]  # intermediate shapes, of another image size
    logits = graph.node[-1].output[0]
    if graph.node[-1].op_type == 'Softmax':  # one probability may be nearly all: logits show more
        logits = graph.node[-1].input[0]
        output = next(value for value in graph.output if value.name == graph.node[-1].output[0])
        output.name = logits
        del graph.node[-1]
    image = image_input(graph)
    dims = image.type.tensor_type.shape.dim
    batch = dims[0].dim_value if dims and 0 < dims[0].dim_value <= 64 else 1
    image.type.tensor_type.shape.ClearField('dim')
    for value in (batch, 3, size, size):
        image.type.tensor_type.shape.dim.add(dim_value=value)
    return model.SerializeToString(), image.name, logits, batch
