"""Caffe's files of weights: a NetParameter of Caffe as it is now, or as it was."""
import functools

import numpy as np
from hypothesis import strategies as st

from tests.helpers import weight_builders
from tests.helpers.fuzz import small, wire

PATH = 'net.caffemodel'
MESSAGES = {100: {7: {7: {}}}, 2: {6: {7: {}}}}  # layers and their blobs; in old files of other numbers

prepare = small.prepare


@functools.cache
def base(old):
    """(the file's Fields, bytes of each of its arrays)."""
    weights = weight_builders.random_weights(small.SHAPES)
    return (wire.parse(weight_builders.caffemodel(weights, old=old), MESSAGES),
            {array.astype('<f4').tobytes() for pair in weights.values() for array in pair})


def whole():
    return {PATH: wire.written(base(False)[0])}


def cases():
    return st.booleans().flatmap(lambda old: wire.changed(base(old)[0])).map(lambda content: {PATH: content})


def read(folder, files):
    from alexnet_tf.weights import reading
    loaded, kind, _ = reading.read(f'{folder}/{PATH}')
    assert kind == '.caffemodel'
    check_weights(loaded.model, files[PATH])
    return True


def check_weights(model, content):
    """Every array of an imported AlexNet stands in the file as Caffe has it: out first, and conv1 for B, G, R."""
    from nets import slim_checkpoints
    for name, variable in slim_checkpoints.named_variables(model).items():
        array = variable.numpy()
        if name == 'alexnet/conv1/weights':
            array = array[:, :, ::-1]
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        assert np.isfinite(array).all() and any(
            np.ascontiguousarray(array, kind).tobytes() in content for kind in ('<f4', '<f8')), name
