"""A network with all that its weights need to be used: classes, image size, mean. Stored as model.json."""
import dataclasses
import json
import os

import numpy as np
import tf_keras

from alexnet_tf import preprocessing
from nets import nets_factory

MODEL_FILE = 'model.json'


@dataclasses.dataclass(frozen=True)
class Spec:
    """What stands in model.json beside checkpoints.

    image_size: pixels. class_names: label order. mean: [r, g, b], or the name of a .npy file of the
    mean image beside model.json. labels_offset: what training subtracted from labels; None: not known.
    """
    model_name: str
    image_size: int
    class_names: tuple
    mean: tuple | str
    labels_offset: int | None = None

    @property
    def num_classes(self):
        return len(self.class_names)


def build(spec, *, dtype=None, dropout_keep_prob=0.5, hidden_bias=0.1):
    """The Keras model of a Spec. Raises ValueError for an unknown network or an impossible size."""
    nets_factory.check_name(spec.model_name)
    return nets_factory.models_map[spec.model_name](
        spec.num_classes, input_shape=(spec.image_size, spec.image_size, 3), dtype=dtype,
        dropout_keep_prob=dropout_keep_prob, hidden_bias=hidden_bias, name=spec.model_name)


def load_mean(spec, folder):
    """float32 [3] or [side, side, 3]: the mean that a Spec names, from `folder` if it is a file."""
    if not isinstance(spec.mean, str):
        return np.array(spec.mean, np.float32)
    path = os.path.join(folder, spec.mean)
    try:
        mean = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:  # EOFError: an empty file
        raise ValueError(f'cannot read the mean image {path}: {error}') from error
    side = preprocessing.square_side(spec.image_size)
    if mean.shape != (side, side, 3):
        raise ValueError(f'the mean image {path} has shape {mean.shape}; for {spec.image_size}-pixel images it '
                         f'must be ({side}, {side}, 3). Use --mean=rgb.')
    return mean.astype(np.float32)


def write_spec(spec, folder):
    """Writes model.json into a folder."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, MODEL_FILE)
    with open(path + '.partial', 'w', encoding='utf-8') as file:
        json.dump(dataclasses.asdict(spec), file, indent=1)
    os.replace(path + '.partial', path)


def read_spec(folder):
    """The Spec of a folder, or None if there is no model.json. Raises ValueError for a damaged one."""
    path = os.path.join(folder, MODEL_FILE)
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding='utf-8') as file:
            fields = json.load(file)
        mean = fields['mean'] if isinstance(fields['mean'], str) else tuple(fields['mean'])
        return Spec(**fields | {'class_names': tuple(fields['class_names']), 'mean': mean})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'cannot read {path}: {error}') from error


def set_seed(seed):
    """Makes initial weights a function of the seed."""
    tf_keras.utils.set_random_seed(seed)
