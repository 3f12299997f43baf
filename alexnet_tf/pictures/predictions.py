"""Images with the five classes that the network takes to be most probable, as on the left of the paper's figure 4."""
import dataclasses

import numpy as np

from alexnet_tf.pictures import figures

TOP = 5
COLUMNS = 4
MOST = 40  # images in one picture
CELL, SIDE, BARS = 1.85, 1.7, 0.8  # inches: width of a column, side of an image, height of its bars


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and what the network says about it.

    image: uint8 [size, size, 3], the crop that was scored. probabilities: float [classes]. truth: number of its class;
    None: not known. name: of the file or record.
    """
    image: np.ndarray
    probabilities: np.ndarray
    truth: int | None = None
    name: str = ''


def best(probabilities):
    """Numbers of the TOP most probable classes, best first; equal ones in the order of the classes."""
    return np.argsort(-np.asarray(probabilities), kind='stable')[:TOP].tolist()


def draw(examples, class_names, title):
    """A Figure: each image with its name or its true class over it, and its five bars below.

    The bar of the true class is orange and its name is bold, with a tick.
    """
    count = -(-len(examples) // COLUMNS)
    high, top = SIDE + BARS + 0.35, 0.68
    figure = figures.new(top + count * high)
    figures.text(figure, 0.1, 0.1, title)
    for number, example in enumerate(examples):
        left, upper = 0.1 + CELL * (number % COLUMNS), top + high * (number // COLUMNS)
        axes = figures.inches(figure, left, upper, SIDE, SIDE)
        figures.image(axes, example.image)
        known = example.truth is not None
        axes.set_title(figures.name(class_names[example.truth] if known else example.name), loc='left', pad=3, size=8,
                       weight='bold' if known else None)
        _bars(figures.inches(figure, left, upper + SIDE + 0.04, SIDE, BARS), example, class_names)
    return figure


def _bars(axes, example, class_names):
    chosen = best(example.probabilities)
    values = [float(example.probabilities[number]) for number in chosen]
    colors = [figures.ORANGE if number == example.truth else figures.SKY for number in chosen]
    axes.barh(range(len(chosen)), values, color=colors, height=0.86)
    axes.set(xlim=(0, 1), ylim=(TOP - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    for place, (number, value) in enumerate(zip(chosen, values)):
        right = number == example.truth
        axes.text(0.015, place, figures.name(class_names[number], 20) + (' ✓' if right else ''), va='center', size=7.5,
                  weight='bold' if right else None)
        axes.text(1, place, f'{100 * value:.0f} %', va='center', ha='right', size=7.5)
