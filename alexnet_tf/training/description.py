"""What stands beside the checkpoints of a run: its network (model.json, the mean) and its settings (flags.json)."""
import dataclasses
import os

from alexnet_tf.data import preprocessing
from alexnet_tf.model import building, specs
from alexnet_tf.run_folder import checkpoints, settings
from nets import alexnet


def make_spec(dataset, *, model_name, variant='paper', image_size=None, mean='rgb', dropout_keep_prob=0.5,
              dropout_form=None, resize_mode='shorter_side', log=print):
    """The Spec of a network that is to learn a Dataset.

    Args:
      image_size: pixels; None: the variant's. mean: 'rgb' or 'image'.
      dropout_form: 'inverted' or 'original'; None: the variant's.
      resize_mode: see preprocessing.resized_square.

    Raises: ValueError when the data set has no mean image.
    """
    info = dataset.info
    if not info:
        log(f"{dataset.folder} has no statistics of build_tfrecords: ImageNet's mean RGB and color axes are used.")
    if mean == 'image' and not info.get('mean_image'):
        raise ValueError(f'--mean=image, but {dataset.folder} has no mean image (build_tfrecords writes one); '
                         'use --mean=rgb.')
    mean = info['mean_image'] if mean == 'image' else tuple(info.get('mean_rgb', preprocessing.IMAGENET_MEAN_RGB))
    unscaled = alexnet.has_unscaled_dropout(variant) if dropout_form is None else dropout_form == 'original'
    return specs.Spec(model_name, image_size or alexnet.IMAGE_SIZES[variant], dataset.class_names, mean,
                      dataset.labels_offset, variant, dropout_keep_prob if unscaled else None, resize_mode)


def agreed_spec(spec, train_dir, *, other_data=False):
    """The Spec that a run in train_dir goes on with: that of its checkpoints, which must be the one asked for.

    other_data: whether the training set may be another; the run then keeps its mean.

    Raises: ValueError naming the differences.
    """
    known = specs.read_spec(train_dir) if checkpoints.find(train_dir) else None
    if known and other_data and type(known.mean) is type(spec.mean):
        spec = dataclasses.replace(spec, mean=known.mean)
    if known and known != spec:
        raise ValueError(f'--train_dir={train_dir} holds a run with {specs.differences(known, spec)}; no flag '
                         'allows that, since the weights would mean something else. Choose another --train_dir, with '
                         '--checkpoint_path for the weights.')
    return spec


def write(train_dir, spec, values, *, data_folder, resumed, is_chief=True):
    """Writes model.json, the mean image if there is one, and flags.json.

    A resumed run keeps the mean image of its own folder; a new one takes that of its data, not what an earlier try
    left in the folder.

    Args:
      values: {name: value} of the settings. data_folder: where the mean image of the data stands.
      is_chief: whether this process writes; else it reads the mean alone.

    Returns: the mean, float32 [3] or [side, side, 3].
    """
    kept = resumed and isinstance(spec.mean, str) and os.path.exists(os.path.join(train_dir, spec.mean))
    mean = building.load_mean(spec, train_dir if kept else data_folder)
    if is_chief:
        for folder in (train_dir, os.path.join(train_dir, checkpoints.BEST_DIR)):
            specs.write_spec(spec, folder, mean)
        settings.write(train_dir, values)
    return mean
