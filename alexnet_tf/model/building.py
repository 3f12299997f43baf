"""From a Spec to its Keras model, and to its mean."""
import os

import numpy as np

from alexnet_tf.data import preprocessing
from alexnet_tf.files import reading
from nets import alexnet, nets_factory, rows


def build(spec, *, dtype=None, dropout_keep_prob=0.5, hidden_bias=None, initial_values=None, devices=None):
    """The Keras model of a Spec; other arguments as of nets.alexnet.AlexNet.

    Raises: ValueError for an unknown network, an impossible size, or what alexnet_v2 has not.
    """
    nets_factory.check_name(spec.model_name)
    options = {'variant': spec.variant, 'initial_values': initial_values, 'devices': devices,
               'dropout_rescale': spec.unscaled_dropout is None}
    if spec.model_name != 'alexnet':
        if spec.variant != 'paper' or initial_values or devices or spec.unscaled_dropout:
            raise ValueError(f'{spec.model_name} has no variants, no other initial values, no towers and no original '
                             'form of dropout; these are of --model_name=alexnet.')
        options = {}
    _check_image_size(spec)
    if hidden_bias is not None:
        options['hidden_bias'] = hidden_bias
    return nets_factory.models_map[spec.model_name](
        spec.num_classes, input_shape=(spec.image_size, spec.image_size, 3), dtype=dtype,
        dropout_keep_prob=spec.unscaled_dropout or dropout_keep_prob, name=spec.model_name, **options)


def table(spec):
    """The resolved table of a Spec's network."""
    chosen = alexnet.variant_table(spec.variant) if spec.model_name == 'alexnet' else alexnet.ALEXNET_V2
    return rows.resolve(chosen, spec.num_classes)


def _check_image_size(spec):
    *_, last = rows.walk(table(spec), spec.image_size, spec.image_size)
    if last.shape[:2] != (1, 1):
        raise ValueError(f'images of {spec.image_size} pixels are too large for {spec.model_name}: they would give '
                         f'{last.shape[0]} x {last.shape[1]} answers each; use {alexnet.IMAGE_SIZES[spec.variant]} '
                         '(--train_image_size, --eval_image_size).')


def load_mean(spec, folder):
    """float32 [3] or [side, side, 3]: the mean that a Spec names, from `folder` if it is a file."""
    if not isinstance(spec.mean, str):
        return np.array(spec.mean, np.float32)
    path = os.path.join(folder, spec.mean)
    reading.check_regular(path)
    try:
        with open(path, 'rb') as file:
            mean = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy's parser of headers raises nearly anything
        raise ValueError(f'cannot read the mean image {path}: {error}. Fetch it again, or use --mean=rgb.') from error
    if mean.dtype.kind not in 'fiu' or not np.isfinite(mean).all():
        raise ValueError(f'the mean image {path} is of type {mean.dtype}, or not finite; it must hold gray levels. Use '
                         '--mean=rgb.')
    side = preprocessing.square_side(spec.image_size)
    if mean.shape != (side, side, 3):
        raise ValueError(f'the mean image {path} has shape {mean.shape}; for {spec.image_size}-pixel images it '
                         f'must be ({side}, {side}, 3). Use --mean=rgb.')
    return mean.astype(np.float32)
