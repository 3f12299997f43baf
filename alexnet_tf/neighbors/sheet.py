"""Images beside their neighbors, as on the right of the paper's figure 4."""
import dataclasses

import numpy as np

from alexnet_tf.pictures import figures

SIDE, GAP, ROW = 0.96, 0.08, 1.43  # inches: of an image, between two, from one row to the next
SHOWN = 6  # neighbors in a row, as many as in the paper


@dataclasses.dataclass(frozen=True)
class Shown:
    """image: uint8 [size, size, 3]. class_name: over it; '': not known. below: what stands under it, of one or two
    lines. same: whether it is a neighbor, and its class that of the query."""
    image: np.ndarray
    class_name: str
    below: str
    same: bool = False


def draw(rows, title):
    """A Figure. rows: for each query [Shown of itself, Shown of the nearest, of the next, …].

    A neighbor of the query's class has a bold name with a tick.
    """
    top, rows = 0.7, list(rows)
    figure = figures.new(top + ROW * len(rows))
    figures.text(figure, 0.1, 0.1, title)
    for number, (query, *neighbors) in enumerate(rows):
        upper = top + ROW * number
        _image(figure, 0.1, upper, query)
        for column, neighbor in enumerate(neighbors[:SHOWN]):
            _image(figure, 0.3 + (SIDE + GAP) * (column + 1), upper, neighbor)
    return figure


def _image(figure, left, upper, shown):
    axes = figures.inches(figure, left, upper, SIDE, SIDE)
    figures.image(axes, shown.image)
    axes.set_title(figures.name(shown.class_name, 17) + (' ✓' if shown.same else ''), loc='left', pad=2, size=7,
                   weight='bold' if shown.same else None)
    lines = (figures.name(line, 18) for line in shown.below.split('\n'))
    figures.text(figure, left, upper + SIDE + 0.03, '\n'.join(lines), size=6.5, color='0.3')
