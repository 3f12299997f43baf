"""What a network needs besides its weights to be used: classes, image size, mean. Stored as model.json."""
import dataclasses
import os

import numpy as np

from alexnet_tf.files import reading, writing

MODEL_FILE = 'model.json'
RESIZE_MODES = ('shorter_side', 'warp')
_RULES = {  # of the fields in model.json, which may come from anybody; see reading.check_fields
    'model_name': (lambda name: isinstance(name, str), 'the name of a network', True),
    'image_size': (lambda size: reading.is_count(size) and size > 0, 'a number of pixels', True),
    'class_names': (reading.are_names, 'a list of names', True),
    'mean': (lambda mean: reading.is_rgb(mean) or reading.is_file_name(mean),
             'three numbers or the name of a file beside it', True),
    'labels_offset': (lambda offset: offset is None or reading.is_count(offset), 'a whole number or null', False),
    'variant': (lambda variant: isinstance(variant, str), 'the name of a variant', False),
    'resize_mode': (lambda mode: mode in RESIZE_MODES, ' or '.join(RESIZE_MODES), False),
    'unscaled_dropout': (lambda kept: kept is None or reading.is_number(kept) and 0 < kept <= 1,
                         'a share above 0 and at most 1, or null', False),
}


@dataclasses.dataclass(frozen=True)
class Spec:
    """What stands in model.json beside checkpoints.

    image_size: pixels. class_names: label order. mean: [r, g, b], or the name of a .npy file of the
    mean image beside model.json. labels_offset: what training subtracted from labels; None: not known.
    variant: of alexnet. unscaled_dropout: the share that dropout kept in training without rescaling it, by
    which fc6 and fc7 are therefore multiplied at test; None: rescaled in training.
    resize_mode: how images of another shape become squares; see preprocessing.resized_square.
    """
    model_name: str
    image_size: int
    class_names: tuple
    mean: tuple | str
    labels_offset: int | None = None
    variant: str = 'paper'
    unscaled_dropout: float | None = None
    resize_mode: str = 'shorter_side'

    @property
    def num_classes(self):
        return len(self.class_names)


def differences(one, other):
    """'field value, not other value, …' of two Specs."""
    return ', '.join(f'{field} {reading.short(value)}, not {reading.short(getattr(other, field))}'
                     for field, value in vars(one).items() if value != getattr(other, field))


def write_spec(spec, folder, mean=None):
    """Writes model.json into a folder and, where the spec names a file for it, the mean image (see `load_mean`)."""
    if isinstance(spec.mean, str):
        with writing.whole(os.path.join(folder, spec.mean)) as file:
            np.save(file, mean)
    writing.write_json(os.path.join(folder, MODEL_FILE), dataclasses.asdict(spec))


def read_spec(folder):
    """The Spec of a folder, or None if there is no model.json. Raises ValueError for a damaged one."""
    path = os.path.join(folder, MODEL_FILE)
    fields = reading.read_json(path)
    if fields is None:
        return None
    return spec_of(fields, path)


def spec_of(fields, path):
    """The Spec of a dictionary from JSON. path: where it stands, for messages. Raises: ValueError."""
    reading.check_fields(fields, _RULES, path)
    unknown = set(fields) - set(_RULES)
    if unknown:
        raise ValueError(f'cannot read {path}: {", ".join(sorted(unknown))} is not known here; it is of another '
                         'version or another program.')
    mean = fields['mean'] if isinstance(fields['mean'], str) else tuple(fields['mean'])
    return Spec(**fields | {'class_names': tuple(fields['class_names']), 'mean': mean})
