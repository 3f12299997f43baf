"""The rows that make up a network's table, and what a table says without TensorFlow.

A table is a tuple of frozen rows, one a layer. `resolve` fills in what the caller of a network chooses.
`nets/graph.py` turns the result into a TF1-style graph, `nets/keras_layers.py` into a Keras model. `walk` gives
every row's output size, parameters and multiply-adds.
"""
import dataclasses
import itertools
import math


@dataclasses.dataclass(frozen=True)
class Init:
    """Initial values of weights. kind: 'glorot_uniform', 'normal' or 'truncated_normal' (mean 0)."""
    kind: str
    stddev: float | None = None


GLOROT = Init('glorot_uniform')


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution with bias and, if relu, the activation.

    A fully connected layer is a convolution whose kernel covers the whole map.

    filters: output channels; None: the number of classes. padding: 'SAME', 'VALID' or the pixels added
    (before, after) on both spatial axes. init, bias: initial weights and biases; None: those of the arg scope, as in
    slim (else Glorot uniform and 0). squeeze: drop both spatial axes of the 1 x 1 output, as the classifier does.
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
    squeeze: bool = False
    source: str = ''


@dataclasses.dataclass(frozen=True)
class LRN:
    """x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 adjacent maps) ** beta.

    groups: equal parts of the maps, each normalised on its own (2: each tower).
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
    """A non-linearity in a row of its own. kind: 'relu' or 'tanh'."""
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
    """Dropout, active in training.

    rescale: divide what is kept by keep_prob in training; False: multiply all values by it at test instead.
    keep_prob: share of values kept, in (0, 1]; None: the network's dropout_keep_prob. number: of this row among
    the network's dropout rows, from 1; `resolve` counts.
    """
    name: str
    rescale: bool = True
    keep_prob: float | None = None
    number: int | None = None
    source: str = ''


@dataclasses.dataclass(frozen=True)
class GlobalPool:
    """The mean over height and width, kept as a 1 x 1 map."""
    name: str = 'global_pool'
    source: str = ''


def resolve(table, num_classes, *, global_pool=False, dropout_keep_prob=0.5, spatial_squeeze=True):
    """The table of one network, with everything filled in that its caller chooses.

    Args:
      table: rows, the last two a Dropout and the classifier (a Conv with filters=None), whatever its name.
      num_classes: classes of the classifier; None or 0 leaves out the last two rows.
      global_pool: put a GlobalPool before them.
      dropout_keep_prob: of the Dropout rows that have no keep_prob of their own.
      spatial_squeeze: squeeze the classifier's output.

    Raises: ValueError for a num_classes that is no whole number from 0 up.
    """
    if num_classes is not None and (isinstance(num_classes, bool) or int(num_classes) != num_classes
                                    or num_classes < 0):
        raise ValueError(f'num_classes is {num_classes!r}; it must be a whole number ≥ 0, or None '
                         'for the network without its classifier.')
    *hidden, dropout, classifier = table
    if global_pool:
        hidden.append(GlobalPool(source='slim'))
    if num_classes:
        hidden += dropout, dataclasses.replace(classifier, filters=int(num_classes), squeeze=spatial_squeeze)
    numbers = itertools.count(1)
    return tuple(dataclasses.replace(row, number=next(numbers),
                                     keep_prob=dropout_keep_prob if row.keep_prob is None else row.keep_prob)
                 if isinstance(row, Dropout) else row for row in hidden)


def changed(table, **changes):
    """The table with some rows changed: name={field: value}, or name=(the, rows, instead)."""
    unknown = set(changes) - {row.name for row in table}
    if unknown:
        raise ValueError(f'the table has no row {", ".join(sorted(unknown))}.')
    result = []
    for row in table:
        change = changes.get(row.name, {})
        result += [dataclasses.replace(row, **change)] if isinstance(change, dict) else change
    return tuple(result)


def with_initial_values(table, other):
    """The table with the initial weights and biases of another's rows of the same names."""
    start = {row.name: {'init': row.init, 'bias': row.bias} for row in other if isinstance(row, Conv)}
    return changed(table, **{row.name: start[row.name] for row in table if isinstance(row, Conv)})


def with_dropout(table, rescale):
    """The table with Dropout.rescale set in every Dropout row (None: as it is)."""
    if rescale is None:
        return table
    return changed(table, **{row.name: {'rescale': rescale} for row in table if isinstance(row, Dropout)})


def with_bias(table, bias):
    """The table with `bias` in every Conv whose initial bias is not 0. A bias of None means the arg scope's."""
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
    """A row at a given image size: its output (height, width, channels), its parameters, its cost per image."""
    row: object
    shape: tuple
    parameters: int
    multiply_adds: int


def walk(table, height, width, channels=3):
    """Yields a Walked for each row of a resolved table. Height and width may be None; multiply_adds is then 0.

    Raises: ValueError, with the network's minimum, for an image that is too small for a row.
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
    """The smallest height (and width), in pixels, at which every row has an output."""
    def fits(size):
        for row in itertools.takewhile(lambda row: not isinstance(row, GlobalPool), table):
            if isinstance(row, (Conv, MaxPool)) and size > 0:
                size = window(row, size)
        return size > 0
    return next(size for size in range(1, 1024) if fits(size))
