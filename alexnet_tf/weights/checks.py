"""What every source of weights must have: the network's names and shapes, and finite numbers."""
import math

import numpy as np

MAX_BYTES = 1 << 31  # of a file, and of an archive when unpacked; AlexNet with 1000 classes has 244 MB


def check_names(found, expected):
    """Raises ValueError for names of arrays that are missing, or that the network does not have."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(map(str, set(found) - set(expected)))
    if missing or unknown:
        differences = [f'lacks {", ".join(missing)}'] * bool(missing)
        differences += [f'has {", ".join(unknown)}, which the network does not have'] * bool(unknown)
        raise ValueError(f'it {", and ".join(differences)}; it is of another network, or incomplete.')


def check_shape(name, array, expected):
    """Raises ValueError unless an array has the shape `expected` and holds floating-point numbers."""
    if array.shape != expected or array.dtype.kind != 'f':
        raise ValueError(f'{name} is {array.dtype} of shape {array.shape}; expected are floating-point numbers of '
                         f'shape {expected}.')


def check_finite(name, array):
    """Raises ValueError for NaN or infinity."""
    if not np.isfinite(array).all():
        raise ValueError(f'{name} holds NaN or infinity; the source is damaged, or its training had diverged.')


def check_size(name, shape, item_size, found):
    """Raises ValueError unless an array of `shape`, with items of `item_size` bytes, takes `found` bytes."""
    if any(size < 0 for size in shape) or math.prod(shape) * item_size != found:
        raise ValueError(f'{name} should have the shape {tuple(shape)} with {item_size} bytes a number, but {found:,} '
                         'bytes are there; the file is cut off or damaged.')
