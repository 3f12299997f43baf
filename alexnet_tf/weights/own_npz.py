"""A network's weights in one .npz file, for any program that reads NumPy's arrays.

    own_npz.write(loading.load('runs/one'), 'alexnet.npz')
    with np.load('alexnet.npz') as arrays:                       # no pickles
        kernels = arrays['alexnet/conv1/weights']

Arrays, under slim's names; the scope is the network's (alexnet or alexnet_v2):

    alexnet/conv1/weights   float32 [height, width, in / groups, out]; conv1's input axis is R, G, B
    alexnet/conv1/biases    float32 [out]
    alexnet/fc6/weights     float32 [6, 6, 256, 4096]: rows, columns and channels of pool5 (alexnet_v2: 5 x 5)
    alexnet/fc7/weights     float32 [1, 1, 4096, 4096], and fc8 [1, 1, 4096, classes]
    format                  'alexnet_tf 1'
    model_json              text of model.json: network, variant, image size in pixels, class names, mean RGB
    mean_image              float32 [side, side, 3], RGB 0..255; only where the mean is an image

Equal weights make equal files, byte for byte.
"""
import dataclasses
import io
import json

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.files import writing
from alexnet_tf.model import specs
from nets import slim_checkpoints

FORMAT = 'alexnet_tf 1'
MEAN_IMAGE_FILE = 'mean_image.npy'  # its name beside a model.json that is made of such a file


def write(loaded, path):
    """Writes a loading.Loaded as .npz, whole or not at all. Raises: ValueError when it cannot be written."""
    arrays = {name: tf.convert_to_tensor(variable, tf.float32).numpy()
              for name, variable in sorted(slim_checkpoints.named_variables(loaded.model).items())}
    arrays |= {'format': np.array(FORMAT), 'model_json': np.array(json.dumps(dataclasses.asdict(loaded.spec)))}
    if isinstance(loaded.spec.mean, str):
        arrays['mean_image'] = np.asarray(loaded.mean, np.float32)
    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        writing.write_bytes(path, content.getbuffer())
    except OSError as error:
        raise ValueError(f'cannot write {path}: {error}') from error


def parse(arrays):
    """(Spec, mean as float32 [3] or [side, side, 3], {`alexnet/conv1/weights`: array}) of such a file's arrays.

    Raises: ValueError for another format, and for a description or mean that does not fit.
    """
    pickled = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if pickled:
        raise ValueError(f'{", ".join(pickled)} is an array of objects; this format has none.')
    arrays = dict(arrays)
    found, stored = str(arrays.pop('format', '')), str(arrays.pop('model_json', ''))
    if found != FORMAT:
        raise ValueError(f'its format is {found!r}; this program reads {FORMAT!r}.')
    try:
        fields = json.loads(stored)
        if not isinstance(fields, dict):
            raise ValueError(f'it holds a {type(fields).__name__}, not an object {{…}}')
        spec = specs.spec_of(fields | {'mean': MEAN_IMAGE_FILE} if isinstance(fields.get('mean'), str) else fields,
                              'model_json')
    except (ValueError, RecursionError) as error:
        raise ValueError(f'its model_json is not the description of a network: {error}') from error
    return spec, _mean(spec, arrays), arrays


def _mean(spec, arrays):
    mean = np.array(spec.mean, np.float32) if spec.mean != MEAN_IMAGE_FILE else arrays.pop('mean_image', None)
    side = preprocessing.square_side(spec.image_size)
    expected = (side, side, 3) if spec.mean == MEAN_IMAGE_FILE else (3,)
    if getattr(mean, 'shape', None) != expected or mean.dtype != np.float32:
        raise ValueError(f'its mean has the shape {getattr(mean, "shape", None)}; for {spec.image_size} pixels '
                         f'expected is float32 {expected}.')
    return mean
