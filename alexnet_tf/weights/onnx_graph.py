"""Caffe's AlexNet in ONNX: the graph is compared node by node with Caffe's table, and gives its weights.

A model is never read by way of onnx.load: that would open the other files that it names.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from alexnet_tf.console import terminal
from alexnet_tf.weights import caffe, network
from nets import alexnet, rows

IMAGES = 4  # for `compare`
TOLERANCE = 1e-3  # of the largest logit: float32 sums of 9216 terms in another order differ by 1e-6 to 1e-5


def read(graph):
    """{`conv1/weights`: array} of a GraphProto: conv [out, in, height, width], fc [out, in].

    Raises: ValueError naming the first difference from bvlc_alexnet, a weight that is missing, or one that is unused.
    """
    expected, result = [(kind, row) for row in alexnet.ALEXNET_CAFFE for kind in _operations(row)], {}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {node.output[0]: attribute.t for node in graph.node if node.op_type == 'Constant' and node.output
                for attribute in node.attribute if attribute.name == 'value'}
    nodes = [*_chain(graph), ('its end', None, ())]
    for place, ((kind, row), (op, node, parameters)) in enumerate(zip(expected, nodes), 1):
        if op != kind:
            raise ValueError(f'node {place} of its network is {op}, but {kind} ({row.name}) in bvlc_alexnet; it is '
                             'another network.')
        _check_attributes(node, row)
        if node.op_type == 'Reshape':
            _check_flat(node, tensors, row)
        if kind in ('Conv', 'Gemm'):
            result |= _parameters(node, parameters, tensors, row)
    used = {name for node in graph.node for name in node.input}
    more = [name for name, tensor in tensors.items() if tensor.data_type == TensorProto.FLOAT and name not in used]
    more += [f'node {op}' for op, _, _ in nodes[len(expected):-1]]
    if more:
        raise ValueError(f'it has more than bvlc_alexnet: {", ".join(more)}; it is another network.')
    return result


def _operations(row):
    """What ONNX has for a row of the table, without dropout."""
    if not isinstance(row, rows.Conv):
        return [] if isinstance(row, rows.Dropout) else [type(row).__name__]
    full = row.name.startswith('fc')
    return ['Flatten'] * (full and row.kernel > 1) + ['Gemm' if full else 'Conv'] + ['Relu'] * row.relu


def _image_input(graph):
    """The one input of a GraphProto that is not a weight. Raises: ValueError for several or none."""
    weights = {tensor.name for tensor in graph.initializer}  # old files list them as inputs, too
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ValueError(f'its inputs are {", ".join(value.name for value in inputs) or "none"}; expected are images.')
    return inputs[0]


def _chain(graph):
    """[(operation, node, parameters' names)] from the image to the logits: each node feeds the next one.

    MatMul and Add count as one Gemm, Reshape as Flatten; Dropout, Identity and the Softmax at the end are left out.
    """
    current, steps = _image_input(graph).name, []
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
    given |= {name: float(f'{value:.6g}') for name, value in given.items() if isinstance(value, float)}  # was float32
    for name in allowed | given:
        default, *values = allowed.get(name, (None, 'no such attribute'))
        value = given.get(name, default)
        if values and value is not None and value not in values:
            raise ValueError(f'{row.name}: {node.op_type} has {name} {value}, but bvlc_alexnet has '
                             f'{" or ".join(map(str, values))}; it is another network.')


def _allowed_attributes(row):
    """{operation: {attribute: (default, allowed values …)}}; default None: may be left out. No values: any."""
    allowed = {'Relu': {'consumed_inputs': (None,)},  # of opset 1
               'Flatten': {'axis': (1, 1)}, 'MatMul': {}, 'Reshape': {'allowzero': (0, 0, 1), 'shape': (None,)},
               'Gemm': {'alpha': (1, 1), 'beta': (1, 1), 'transA': (0, 0), 'transB': (0, 0, 1), 'broadcast': (1, 0, 1)}}
    if isinstance(row, rows.LRN):
        size = 2 * row.depth_radius + 1  # by which ONNX, as Caffe, divides alpha
        allowed['LRN'] = {'size': (0, size), 'alpha': (1e-4, round(row.alpha * size, 9)), 'beta': (0.75, row.beta),
                          'bias': (1, row.bias)}
    if isinstance(row, rows.MaxPool):
        # Caffe rounds sizes up. At 227 pixels no window reaches beyond the map, padded or not.
        allowed['MaxPool'] = {
            'kernel_shape': ([], [row.size] * 2), 'strides': ([1, 1], [row.stride] * 2), 'dilations': (None, [1, 1]),
            'pads': ([0] * 4, [0] * 4, [0, 0, 1, 1]), 'ceil_mode': (0, 0, 1), 'storage_order': (0, 0),
            'auto_pad': (b'NOTSET', b'NOTSET', b'VALID')}
    if isinstance(row, rows.Conv):
        pads = [0 if row.padding == 'VALID' else row.kernel // 2] * 4
        allowed['Conv'] = {
            'kernel_shape': (None, [row.kernel] * 2), 'strides': ([1, 1], [row.stride] * 2), 'pads': ([0] * 4, pads),
            'dilations': (None, [1, 1]), 'group': (1, row.groups), 'auto_pad': (b'NOTSET', b'NOTSET')}
    return allowed


def _check_flat(node, tensors, row):
    """fc6 must see [batch, 9216], in the order of channels, rows, columns."""
    shapes = [helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == 'shape']
    shapes += [array(tensors, name, TensorProto.INT64, f'{row.name} shape').tolist() for name in node.input[1:]]
    # An attribute before opset 5, an input since; 9216 is 6 * 6 * 256.
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] not in (-1, 9216):
        raise ValueError(f'{row.name}: Reshape makes {shapes or "what is not in the file"}, not [batch, 9216]; it is '
                         'another network.')


def _parameters(node, names, tensors, row):
    if len(names) != 2:
        raise ValueError(f'{row.name}: {node.op_type} has {len(names)} parameters; expected are weights and biases.')
    parts = [f'{row.name}/weights', f'{row.name}/biases']
    weights, biases = (array(tensors, name, TensorProto.FLOAT, part) for name, part in zip(names, parts))
    stored_out_first = node.op_type == 'Conv' or any(a.name == 'transB' and a.i for a in node.attribute)
    return dict(zip(parts, (weights if stored_out_first else weights.T, biases)))


def array(tensors, name, data_type, meaning):
    """The array of a TensorProto in the file itself. What it claims to hold is checked before anything is made."""
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f'{meaning}: the graph has no initializer or constant {name!r}; all must be in the file.')
    if tensor.external_data or tensor.data_location:
        raise ValueError(f'{meaning}: {name!r} is in another file; save the model with all its data in one file.')
    if tensor.data_type != data_type:
        raise ValueError(f'{meaning}: {name!r} has ONNX type {tensor.data_type}; expected is {data_type}, as in the '
                         'float32 form of bvlc_alexnet.')
    size = helper.tensor_dtype_to_np_dtype(data_type).itemsize
    found = len(tensor.raw_data) or len(getattr(tensor, helper.tensor_dtype_to_field(data_type))) * size
    network.check_size(f'{meaning} ({name})', tensor.dims, size, found)
    return numpy_helper.to_array(tensor)


def compare(model, proto):
    """Prints how far a Keras model's logits are from those of the ModelProto it was made of, which is changed.

    Without onnxruntime, or when that cannot run the file, prints why nothing was compared.

    Raises: ValueError when they differ by more than rounding.
    """
    size = model.input_shape[1]
    images = (np.random.default_rng(0).uniform(0, 255, [IMAGES, size, size, 3]) - caffe.MEAN_RGB).astype(np.float32)
    try:
        theirs = _logits(proto, images)
    except Exception as error:  # onnxruntime's classes of errors are not public
        reason = ('onnxruntime is not installed; pip install onnxruntime, and import again'
                  if isinstance(error, ImportError) else
                  f'onnxruntime cannot run the file: {terminal.sentence(error)}')
        print(f'Logits were not compared with those of the source: {reason}.')
        return
    difference = np.abs(model(images, training=False) - theirs).max() / np.abs(theirs).max()
    print(f'Logits of {IMAGES} random images differ from the source (onnxruntime) by {difference:.1e} of the largest.')
    if not difference <= TOLERANCE:
        raise ValueError(f'the imported network differs from its source by {difference:.1e} of the largest logit; at '
                         f'most {TOLERANCE} is rounding. Nothing was written.')


def _logits(proto, images):
    """[images, classes] of a ModelProto, which is changed; images: float32 [images, size, size, RGB]."""
    import onnxruntime
    graph = proto.graph
    del graph.value_info[:]  # intermediate shapes, of another image size
    if graph.node[-1].op_type == 'Softmax':  # one probability may be nearly all: logits show more
        del graph.node[-1]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(graph.node[-1].output[0], TensorProto.FLOAT, None))
    image = _image_input(graph)
    dims = image.type.tensor_type.shape.dim
    batch = dims[0].dim_value if dims and 0 < dims[0].dim_value <= 64 else 1  # the file's own: a Reshape may hold it
    bgr = np.repeat(images[:, None, ..., ::-1], batch, 1).transpose(0, 1, 4, 2, 3)
    image.CopyFrom(helper.make_tensor_value_info(image.name, TensorProto.FLOAT, bgr.shape[1:]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=['CPUExecutionProvider'])
    return np.stack([session.run(None, {image.name: np.ascontiguousarray(batch)})[0][0] for batch in bgr])
