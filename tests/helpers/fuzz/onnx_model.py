"""ONNX models of Caffe's AlexNet."""
import functools

from hypothesis import strategies as st

from tests.helpers import weight_builders
from tests.helpers.fuzz import small, wire
from tests.helpers.fuzz.caffemodel import check_weights

PATH = 'net.onnx'
TENSOR = {}
VALUE = {2: {1: {2: {1: {}}}}}
MESSAGES = {7: {1: {5: {5: TENSOR}}, 5: TENSOR, 11: VALUE, 12: VALUE, 13: VALUE}, 8: {}}

prepare = small.prepare


@functools.cache
def base(size):
    model = weight_builders.onnx_model(weight_builders.random_weights(small.SHAPES), size=size)
    return wire.parse(model.SerializeToString(), MESSAGES)


def whole():
    return {PATH: wire.written(base(224))}


def cases():
    return st.sampled_from((224, 227)).flatmap(lambda size: wire.changed(base(size))).map(
        lambda content: {PATH: content})


def read(folder, files):
    """Also with onnxruntime, where it is installed: a network that computes something else is refused there."""
    from alexnet_tf.weights import reading
    loaded, kind, proto = reading.read(f'{folder}/{PATH}')
    if kind == 'ONNX':
        from alexnet_tf.weights import onnx_graph
        onnx_graph.compare(loaded.model, proto)
    else:
        check_weights(loaded.model, files[PATH])
    return True
