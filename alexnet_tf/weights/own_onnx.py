"""The ONNX files that `export --to=onnx` writes, read back: the graph must be the one that would be written again."""
import json

import numpy as np
from onnx import TensorProto

from alexnet_tf.formats import onnx_file
from alexnet_tf.model import specs
from alexnet_tf.weights import network, onnx_graph


def is_own(proto):
    """Whether a ModelProto says that this project wrote it."""
    return _metadata(proto).get('format', '').startswith('alexnet_tf')


def parse(proto):
    """(Spec, mean as float32 [3], {`alexnet/conv1/weights`: array}) of such a ModelProto.

    Raises: ValueError for another format, for a graph that was changed, and for a file with a mean image.
    """
    metadata = _metadata(proto)
    if metadata['format'] != onnx_file.FORMAT:
        raise ValueError(f'its format is {metadata["format"]!r}; this program reads {onnx_file.FORMAT!r}.')
    try:
        spec = specs.spec_of(json.loads(metadata.get('model_json', '')), 'model_json')
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: it is no object {…}
        raise ValueError(f'its model_json is not the description of a network: {error}') from error
    if isinstance(spec.mean, str):
        raise ValueError('it holds the center of a mean image alone; export the checkpoint with --to=npz, and import '
                         'that.')
    arrays, result = _arrays(proto.graph, spec), {}
    if onnx_file.model(spec, arrays).graph != proto.graph:
        raise ValueError('its graph is not the one that this program writes of its model_json; it was changed, or is '
                         'of another version. Export it again.')
    for name, shape in _shapes(spec).items():
        array = arrays[_torchs(name)]
        if name.endswith('weights'):
            array = array.reshape(shape[3], shape[2], *shape[:2]).transpose(2, 3, 1, 0)
        result[name] = array
    return spec, np.array(spec.mean, np.float32), result


def _metadata(proto):
    return {entry.key: entry.value for entry in proto.metadata_props}


def _shapes(spec):
    return network.shapes(spec.model_name, spec.variant, spec.num_classes)


def _torchs(name):
    """`conv1.weight` of `alexnet/conv1/weights`."""
    _, row, part = name.split('/')
    return f'{row}.{part.removesuffix("s") if part == "weights" else "bias"}'


def _arrays(graph, spec):
    """{`conv1.weight`: array} and the mean of a GraphProto, of the right number of values each."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found = {'mean': onnx_graph.array(tensors, 'mean', TensorProto.FLOAT, 'mean')}
    for name, shape in _shapes(spec).items():
        array = onnx_graph.array(tensors, _torchs(name), TensorProto.FLOAT, name)
        if array.size != np.prod(shape):
            raise ValueError(f'{_torchs(name)} has {array.size:,} values; expected are {np.prod(shape):,}.')
        found[_torchs(name)] = array
    return found
