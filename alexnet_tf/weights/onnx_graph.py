"""Caffe's AlexNet in ONNX: the graph is compared node by node with Caffe's table, and gives its weights.

A model is never read by way of onnx.load: that would open the other files that it names.
"""
import math

from onnx import TensorProto, helper, numpy_helper

from alexnet_tf.weights import network
from nets import alexnet, rows


def read(graph):
    """{`conv1/weights`: array} of a GraphProto: conv [out, in, height, width], fc [out, in].

    Raises: ValueError naming the first difference from bvlc_alexnet, a weight that is missing, or one that is unused.
    """
    expected, result = _expected(), {}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {node.output[0]: attribute.t for node in graph.node if node.op_type == 'Constant' and node.output
                for attribute in node.attribute if attribute.name == 'value'}
    nodes = _chain(graph)
    for place, (kind, row) in enumerate(expected):
        op, node, parameters = nodes[place] if place < len(nodes) else ('its end', None, ())
        if op != kind:
            raise ValueError(f'node {place + 1} of its network is {op}, but {kind} ({row.name}) in bvlc_alexnet; it is '
                             'another network.')
        _check_attributes(node, row)
        if node.op_type == 'Reshape':
            _check_flat(node, tensors, row)
        if kind in ('Conv', 'Gemm'):
            result |= _parameters(node, parameters, tensors, row)
    used = {name for node in graph.node for name in node.input}
    more = [name for name, tensor in tensors.items() if tensor.data_type == TensorProto.FLOAT and name not in used]
    more += [f'node {op}' for op, _, _ in nodes[len(expected):]]
    if more:
        raise ValueError(f'it has more than bvlc_alexnet: {", ".join(more)}; it is another network.')
    return result


def image_input(graph):
    """The one input of a GraphProto that is not a weight. Raises: ValueError for several or none."""
    weights = {tensor.name for tensor in graph.initializer}  # old files list them as inputs, too
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ValueError(f'its inputs are {", ".join(value.name for value in inputs) or "none"}; expected is one, the '
                         'images.')
    return inputs[0]


def _expected():
    """[(operation, row)] of Caffe's AlexNet as ONNX has them, without dropout."""
    steps = []
    for row in alexnet.ALEXNET_CAFFE:
        if isinstance(row, rows.Conv):
            full = row.name.startswith('fc')
            steps += [('Flatten', row)] * (full and row.kernel > 1)
            steps += [('Gemm' if full else 'Conv', row)] + [('Relu', row)] * row.relu
        elif not isinstance(row, rows.Dropout):
            steps.append((type(row).__name__, row))
    return steps


def _chain(graph):
    """[(operation, node, parameters' names)] from the image to the logits: each node feeds the next one.

    MatMul and Add count as one Gemm, Reshape as Flatten; Dropout, Identity and the Softmax at the end are left out.
    """
    current, steps = image_input(graph).name, []
    for node in graph.node:
        if node.op_type == 'Constant':
            continue
        inputs = list(node.input)
        if node.op_type == 'Add' and current in inputs[1:]:
            inputs.reverse()
        if node.domain not in ('', 'ai.onnx') or not inputs or not node.output or inputs[0] != current:
            raise ValueError(f'node {node.op_type} {node.name!r} ({node.domain or "ai.onnx"}) does not follow the one '
                             'before it; bvlc_alexnet is a chain. It is another network.')
        current = node.output[0]
        if node.op_type == 'Add' and steps and steps[-1][0] == 'MatMul':
            steps[-1] = ('Gemm', steps[-1][1], steps[-1][2] + inputs[1:])
        elif node.op_type not in ('Dropout', 'Identity'):
            op = {'Reshape': 'Flatten'}.get(node.op_type, node.op_type)
            steps.append((op, node, [name for name in inputs[1:] if name]))
    if current not in [output.name for output in graph.output]:
        raise ValueError(f'the last node gives {current!r}, which is no output of the graph; it is another network.')
    return steps[:-1] if steps and steps[-1][0] == 'Softmax' else steps


def _check_attributes(node, row):
    """Raises ValueError unless every attribute of a node has a value that Caffe's row allows."""
    allowed = _allowed_attributes(row)[node.op_type]
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    for name in set(given) - set(allowed):
        raise ValueError(f'{row.name}: {node.op_type} has an attribute {name}, which it does not have in bvlc_alexnet; '
                         'it is another network.')
    for name, (default, *values) in allowed.items():
        value = given.get(name, default)
        if values and value is not None and not any(_is_same(value, other) for other in values):
            raise ValueError(f'{row.name}: {node.op_type} has {name} {value}, but bvlc_alexnet has '
                             f'{" or ".join(map(str, values))}; it is another network.')


