"""The networks in ONNX, run by onnxruntime and by OpenVINO, with as many threads as there are cores."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks import inputs


def model(layers, batch):
    """The ModelProto, as bytes, of networks.layers with inputs.random_weights: images [batch, height, width, 3]."""
    weights, nodes, tensors = inputs.random_weights(layers), [], [numpy_helper.from_array(inputs.MEAN, 'mean')]
    current = 'images'

    def node(operation, *more, **attributes):
        nonlocal current
        nodes.append(helper.make_node(operation, [current, *more], [f'{len(nodes)}'], **attributes))
        current = nodes[-1].output[0]
    node('Sub', 'mean')
    node('Transpose', perm=[0, 3, 1, 2])
    for layer in layers:
        if layer.kind == 'Conv':
            kernel = weights[layer.name][0].transpose(3, 2, 0, 1)
            kernel = kernel.reshape(layer.filters, -1) if layer.full else kernel
            for array in (np.ascontiguousarray(kernel), weights[layer.name][1]):
                tensors.append(numpy_helper.from_array(array, f'{layer.name}/{array.ndim}'))
            names = tensors[-2].name, tensors[-1].name
            if layer.full and layer.kernel > 1:
                node('Flatten')
            if layer.full:
                node('Gemm', *names, transB=1)
            else:
                same = [layer.kernel // 2 if layer.padding == 'SAME' else 0] * 2
                before, after = layer.padding if isinstance(layer.padding, tuple) else same
                node('Conv', *names, strides=[layer.stride] * 2, group=layer.groups, pads=[before] * 2 + [after] * 2)
            if layer.relu:
                node('Relu')
        elif layer.kind == 'LRN':
            size = 2 * layer.depth_radius + 1  # by which ONNX divides alpha
            node('LRN', size=size, alpha=layer.alpha * size, beta=layer.beta, bias=layer.bias)
        elif layer.kind == 'MaxPool':
            node('MaxPool', kernel_shape=[layer.size] * 2, strides=[layer.stride] * 2)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, 'network', [value('images', TensorProto.FLOAT, [batch, inputs.SIZE, inputs.SIZE, 3])],
        [value(current, TensorProto.FLOAT, [batch, inputs.CLASSES])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8).SerializeToString()


def onnxruntime(layers, batch):
    """A function of the logits; float32, since onnxruntime has no other arithmetic of this network on x86."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inputs.CORES
    session = onnxruntime.InferenceSession(model(layers, batch), options, providers=['CPUExecutionProvider'])
    images = inputs.random_batch(batch)[0].astype(np.float32)
    return lambda: session.run(None, {'images': images})[0]


def openvino(layers, dtype, batch):
    """A function of the logits. Raises ValueError where OpenVINO has no such arithmetic on this processor."""
    import openvino
    core = openvino.Core()
    if dtype == 'bfloat16' and 'BF16' not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        raise ValueError('OpenVINO has no bfloat16 on this processor')
    compiled = core.compile_model(core.read_model(model(layers, batch)), 'CPU', {
        'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_NUM_THREADS': inputs.CORES,
        'INFERENCE_PRECISION_HINT': {'float32': 'f32', 'bfloat16': 'bf16'}[dtype]})
    images = inputs.random_batch(batch)[0].astype(np.float32)
    return lambda: compiled(images)[0]
