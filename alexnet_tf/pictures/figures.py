"""What all pictures have in common: their width, letters and colors, and how they become a file.

matplotlib is optional, and imported where it is used; no display is needed.
"""
import contextlib
import os

from alexnet_tf.console import terminal
from alexnet_tf.files import writing

WIDTH = 7.5  # inches, of a page
DPI = 120  # of PNG: 900 pixels
SUFFIXES = '.png', '.svg'
# Okabe and Ito's, which color-blind people can tell apart.
BLUE, ORANGE, GREEN, PURPLE, SKY, RED = '#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00'
COLORS = BLUE, ORANGE, GREEN, PURPLE, SKY, RED
# Names of classes may hold dollars. The salt makes the same SVG of the same picture.
_STYLE = {'font.size': 8, 'axes.titlesize': 9, 'figure.titlesize': 10, 'legend.fontsize': 8, 'text.parse_math': False,
          'svg.hashsalt': 'alexnet_tf', 'axes.spines.top': False, 'axes.spines.right': False}


def check(path, flag='output'):
    """Refuses, before long work, a picture that could not be written. flag: that names it. Raises: ValueError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError("pictures need matplotlib, which is not installed; pip install 'matplotlib>=3.6'") from None
    if os.path.isdir(path) or os.path.splitext(path)[1].lower() not in SUFFIXES:
        raise ValueError(f'--{flag}={path}; it must be the name of a file that ends in {" or ".join(SUFFIXES)}.')
    writing.check_writable(os.path.dirname(path) or '.', flag)


@contextlib.contextmanager
def style():
    """Inside a `with`, pictures are drawn and saved with this project's letters."""
    import matplotlib
    with matplotlib.rc_context(_STYLE):
        yield


def new(height, width=WIDTH, **options):
    """A matplotlib Figure. height, width: inches; the width is that of the page, or less."""
    from matplotlib.figure import Figure  # without pyplot
    return Figure(figsize=(width, height), dpi=DPI, **options)


def inches(figure, left, top, width, height, **options):
    """New axes on a figure at a place in inches from its top left corner."""
    whole, high = figure.get_size_inches()
    return figure.add_axes((left / whole, 1 - (top + height) / high, width / whole, height / high), **options)


def text(figure, left, top, words, **options):
    """Words on a figure, their top left corner at a place in inches from its own; options: of matplotlib's text.

    Of what no picture can hold, as in the names of files, escapes are shown.
    """
    width, height = figure.get_size_inches()
    return figure.text(left / width, 1 - top / height, terminal.printable(words, keep='\n'), **{'va': 'top'} | options)


def image(axes, pixels):
    """Shows pixels as they are, without smoothing, axes or ticks."""
    axes.imshow(pixels, interpolation='none')  # none: SVG keeps the pixels
    axes.set(xticks=[], yticks=[], anchor='NW')
    axes.spines[:].set_visible(False)


def name(words, most=24):
    """A class or file name as it may stand in a picture: one line, its end cut off where it is long."""
    words = terminal.printable(words)
    return words if len(words) <= most else f'{words[:most - 1]}…'


def save(figure, path):
    """Writes a figure as PNG or SVG, whole or not at all. Raises: OSError."""
    kind = os.path.splitext(path)[1][1:].lower()
    with writing.whole(path) as file:
        figure.savefig(file, format=kind, metadata={'Date': None} if kind == 'svg' else None)
