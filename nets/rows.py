"""The rows of which a network's table is made, and what can be read from a table without TensorFlow.

A table is a tuple of frozen rows, one a layer. `nets/graph.py` turns it into a TF1-style graph,
`nets/keras_layers.py` into a Keras model; `walk` gives every row's output size, parameters and
multiply-adds.
"""
import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Init:
    """Initial values of weights. kind: 'glorot_uniform', 'normal' or 'truncated_normal' (mean 0)."""
    kind: str
    stddev: float | None = None


GLOROT = Init('glorot_uniform')


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution with bias and, if relu, the activation. Fully connected layers are convolutions
    whose kernel covers the whole map.

    filters: output channels; None: the number of classes. padding: 'SAME', 'VALID' or the pixels
    added (before, after) on both spatial axes. init, bias: initial weights and biases; None: what
    the arg scope says, as in slim (else Glorot uniform and 0).
    """
    name: str
    filters: int | None
    kernel: int
    stride: int = 1
    padding: str | tuple[int, int] = 'SAME'
    groups: int = 1
    relu: bool = True
    init: Init | None = None
    bias: float | None = None
    source: str = ''


@dataclasses.dataclass(frozen=True)
class LRN:
    """x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 adjacent maps) ** beta.

    groups: maps are adjacent within one of so many equal parts of them (2: within a tower).
    """
    name: str
    depth_radius: int = 2
    bias: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75
    groups: int = 1
    source: str = ''


@dataclasses.dataclass(frozen=True)
class SpatialNorm:
    """x / (bias + alpha * sum of x^2 over the size x size pixels around, within one map) ** beta."""
    name: str
    size: int = 5
    bias: float = 1.0
    alpha: float = 1e-3 / 25
    beta: float = 0.75
    source: str = ''


@dataclasses.dataclass(frozen=True)
class Activation:
    """A non-linearity that does not follow its convolution at once. kind: 'relu' or 'tanh'."""
    name: str
    kind: str = 'relu'
    source: str = ''


@dataclasses.dataclass(frozen=True)
class MaxPool:
    """Max pooling without padding over size x size windows."""
    name: str
    size: int = 3
    stride: int = 2
    source: str = ''


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Dropout; the share that is kept is an argument of the network.

    rescale: divide kept values by that share in training; False: multiply all by it at test instead.
    """
    name: str
    rescale: bool = True
    source: str = ''


@dataclasses.dataclass(frozen=True)
class GlobalPool:
    """The mean over height and width, kept as a 1 x 1 map."""
    name: str = 'global_pool'
    source: str = ''


def resolve(table, num_classes, global_pool=False):
    """The table of one network: the classes filled in, global_pool placed.

    Args:
      table: rows, the last two being a Dropout and the classifier (a Conv with filters=None).
      num_classes: classes of the classifier; None or 0 leaves out the last two rows.
      global_pool: put a GlobalPool before them.
    """
    if num_classes is not None and (isinstance(num_classes, bool) or int(num_classes) != num_classes
                                    or num_classes < 0):
        raise ValueError(f'num_classes is {num_classes!r}; it must be a whole number ≥ 0, or None '
                         'for the network without its classifier.')
    rows = table[:-2]
    if global_pool:
        rows += (GlobalPool(source='slim'),)
    if num_classes:
        rows += (table[-2], dataclasses.replace(table[-1], filters=int(num_classes)))
    return rows


def changed(table, **changes):
    """The table with some rows changed: name={field: value}, or name=(rows, to, stand, there)."""
    unknown = set(changes) - {row.name for row in table}
    if unknown:
        raise ValueError(f'the table has no row {", ".join(sorted(unknown))}.')
    result = []
    for row in table:
        change = changes.get(row.name, {})
        result += [dataclasses.replace(row, **change)] if isinstance(change, dict) else change
    return tuple(result)


def with_initial_values(table, other):
    """The table with the initial weights and biases of another, row by row."""
    start = {row.name: {'init': row.init, 'bias': row.bias} for row in other if isinstance(row, Conv)}
    return changed(table, **{row.name: start[row.name] for row in table if isinstance(row, Conv)})


def with_dropout(table, rescale):
    """The table with the form of dropout that Dropout.rescale means (None: as it is)."""
    if rescale is None:
        return table
    return changed(table, **{row.name: {'rescale': rescale} for row in table if isinstance(row, Dropout)})


def with_bias(table, bias):
    """The table with another initial bias in every row that has one other than 0 (None: the arg scope's)."""
    return tuple(dataclasses.replace(row, bias=bias)
                 if isinstance(row, Conv) and row.bias != 0 else row for row in table)


def window(row, size):
    """Output size along one axis of a Conv or MaxPool over `size` pixels (None stays None)."""
    if size is None:
        return None
    if isinstance(row, MaxPool):
        return (size - row.size) // row.stride + 1
    if row.padding == 'SAME':
        return math.ceil(size / row.stride)
    before_after = 0 if row.padding == 'VALID' else sum(row.padding)
    return (size + before_after - row.kernel) // row.stride + 1


@dataclasses.dataclass(frozen=True)
class Walked:
    """A row at a given input size: its output (height, width, channels) and what it costs an image."""
    row: object
    shape: tuple
    parameters: int
    multiply_adds: int


def walk(table, height, width, channels=3):
    """Yields a Walked a row. Height and width may be None (then multiply_adds is 0).

    Raises ValueError, with the network's minimum, when the input is too small for a row.
    """
    for row in table:
        parameters = multiply_adds = 0
        if isinstance(row, GlobalPool):
            height = width = 1
        elif isinstance(row, (Conv, MaxPool)):
            height, width = window(row, height), window(row, width)
            if any(size is not None and size < 1 for size in (height, width)):
                raise ValueError(f'the image is too small for {row.name}: this network needs at least '
                                 f'{minimum_size(table)}x{minimum_size(table)} pixels.')
        if isinstance(row, Conv):
            weights = row.kernel * row.kernel * (channels // row.groups) * row.filters
            parameters = weights + row.filters
            channels = row.filters
            multiply_adds = weights * (height or 0) * (width or 0)
        yield Walked(row, (height, width, channels), parameters, multiply_adds)


def minimum_size(table):
    """The smallest height (and width) in pixels that gives every row at least one output."""
    def fits(size):
        for row in table:
            if isinstance(row, GlobalPool):
                return True
            if isinstance(row, (Conv, MaxPool)):
                size = window(row, size)
                if size < 1:
                    return False
        return True
    return next(size for size in range(1, 1024) if fits(size))
