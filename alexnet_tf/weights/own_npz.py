"""A network's weights in one .npz file, for any program that reads NumPy's arrays; docs/alexnet.md describes it."""
import dataclasses
import json

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.files import writing
from alexnet_tf.model import specs
from nets import slim_checkpoints

FORMAT = 'alexnet_tf 1'


def write(loaded, path):
    """Writes a loading.Loaded as .npz, whole or not at all. Equal weights make equal files. Raises: ValueError."""
    arrays = {name: tf.convert_to_tensor(variable, tf.float32).numpy()
              for name, variable in sorted(slim_checkpoints.named_variables(loaded.model).items())}
    arrays |= {'format': np.array(FORMAT), 'model_json': np.array(json.dumps(dataclasses.asdict(loaded.spec)))}
    if isinstance(loaded.spec.mean, str):
        arrays['mean_image'] = np.asarray(loaded.mean, np.float32)
    try:
        with writing.whole(path) as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise ValueError(f'cannot write {path}: {error}') from error


def parse(arrays):
    """(Spec, mean as float32 [3] or [side, side, 3], {`alexnet/conv1/weights`: array}) of such a file's arrays.

    Raises: ValueError for another format, and for a description or mean that does not fit.
    """
    if any(isinstance(array, list) for array in arrays.values()):
        raise ValueError('it holds arrays of objects; this format has none.')
    arrays = dict(arrays)
    found, stored = str(arrays.pop('format', '')), str(arrays.pop('model_json', ''))
    if found != FORMAT:
        raise ValueError(f'its format is {found!r}; this program reads {FORMAT!r}.')
    try:
        spec = specs.spec_of(json.loads(stored), 'model_json')
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: it is no object {…}
        raise ValueError(f'its model_json is not the description of a network: {error}') from error
    if not isinstance(spec.mean, str):
        return spec, np.array(spec.mean, np.float32), arrays
    side, mean = preprocessing.square_side(spec.image_size), arrays.pop('mean_image', np.zeros(0))
    if mean.shape != (side, side, 3) or mean.dtype != np.float32:
        raise ValueError(f'its mean is {mean.dtype} {mean.shape}; it must be float32 {(side, side, 3)}.')
    return spec, mean, arrays
