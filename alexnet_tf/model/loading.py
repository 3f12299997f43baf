"""From a checkpoint to a model that can score: what evaluation and export begin with."""
import dataclasses
import os

import numpy as np
import tf_keras

from alexnet_tf.console import terminal
from alexnet_tf.data import preprocessing
from alexnet_tf.data.slim_folders import BACKGROUND
from alexnet_tf.files import places
from alexnet_tf.model import building, specs
from alexnet_tf.run_folder import checkpoints
from nets import alexnet, nets_factory, slim_checkpoints


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A model with trained weights. mean: float32 [3] or [side, side, 3]."""
    model: tf_keras.Model
    spec: specs.Spec
    mean: np.ndarray
    checkpoint: str
    step: int

    @property
    def knows_background(self):
        """Whether slim's class 0 is one of its classes: labels of records are then taken as they are."""
        return self.spec.labels_offset == 0 and self.spec.class_names[0] == BACKGROUND


def load(checkpoint_path, **options):
    """`load_once`, and again where a training run writes to the folder and has removed the checkpoint meanwhile."""
    while True:
        newest = checkpoints.find(checkpoint_path)
        try:
            return load_once(checkpoint_path, **options)
        except ValueError:
            if newest is None or checkpoints.is_whole(newest) or checkpoints.find(checkpoint_path) in (None, newest):
                raise
            print(f'{newest} was removed by the training run; going on with the next.')


def load_once(checkpoint_path, *, model_name=None, variant='paper', class_names=None, mean_rgb=None, image_size=None,
              resize_mode=None, dtype=None, reuse=None):
    """Loads a checkpoint of this project, or of slim by its variables' names.

    Args:
      checkpoint_path: a file, or a folder (its latest).
      model_name, variant, class_names (None: numbers), mean_rgb (None: ImageNet's): for checkpoints without model.json.
      image_size: pixels; resize_mode: see preprocessing.resized_square; None: as in training.
      dtype: Keras policy; None: float32.
      reuse: a Loaded of the same dtype, whose model gets the weights if it is of the same network.

    Raises: ValueError when there is no checkpoint, or it is of another network.
    """
    if model_name:
        nets_factory.check_name(model_name)
    checkpoint = checkpoints.find_intact(checkpoint_path)
    if not checkpoint:
        raise places.no_checkpoint(checkpoint_path)
    folder = os.path.dirname(os.path.abspath(checkpoint))
    spec = specs.read_spec(folder)
    if spec and model_name not in (None, spec.model_name):
        raise ValueError(f'--model_name={model_name}, but {checkpoint} is of {spec.model_name} by its '
                         f'{specs.MODEL_FILE}; leave the flag out.')
    if not spec:
        spec = _assumed_spec(checkpoint, model_name, class_names, mean_rgb, variant)
    _check_classes(spec, checkpoint)
    mean = building.load_mean(spec, folder)
    if image_size and image_size != spec.image_size:
        if mean.ndim == 3:
            raise ValueError(f'the network was trained with a mean image for {spec.image_size} pixels; it cannot '
                             f'be evaluated at {image_size}.')
        spec = dataclasses.replace(spec, image_size=image_size)
    spec = dataclasses.replace(spec, resize_mode=resize_mode or spec.resize_mode)
    same = reuse and reuse.spec == spec and np.array_equal(reuse.mean, mean)
    # Weights that don't change are kept as they are used: the same numbers without a cast of all at every batch.
    dtype = 'bfloat16' if dtype == 'mixed_bfloat16' else dtype
    try:
        model = reuse.model if same else building.build(spec, dtype=dtype)
    except ValueError as error:
        raise ValueError(f'no network can be made for {checkpoint}: {error}') from error
    slim_checkpoints.load_slim_checkpoint(model, checkpoint)
    return Loaded(model, spec, mean, checkpoint, checkpoints.step_of(checkpoint))


def _check_classes(spec, checkpoint):
    """Refuses a description of other size than the weights, before a network of that size is made."""
    name = f'{spec.model_name}/fc8/biases'
    shape = slim_checkpoints.read(checkpoint).get_variable_to_shape_map().get(name)
    if shape != [spec.num_classes]:
        raise ValueError(f'{specs.MODEL_FILE} beside {checkpoint} names {spec.num_classes} classes, but its {name} '
                         f'{"is missing" if shape is None else f"has the shape {shape}"}; they do not belong together.')


def _assumed_spec(checkpoint, model_name, class_names, mean_rgb, variant):
    if not model_name:
        raise ValueError(f'there is no {specs.MODEL_FILE} beside {checkpoint}; say which network it is of with '
                         f'--model_name ({", ".join(sorted(nets_factory.networks_map))}).')
    shapes = slim_checkpoints.read(checkpoint).get_variable_to_shape_map()
    biases = f'{model_name}/fc8/biases'
    if biases not in shapes:
        raise ValueError(f'{checkpoint} has no variable {biases}; is it of {model_name}?')
    if len(shapes[biases]) != 1 or not shapes[biases][0]:
        raise ValueError(f'{checkpoint} has {biases} of shape {shapes[biases]}; it must be [classes].')
    classes, names = shapes[biases][0], tuple(class_names or ())
    if len(names) + 1 == classes:
        names = (BACKGROUND, *names)  # slim's 1001
    if len(names) != classes:
        names = tuple(map(str, range(classes)))
    mean = tuple(mean_rgb or preprocessing.IMAGENET_MEAN_RGB)
    size = alexnet.IMAGE_SIZES[variant]
    print(f'No {specs.MODEL_FILE} beside {checkpoint}: assumed are the variant {variant}, {size} pixels, mean RGB '
          f'{mean} and the {classes} classes {terminal.printable(", ".join(names[:3]))} …')
    return specs.Spec(model_name, size, names, mean, 0 if names[0] == BACKGROUND else None, variant,
                       0.5 if alexnet.has_unscaled_dropout(variant) else None)
