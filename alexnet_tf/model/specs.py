"""A network with all that its weights need to be used: classes, image size, mean. Stored as model.json."""
import dataclasses
import io
import os

import numpy as np
import tf_keras

from alexnet_tf.data import preprocessing
from alexnet_tf.files import json_files, untrusted
from nets import alexnet, nets_factory, rows

MODEL_FILE = 'model.json'
_RULES = {  # of the fields in model.json, which may come from anybody; see untrusted.check_fields
    'model_name': (lambda name: isinstance(name, str), 'the name of a network', True),
    'image_size': (lambda size: untrusted.is_count(size) and size > 0, 'a number of pixels', True),
    'class_names': (untrusted.are_names, 'a list of names', True),
    'mean': (lambda mean: untrusted.is_rgb(mean) or untrusted.is_file_name(mean),
             'three numbers or the name of a file beside it', True),
    'labels_offset': (lambda offset: offset is None or untrusted.is_count(offset), 'a whole number or null', False),
    'variant': (lambda variant: isinstance(variant, str), 'the name of a variant', False),
    'unscaled_dropout': (lambda kept: kept is None or untrusted.is_number(kept) and 0 < kept <= 1,
                         'a share above 0 and at most 1, or null', False),
}


@dataclasses.dataclass(frozen=True)
class Spec:
    """What stands in model.json beside checkpoints.

    image_size: pixels. class_names: label order. mean: [r, g, b], or the name of a .npy file of the
    mean image beside model.json. labels_offset: what training subtracted from labels; None: not known.
    variant: of alexnet. unscaled_dropout: the share that dropout kept in training without rescaling it, by
    which fc6 and fc7 are therefore multiplied at test; None: rescaled in training.
    """
    model_name: str
    image_size: int
    class_names: tuple
    mean: tuple | str
    labels_offset: int | None = None
    variant: str = 'paper'
    unscaled_dropout: float | None = None

    @property
    def num_classes(self):
        return len(self.class_names)


def differences(one, other):
    """'field value, not other value, …' of two Specs."""
    def short(value):
        text = str(value)
        return text if len(text) <= 60 else text[:60] + ' …'
    return ', '.join(f'{field} {short(value)}, not {short(getattr(other, field))}'
                     for field, value in vars(one).items() if value != getattr(other, field))


def build(spec, *, dtype=None, dropout_keep_prob=0.5, hidden_bias=None, initial_values=None, devices=None):
    """The Keras model of a Spec; other arguments as of nets.alexnet.AlexNet.

    Raises: ValueError for an unknown network, an impossible size, or what alexnet_v2 has not.
    """
    nets_factory.check_name(spec.model_name)
    options = {'variant': spec.variant, 'initial_values': initial_values, 'devices': devices,
               'dropout_rescale': spec.unscaled_dropout is None}
    if spec.model_name != 'alexnet':
        if spec.variant != 'paper' or initial_values or devices or spec.unscaled_dropout:
            raise ValueError(f'{spec.model_name} has no variants, initial values of theirs, towers or original form of '
                             'dropout; these are of --model_name=alexnet.')
        options = {}
    _check_image_size(spec)
    if hidden_bias is not None:
        options['hidden_bias'] = hidden_bias
    return nets_factory.models_map[spec.model_name](
        spec.num_classes, input_shape=(spec.image_size, spec.image_size, 3), dtype=dtype,
        dropout_keep_prob=spec.unscaled_dropout or dropout_keep_prob, name=spec.model_name, **options)


def _check_image_size(spec):
    table = alexnet.variant_table(spec.variant) if spec.model_name == 'alexnet' else alexnet.ALEXNET_V2
    *_, last = rows.walk(rows.resolve(table, spec.num_classes), spec.image_size, spec.image_size)
    if last.shape[:2] != (1, 1):
        raise ValueError(f'images of {spec.image_size} pixels are too large for {spec.model_name}: they would give '
                         f'{last.shape[0]} x {last.shape[1]} answers each; its size is '
                         f'{alexnet.IMAGE_SIZES[spec.variant]} (--train_image_size, --eval_image_size).')


def load_mean(spec, folder):
    """float32 [3] or [side, side, 3]: the mean that a Spec names, from `folder` if it is a file."""
    if not isinstance(spec.mean, str):
        return np.array(spec.mean, np.float32)
    path = os.path.join(folder, spec.mean)
    untrusted.check_regular(path)
    try:
        with open(path, 'rb') as file:
            mean = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy's parser of headers raises nearly anything
        raise ValueError(f'cannot read the mean image {path}: {error}. Fetch it again, or use --mean=rgb.') from error
    if mean.dtype.kind not in 'fiu' or not np.isfinite(mean).all():
        raise ValueError(f'the mean image {path} is of type {mean.dtype}, or not finite; it must hold grey levels. Use '
                         '--mean=rgb.')
    side = preprocessing.square_side(spec.image_size)
    if mean.shape != (side, side, 3):
        raise ValueError(f'the mean image {path} has shape {mean.shape}; for {spec.image_size}-pixel images it '
                         f'must be ({side}, {side}, 3). Use --mean=rgb.')
    return mean.astype(np.float32)


def write_spec(spec, folder, mean=None):
    """Writes model.json into a folder and, where the spec names a file for it, the mean image (see `load_mean`)."""
    if isinstance(spec.mean, str):
        content = io.BytesIO()
        np.save(content, mean)
        json_files.write_bytes(os.path.join(folder, spec.mean), content.getvalue())
    json_files.write(os.path.join(folder, MODEL_FILE), dataclasses.asdict(spec))


def read_spec(folder):
    """The Spec of a folder, or None if there is no model.json. Raises ValueError for a damaged one."""
    path = os.path.join(folder, MODEL_FILE)
    fields = json_files.read(path)
    if fields is None:
        return None
    return spec_of(fields, path)


def spec_of(fields, path):
    """The Spec of a dictionary from JSON. path: where it stands, for messages. Raises: ValueError."""
    untrusted.check_fields(fields, _RULES, path)
    unknown = set(fields) - set(_RULES)
    if unknown:
        raise ValueError(f'cannot read {path}: {", ".join(sorted(unknown))} is not known here; it is of another '
                         'version or another program.')
    mean = fields['mean'] if isinstance(fields['mean'], str) else tuple(fields['mean'])
    return Spec(**fields | {'class_names': tuple(fields['class_names']), 'mean': mean})


def set_seed(seed):
    """Makes initial weights a function of the seed."""
    tf_keras.utils.set_random_seed(seed)