def _allowed_attributes(row):
    """{operation: {attribute: (default, allowed values …)}}; default None: may be left out. No values: any."""
    dilations = {'dilations': (None, [1, 1])}
    old = {'consumed_inputs': ([], [], [0])}  # of opset 1
    allowed = {'Relu': old, 'Flatten': {'axis': (1, 1)}, 'MatMul': {},
               'Reshape': {'allowzero': (0, 0, 1), 'shape': (None,)},
               'Gemm': {'alpha': (1, 1), 'beta': (1, 1), 'transA': (0, 0), 'transB': (0, 0, 1), 'broadcast': (1, 0, 1)}}
    if isinstance(row, rows.LRN):
        size = 2 * row.depth_radius + 1
        allowed['LRN'] = {'size': (0, size), 'alpha': (1e-4, row.alpha * size), 'beta': (0.75, row.beta),
                          'bias': (1, row.bias)}  # ONNX, as Caffe, divides alpha by size
    if isinstance(row, rows.MaxPool):
        # Caffe rounds sizes up. At 227 pixels no window reaches beyond the map, padded or not.
        allowed['MaxPool'] = dilations | {
            'kernel_shape': ([], [row.size] * 2), 'strides': ([1, 1], [row.stride] * 2),
            'pads': ([0] * 4, [0] * 4, [0, 0, 1, 1]), 'ceil_mode': (0, 0, 1), 'storage_order': (0, 0),
            'auto_pad': (b'NOTSET', b'NOTSET', b'VALID')}
    if isinstance(row, rows.Conv):
        pads = [0 if row.padding == 'VALID' else row.kernel // 2] * 4
        allowed['Conv'] = dilations | {
            'kernel_shape': (None, [row.kernel] * 2), 'strides': ([1, 1], [row.stride] * 2), 'pads': ([0] * 4, pads),
            'group': (1, row.groups), 'auto_pad': (b'NOTSET', b'NOTSET')}
    return allowed


def _is_same(value, other):
    if isinstance(value, float) and isinstance(other, int | float):
        return math.isclose(value, other, rel_tol=1e-6)  # stored as float32
    return value == other


def _check_flat(node, tensors, row):
    """fc6 must see [batch, 9216], in the order of channels, rows, columns."""
    shapes = [helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == 'shape']
    shapes += [_array(tensors, name, TensorProto.INT64, f'{row.name} shape').tolist() for name in node.input[1:]]
    if len(shapes) != 1:  # an attribute before opset 5, an input since
        raise ValueError(f'{row.name}: Reshape has {len(shapes)} shapes; expected is one.')
    shape = shapes[0]
    if len(shape) != 2 or shape[1] not in (-1, 9216):  # 6 * 6 * 256
        raise ValueError(f'{row.name}: Reshape makes {shape}, but bvlc_alexnet has [batch, 9216]; it is another '
                         'network.')


def _parameters(node, names, tensors, row):
    if len(names) != 2:
        raise ValueError(f'{row.name}: {node.op_type} has {len(names)} parameters; expected are weights and biases.')
    parts = [f'{row.name}/weights', f'{row.name}/biases']
    weights, biases = (_array(tensors, name, TensorProto.FLOAT, part) for name, part in zip(names, parts))
    stored_out_first = node.op_type == 'Conv' or any(a.name == 'transB' and a.i for a in node.attribute)
    return dict(zip(parts, (weights if stored_out_first else weights.T, biases)))


def _array(tensors, name, data_type, meaning):
    """The array of a TensorProto in the file itself. What it claims to hold is checked before anything is made."""
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f'{meaning}: the graph has no initializer or constant {name!r}; all numbers must be in the '
                         'file.')
    if tensor.external_data or tensor.data_location:
        raise ValueError(f'{meaning}: {name!r} is in another file; save the model with all its data in one file.')
    if tensor.data_type != data_type:
        raise ValueError(f'{meaning}: {name!r} has ONNX type {tensor.data_type}; expected is {data_type} '
                         f'({TensorProto.DataType.Name(data_type).lower()}), as in the float32 form of bvlc_alexnet.')
    size = helper.tensor_dtype_to_np_dtype(data_type).itemsize
    found = len(tensor.raw_data) or len(getattr(tensor, helper.tensor_dtype_to_field(data_type))) * size
    network.check_size(f'{meaning} ({name})', tensor.dims, size, found)
    return numpy_helper.to_array(tensor)
