"""A network as an ONNX file, from its table: a row is a node or a few."""
import dataclasses
import json
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from alexnet_tf.files import writing
from alexnet_tf.formats import layers

FORMAT = 'alexnet_tf 1'  # metadata `format`: weights.own_onnx reads such files
OPSET, IR_VERSION = 17, 8  # of 2022


def write(loaded, folder):
    """Writes a loading.Loaded as folder/model.onnx; returns the path. Raises: OSError when it cannot be written."""
    proto = model(loaded.spec, layers.arrays(loaded))
    onnx.checker.check_model(proto, full_check=True)
    path = os.path.join(folder, 'model.onnx')
    with writing.whole(path) as file:
        file.write(proto.SerializeToString())
    return path


def model(spec, arrays):
    """The ModelProto of a Spec's network with arrays as of layers.arrays.

    images, float32 [batch, 3, size, size], RGB 0..255 -> logits, float32 [batch, classes]. metadata_props: format,
    model_json (the Spec with its class names) and class_names (a JSON list).
    """
    graph = _Graph(arrays)
    graph.node('Sub', 'mean')
    for row in layers.plain_rows(spec):
        _ADD[row['kind']](graph, row)
    graph.nodes[-1].output[0] = 'logits'
    value, side = helper.make_tensor_value_info, spec.image_size
    proto = helper.make_model(
        helper.make_graph(graph.nodes, spec.model_name,
                          [value('images', TensorProto.FLOAT, ['batch', 3, side, side])],
                          [value('logits', TensorProto.FLOAT, ['batch', spec.num_classes])],
                          [numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]),
        opset_imports=[helper.make_opsetid('', OPSET)], ir_version=IR_VERSION, producer_name='alexnet_tf',
        doc_string='images: RGB 0..255; the mean is subtracted inside. The softmax of logits are probabilities.')
    helper.set_model_props(proto, {'format': FORMAT, 'model_json': json.dumps(dataclasses.asdict(spec)),
                                   'class_names': json.dumps(spec.class_names)})
    return proto


class _Graph:
    """Nodes that follow one another, from `images` on, and the arrays that they read."""

    def __init__(self, arrays):
        self.nodes, self.arrays, self.current, self.maps = [], dict(arrays), 'images', 3

    def node(self, operation, *inputs, name=None, **attributes):
        """Adds a node that reads what the last one gave, and then `inputs`. Returns: the name of its output."""
        name = name or f'{operation}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(operation, [self.current, *inputs], [name], name=name, **attributes))
        self.current = name
        return name

    def constant(self, name, value, kind=np.float32):
        """The name of a new array."""
        self.arrays[name] = np.array(value, kind)
        return name


def _convolution(graph, row):
    before, after = row['padding']
    name = row['name']
    graph.node('Conv', f'{name}.weight', f'{name}.bias', name=name, strides=[row['stride']] * 2, group=row['groups'],
               pads=[before] * 2 + [after] * 2)
    graph.maps = len(graph.arrays[f'{name}.weight'])
    if row['relu']:
        graph.node('Relu')


def _linear(graph, row):
    name = row['name']
    if all(node.op_type != 'Flatten' for node in graph.nodes):
        graph.node('Flatten')
    graph.node('Gemm', f'{name}.weight', f'{name}.bias', name=name, transB=1)
    if row['relu']:
        graph.node('Relu')


def _normalization(graph, row):
    name, groups, (size, side, _) = row['name'], row['groups'], row['window']
    if side > 1:
        _spatial_normalization(graph, row)
        return
    if groups > 1:  # so many images of a part of the maps each; 0 keeps an axis
        graph.node('Reshape', graph.constant(f'{name}.parts', [-1, graph.maps // groups, 0, 0], np.int64))
    # ONNX divides alpha by the size.
    graph.node('LRN', name=name, size=size, alpha=row['alpha'] * size, beta=row['beta'], bias=float(row['bias']))
    if groups > 1:
        graph.node('Reshape', graph.constant(f'{name}.whole', [-1, graph.maps, 0, 0], np.int64))


def _spatial_normalization(graph, row):
    name, side, values = row['name'], row['window'][1], graph.current
    graph.node('Mul', values)
    graph.node('AveragePool', kernel_shape=[side] * 2, pads=[side // 2] * 4, count_include_pad=1)
    graph.node('Mul', graph.constant(f'{name}.alpha', row['alpha'] * side ** 2))
    graph.node('Add', graph.constant(f'{name}.bias', row['bias']))
    scale = graph.node('Pow', graph.constant(f'{name}.beta', row['beta']))
    graph.current = values
    graph.node('Div', scale, name=name)


def _dropout(graph, row):
    if not row['rescale']:
        graph.node('Mul', graph.constant(f'{row["name"]}.keep_prob', row['keep_prob']), name=row['name'])


_ADD = {
    'Conv': _convolution, 'Linear': _linear, 'Norm': _normalization, 'Dropout': _dropout,
    'MaxPool': lambda graph, row: graph.node('MaxPool', name=row['name'], kernel_shape=[row['size']] * 2,
                                             strides=[row['stride']] * 2),
    'Activation': lambda graph, row: graph.node('Relu', name=row['name']),
}
