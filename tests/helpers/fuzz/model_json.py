"""model.json beside a checkpoint, and the mean image that it may name."""
import functools
import json

import numpy as np
from hypothesis import strategies as st

from tests.helpers.fuzz import checkpoint, npz, small, texts

SPEC = {'model_name': 'alexnet_v2', 'image_size': 224, 'class_names': ['a', 'b', 'c'], 'mean': [1.5, 2, 3],
        'labels_offset': 1, 'variant': 'paper', 'unscaled_dropout': None}
MEAN = npz.npy(np.full([256, 256, 3], 99, np.float32))

prepare = small.prepare


@functools.cache
def whole():
    return checkpoint.whole() | {'model.json': json.dumps(SPEC).encode()}


@st.composite
def cases(draw):
    files = dict(whole())
    if draw(st.integers(0, 4)):
        files['model.json'] = draw(texts.changed_json(SPEC))
    else:
        files['model.json'] = json.dumps(SPEC | {'mean': 'mean.npy'}).encode()
        files['mean.npy'] = draw(npz.changed_npy(MEAN))
    return files


def read(folder, files):
    from alexnet_tf.model import loading
    loaded = loading.load(folder)
    spec = loaded.spec
    assert spec.model_name == 'alexnet_v2' and spec.num_classes == 3 and loaded.step == 7
    assert np.isfinite(loaded.mean).all() and loaded.mean.shape in ((3,), (256, 256, 3))
    assert loaded.model.input_shape == (None, spec.image_size, spec.image_size, 3)
    assert all(isinstance(name, str) for name in spec.class_names)
    return True
