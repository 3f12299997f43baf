"""One photograph as training and evaluation see it, by the functions that they call themselves."""
import dataclasses

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.pictures import figures

COLUMNS = 5
CELL, SIDE = 1.48, 1.4  # inches
VIEWS = 'top left', 'top right', 'center', 'bottom left', 'bottom right'


@dataclasses.dataclass(frozen=True)
class Augmented:
    """uint8 images: the photograph [height, width, 3]; square [side, side, 3], of which crops are taken; crops and
    noisy [COLUMNS, size, size, 3], examples of training, of which the latter are the former with color noise; views
    [10, size, size, 3], that are scored.
    """
    photograph: np.ndarray
    square: np.ndarray
    crops: np.ndarray
    noisy: np.ndarray
    views: np.ndarray


def augment(encoded, *, seed, size=224, resize_mode='shorter_side', resize_side_max=None, noise=None):
    """The Augmented of an encoded image.

    Args:
      seed: of the run whose first COLUMNS examples are this photograph. noise: a color_noise.ColorNoise; None: none.
      size, resize_mode, resize_side_max: see preprocessing.training_image.
    """
    square = preprocessing.evaluation_image(encoded, size=size, resize_mode=resize_mode)
    crops = tf.stack([preprocessing.training_image(
        encoded, tf.constant([seed, number], tf.int64), size=size, resize_mode=resize_mode,
        resize_side_max=resize_side_max) for number in range(COLUMNS)])
    # The mean that training subtracts is left at 0, so that the picture has the photograph's own colors.
    noisy = preprocessing.training_batch(crops, np.zeros(3, np.float32), tf.constant([seed, 0], tf.int64), noise=noise)
    views = tf.concat(preprocessing.views(square[tf.newaxis], size, 10), 0)
    noisy = np.clip(np.round(noisy.numpy()), 0, 255).astype(np.uint8)
    return Augmented(preprocessing.decode(encoded).numpy(), square.numpy(), crops.numpy(), noisy, views.numpy())


def draw(augmented, title):
    """A Figure with all of an Augmented."""
    height, width = augmented.photograph.shape[:2]
    side, size = len(augmented.square), augmented.crops.shape[1]
    numbers = [f'example {number}' for number in range(1, COLUMNS + 1)]
    rows = ((augmented.crops, numbers), (augmented.noisy, [f'{name}, noise' for name in numbers]),
            (augmented.views[:COLUMNS], VIEWS), (augmented.views[COLUMNS:], [f'{name}, mirrored' for name in VIEWS]))
    figure = figures.new(0.4 + (len(rows) + 1) * (SIDE + 0.35))
    figures.text(figure, 0.1, 0.1, title)
    wide, high = _fitted(width, height)
    _cell(figure, 0, 0, augmented.photograph, f'photograph, {width}×{height}', wide, high)
    _cell(figure, wide / CELL + 0.06, 0, augmented.square, f'square of {side}×{side}')
    figures.text(figure, 0.1 + wide + 0.09 + CELL + 0.1, 0.75,
                 f'The square is what is left of the photograph,\nand every crop {size}×{size} pixels of it.\n'
                 'Below: five examples of training, crops and\nmirrors; the same with color noise; the ten views\n'
                 'of evaluation, five crops and their mirrors.', linespacing=1.4)
    for number, (images, captions) in enumerate(rows, 1):
        for column, (pixels, caption) in enumerate(zip(images, captions)):
            _cell(figure, column, number, pixels, caption)
    return figure


def _fitted(width, height):
    """Inches of the photograph: as high as the other images, at most twice as wide."""
    ratio = width / height
    return (SIDE * ratio, SIDE) if ratio <= 2 else (2 * SIDE, 2 * SIDE / ratio)


def _cell(figure, column, row, pixels, caption, width=SIDE, height=SIDE):
    axes = figures.inches(figure, 0.1 + CELL * column, 0.65 + row * (SIDE + 0.35), width, height)
    figures.image(axes, pixels)
    axes.set_title(caption, loc='left', pad=3, size=8)
