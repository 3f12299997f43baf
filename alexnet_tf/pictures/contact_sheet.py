"""A picture of random examples as training sees them: before augmentation, and after it in the first epochs."""
import numpy as np
import tensorflow as tf

from alexnet_tf.data import batches, preprocessing
from alexnet_tf.data.color_noise import color_noise
from alexnet_tf.pictures import figures

EPOCHS = 4
LEFT, SIDE, GAP = 1.7, 1.15, 0.05  # inches: of the words, a column, what is between two


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


def draw(dataset, *, seed=0, count=8):
    """A Figure of a Dataset's examples, a row each. Raises: ValueError without a usable record."""
    chosen = list(rows(dataset, seed=seed, count=count))
    if not chosen:
        raise ValueError(f'{dataset.folder} has no usable record for a contact sheet.')
    figure = figures.new(0.65 + SIDE * len(chosen))
    figures.text(figure, 0.1, 0.1, f'{dataset.folder}, split {dataset.split}: '
                                   f'first examples of a training with seed {seed}')
    titles = ['before', *(f'epoch {epoch}' for epoch in range(1, EPOCHS + 1))]
    for row, (position, label, before, seen) in enumerate(chosen):
        top = 0.6 + SIDE * row
        figures.text(figure, 0.1, top + 0.1, f'{figures.name(dataset.class_names[label])}\n'
                                             f'label {label + dataset.labels_offset}\nrecord {position}')
        for column, (image, title) in enumerate(zip((before, *seen), titles)):
            axes = figures.inches(figure, LEFT + SIDE * column, top, SIDE - GAP, SIDE - GAP)
            figures.image(axes, image)
            if not row:
                axes.set_title(title, loc='left', pad=3)
    return figure
