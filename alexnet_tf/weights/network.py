"""From arrays under slim's names to a model, and what must be right about them before."""
import math

import numpy as np

from alexnet_tf.model import building
from nets import alexnet, rows, slim_checkpoints

MAX_BYTES = 1 << 31  # of a file, and of an archive when unpacked; AlexNet with 1000 classes has 244 MB


def shapes(name, variant, classes):
    """{`alexnet/conv1/weights`: shape} of a network: weights [height, width, in / groups, out], biases [out].

    Raises: ValueError for an unknown variant.
    """
    table = alexnet.variant_table(variant) if name == 'alexnet' else alexnet.ALEXNET_V2
    found, channels = {}, 3
    for row in rows.resolve(table, classes):
        if isinstance(row, rows.Conv):
            found[f'{name}/{row.name}/weights'] = (row.kernel, row.kernel, channels // row.groups, row.filters)
            found[f'{name}/{row.name}/biases'] = (row.filters,)
            channels = row.filters
    return found


def model_of(spec, tensors):
    """The Keras model of a Spec with the weights {`alexnet/conv1/weights`: array}, shaped as in `shapes`.

    Raises: ValueError for other names or shapes, and for NaN or infinity. All is checked before the model is made.
    """
    expected = shapes(spec.model_name, spec.variant, spec.num_classes)
    check_names(tensors, expected)
    for name, shape in expected.items():
        check_shape(name, tensors[name], shape)
        check_finite(name, tensors[name])
    model = building.build(spec)
    for name, variable in slim_checkpoints.named_variables(model).items():
        variable.assign(np.ascontiguousarray(tensors[name], np.float32))
    return model


def check_names(found, expected):
    """Raises ValueError for names of arrays that are missing, or that the network does not have."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        raise ValueError(f'it lacks {", ".join(missing) or "nothing"}, and has {", ".join(unknown) or "nothing"} that '
                         'the network does not have; it is of another network, or incomplete.')


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
