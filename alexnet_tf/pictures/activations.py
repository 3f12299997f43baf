"""What the strongest maps of each convolution answer to in one image."""
import dataclasses

import numpy as np
import tf_keras

from alexnet_tf.data import preprocessing
from alexnet_tf.pictures import figures, receptive_fields
from nets import rows

STRONGEST = 4  # maps of each layer
CELL, SIDE = 0.84, 0.78  # inches
LEFT = 0.75
# Where a frame's number stands: patches at the image's edge often share a corner.
CORNERS = ('left', 'top'), ('right', 'top'), ('left', 'bottom'), ('right', 'bottom'), ('center', 'top')


@dataclasses.dataclass(frozen=True)
class Answer:
    """One map's answer to an image.

    number: of the map, from 0. values: float32 [height, width]. place: (row, column) of the largest value.
    patch: (top, bottom, left, right), the pixels of the image on which that value depends; bottom and right are one
    behind the last.
    """
    number: int
    values: np.ndarray
    place: tuple
    patch: tuple

    @property
    def strength(self):
        """The largest value."""
        return float(self.values[self.place])


def answers(model, table, image, mean):
    """{row's name: [Answer] of its strongest maps, the strongest first}, for the convolutions that have maps.

    Args:
      model: from images to logits, with a layer for each row of the resolved table.
      image: uint8 [size, size, 3]. mean: see preprocessing.subtract_mean.

    Fully connected layers see the whole image; they are left out.
    """
    size = len(image)
    names = [walked.row.name for walked in rows.walk(table, size, size)
             if isinstance(walked.row, rows.Conv) and walked.shape[0] > 1]
    layers = tf_keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    outputs = layers(preprocessing.subtract_mean(image[np.newaxis], mean), training=False)
    return {name: _strongest(np.asarray(output[0], np.float32), table, name, size)
            for name, output in zip(names, outputs)}


def _strongest(maps, table, name, size):
    order = np.argsort(-maps.max((0, 1)), kind='stable')[:STRONGEST]
    found = []
    for number in order.tolist():
        place = tuple(map(int, np.unravel_index(maps[..., number].argmax(), maps.shape[:2])))
        patch = [pixel for along in place for pixel in receptive_fields.field(table, name, size, along)]
        found.append(Answer(number, maps[..., number], place, tuple(patch)))
    return found


def draw(found, image, title):
    """A Figure: the image, and for each layer its strongest maps, each beside the patch that excites it most.

    found: of `answers`. image: uint8 [size, size, 3].
    """
    top, shown = 0.5, 2.0
    high = SIDE + 0.3
    figure = figures.new(top + shown + 0.35 + len(found) * high)
    figures.text(figure, 0.1, 0.1, title)
    whole = figures.inches(figure, LEFT, top, shown, shown)
    figures.image(whole, image)
    figures.text(figure, LEFT + shown + 0.2, top,
                 'Below, for each layer: its strongest maps, the strongest first,\n'
                 'each with the patch of the image that its largest value depends on.\n'
                 'Maps are dark where the value is 0 or less, and bright where it is largest;\n'
                 'a ring marks that place. Over each map stand its number and that value,\n'
                 'over each patch its size in pixels. Frames here: the patch of each\n'
                 "layer's strongest map, numbered as the rows below.", linespacing=1.4)
    for number, (name, strongest) in enumerate(found.items(), 1):
        color = figures.COLORS[(number - 1) % len(figures.COLORS)]
        _frame(whole, strongest[0].patch, number, color)
        upper = top + shown + 0.4 + (number - 1) * high
        figures.text(figure, 0.1, upper + 0.12, f'{number}', color=color, weight='bold', size=11)
        figures.text(figure, 0.1, upper + 0.34, name, weight='bold')
        height, width = strongest[0].values.shape
        figures.text(figure, 0.1, upper + 0.5, f'{height}×{width}', size=7)
        for place, answer in enumerate(strongest):
            _draw_answer(figure, LEFT + 2 * CELL * place, upper, answer, image)
    return figure


def _frame(axes, patch, number, color):
    """A patch on the image; those of the first layers, which are small, lie above the others."""
    from matplotlib.patches import Rectangle
    top, bottom, left, right = patch
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=color, lw=1.6,
                             zorder=20 - 2 * number))
    across, down = CORNERS[(number - 1) % len(CORNERS)]
    place = {'left': left, 'center': (left + right) / 2, 'right': right}[across], top if down == 'top' else bottom
    axes.text(*place, str(number), color='white', size=7, weight='bold', ha=across, va=down, clip_on=True,
              zorder=21 - 2 * number, bbox={'facecolor': color, 'edgecolor': 'none', 'pad': 1})


def _draw_answer(figure, left, upper, answer, image):
    axes = figures.inches(figure, left, upper, SIDE, SIDE)
    axes.imshow(np.maximum(answer.values, 0), cmap='gray', interpolation='none', vmin=0,
                vmax=max(answer.strength, 1e-6))
    axes.plot(*answer.place[::-1], 'o', ms=6, mfc='none', mec=figures.ORANGE, mew=1.3, clip_on=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    digits = 0 if answer.strength >= 100 else 1  # there is no room for more
    axes.set_title(f'map {answer.number}: {answer.strength:.{digits}f}', loc='left', pad=2, size=7)
    top, bottom, first, end = answer.patch
    patch = figures.inches(figure, left + CELL - 0.03, upper, SIDE, SIDE)
    figures.image(patch, image[top:bottom, first:end])
    patch.set_title(f'{end - first}×{bottom - top}', loc='left', pad=2, size=7)
