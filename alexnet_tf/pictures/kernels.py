"""The kernels of conv1, as in the paper's figure 3."""
import numpy as np

from alexnet_tf.pictures import figures
from nets import rows

COLUMNS = 16
GAP = 1  # white pixels between kernels
WORDS = 5.1  # inches that the title takes
PIXEL = 4 / figures.DPI  # inches a pixel of a kernel is wide: a whole number of the picture's


def parts(table):
    """Into how many parts conv1's maps are cut: 2 where layers are in two groups, as the paper's towers are."""
    return max(row.groups for row in table if isinstance(row, rows.Conv))


def scaled(weights):
    """Kernels as images: float32 [kernels, height, width, 3] of weights [height, width, 3, kernels].

    Each is scaled to its own range: its least weight, of any color, is 0 and its largest 1. Equal weights are 0.5.
    """
    weights = np.moveaxis(np.asarray(weights, np.float32), 3, 0)
    low, high = (bound(weights, axis=(1, 2, 3), keepdims=True) for bound in (np.min, np.max))
    return np.where(high > low, (weights - low) / np.where(high > low, high - low, 1), 0.5).astype(np.float32)


def mosaic(kernels):
    """float32 [height, width, 3] with images [kernels, side, side, 3] in rows of COLUMNS, on white."""
    step = kernels.shape[1] + GAP
    columns = min(COLUMNS, len(kernels))
    whole = np.ones([-(-len(kernels) // columns) * step - GAP, columns * step - GAP, 3], np.float32)
    for number, kernel in enumerate(kernels):
        top, left = step * (number // columns), step * (number % columns)
        whole[top:top + step - GAP, left:left + step - GAP] = kernel
    return whole


def draw(weights, num_parts, title):
    """A Figure with a mosaic of each part of the kernels.

    Args:
      weights: [height, width, 3, kernels], for R, G, B. num_parts: of `parts`. title: of the picture.
    """
    groups = np.split(scaled(weights), num_parts)
    mosaics = [mosaic(group) for group in groups]
    heights = [PIXEL * whole.shape[0] for whole in mosaics]
    left, top, between = 0.1, 0.5, 0.3
    figure = figures.new(top + sum(heights) + between * num_parts + 0.05,
                         max(WORDS, left + PIXEL * mosaics[0].shape[1]) + left)
    figures.text(figure, left, 0.1, f'{title}\nEach kernel is scaled to its own range of weights, and shows R, G and B '
                                   'as it takes them.')
    for number, (group, whole, height) in enumerate(zip(groups, mosaics, heights), 1):
        axes = figures.inches(figure, left, top + between - 0.07, PIXEL * whole.shape[1], height)
        figures.image(axes, whole)
        axes.set_title(f'{len(group)} kernels' + (f' of tower {number}' if num_parts > 1 else ''), loc='left', pad=3)
        top += height + between
    return figure
