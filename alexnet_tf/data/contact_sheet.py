"""A picture of random examples as training sees them: before augmentation, and after it in the first epochs."""
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.console import terminal
from alexnet_tf.data import batches, preprocessing
from alexnet_tf.data.color_noise import color_noise

EPOCHS = 4
_INCHES = 2  # a side of an image
_LONGEST = 32  # characters of a class name


def rows(dataset, *, seed, count):
    """Yields (position, label, the central square before augmentation, [the crop of each epoch]) of examples.

    Order, crops and mirrors are those of a training with this seed and the default flags; its first examples are taken.
    The color noise has the same distribution, but other draws, as those depend on the batch. Records that cannot be
    used are passed over.

    Returns: images are uint8 [256, 256, 3] and [224, 224, 3].
    """
    mean = np.array(dataset.info.get('mean_rgb', preprocessing.IMAGENET_MEAN_RGB), np.float32)
    noise, total = color_noise(dataset.info), len(dataset)
    orders = [batches.positions(seed, epoch * total, total, total) for epoch in range(EPOCHS)]
    for position in orders[0].tolist():
        if not count:
            return
        try:
            encoded, label = dataset.example(position)
            before = preprocessing.evaluation_image(encoded).numpy()
        except (ValueError, tf.errors.InvalidArgumentError):
            continue
        numbers = [epoch * total + int(np.flatnonzero(order == position)[0]) for epoch, order in enumerate(orders)]
        crops = tf.stack([preprocessing.training_image(encoded, [seed, number]) for number in numbers])
        seen = preprocessing.training_batch(crops, mean, [seed, position], noise=noise) + mean
        yield position, label, before, np.clip(np.round(seen), 0, 255).astype(np.uint8)
        count -= 1


def draw(dataset, path, *, seed=0, count=8):
    """Writes the picture of a Dataset's examples, a row each.

    Raises: ValueError without matplotlib, without a usable record, for a kind of file that matplotlib does not write.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot no display is needed
    except ImportError as error:
        raise ValueError("--contact_sheet needs matplotlib: pip install matplotlib, or pip install -e '.[plot]'."
                         ) from error
    chosen = list(rows(dataset, seed=seed, count=count))
    if not chosen:
        raise ValueError(f'{dataset.folder} has no usable record for a contact sheet.')
    drawn = Figure(figsize=(_INCHES * (EPOCHS + 2), _INCHES * len(chosen) + 0.6), dpi=110, layout='constrained')
    drawn.suptitle(terminal.printable(
        f'{dataset.folder}, split {dataset.split}: first examples of a training with seed {seed}'), parse_math=False)
    places = drawn.subplots(len(chosen), EPOCHS + 2, squeeze=False)
    for axes in places.flat:
        axes.axis('off')
    titles = ['before', *(f'epoch {epoch}' for epoch in range(1, EPOCHS + 1))]
    for axes, title in zip(places[0, 1:], titles):
        axes.set_title(title, fontsize=9)
    for (position, label, before, seen), line in zip(chosen, places):
        line[0].text(1, 0.5, _label(dataset, position, label), ha='right', va='center', fontsize=8, parse_math=False)
        for axes, image in zip(line[1:], (before, *seen)):
            axes.imshow(image)
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    try:
        drawn.savefig(path)
    except ValueError as error:
        raise ValueError(f'cannot draw --contact_sheet={path}: {error}') from error


def _label(dataset, position, label):
    name = terminal.printable(dataset.class_names[label])
    name = name if len(name) <= _LONGEST else f'{name[:_LONGEST - 1]}…'
    return f'{name}\nlabel {label + dataset.labels_offset}, record {position}'
