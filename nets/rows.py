"""The rows that make up a network's table, and what a table says without TensorFlow.

A table is a tuple of frozen rows, one a layer. `resolve` fills in what the caller of a network chooses.
`nets/graph.py` turns the result into a TF1-style graph, `nets/keras_layers.py` into a Keras model.
"""
import dataclasses
import itertools
import math


@dataclasses.dataclass(frozen=True)
class Init:
    """Initial values of weights. kind: 'normal' or 'truncated_normal' (mean 0, cut at two deviations)."""
    kind: str
    stddev: float


@dataclasses.dataclass(frozen=True)
class Row:
    """What all rows have. source: whom the row follows."""
    name: str
    source: str = dataclasses.field(default='', kw_only=True)

    def fields(self):
        """{field: value} of what rows of this kind alone have."""
        return {key: value for key, value in vars(self).items() if key not in ('name', 'source')}


@dataclasses.dataclass(frozen=True)
class Conv(Row):
    """A convolution with bias and, if relu, the activation.

    A fully connected layer is a convolution whose kernel covers the whole map.

    filters: output channels; None: the number of classes. padding: 'SAME', 'VALID' or the pixels added
    (before, after) on both spatial axes. init, bias: initial weights and biases; None: those of the arg scope, as in
    slim (else Glorot uniform and 0). squeeze: drop both spatial axes of the 1 x 1 output, as the classifier does.
    """
    filters: int | None
    kernel: int
    stride: int = 1
    padding: str | tuple[int, int] = 'SAME'
    groups: int = 1
    relu: bool = True
    init: Init | None = None
    bias: float | None = None
    squeeze: bool = False


@dataclasses.dataclass(frozen=True)
class LRN(Row):
    """x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 adjacent maps) ** beta.

    groups: equal parts of the maps, each normalized on its own (2: each tower).
    """
    depth_radius: int = 2
    bias: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75
    groups: int = 1


@dataclasses.dataclass(frozen=True)
class SpatialNorm(Row):
    """x / (bias + alpha * sum of x^2 over the size x size pixels around, within one map) ** beta."""
    size: int = 5
    bias: float = 1.0
    alpha: float = 1e-3 / 25
    beta: float = 0.75


@dataclasses.dataclass(frozen=True)
class Activation(Row):
    """A non-linearity in a row of its own. kind: 'relu' or 'tanh'."""
    kind: str = 'relu'


@dataclasses.dataclass(frozen=True)
class MaxPool(Row):
    """Max pooling without padding over size x size windows."""
    size: int = 3
    stride: int = 2


@dataclasses.dataclass(frozen=True)
class Dropout(Row):
    """Dropout, active in training.

    rescale: divide what is kept by keep_prob in training; False: multiply all values by it at test instead.
    keep_prob: share of values kept, in (0, 1]; None: the network's dropout_keep_prob. number: of this row among
    the network's dropout rows, from 1; `resolve` counts.
    """
    rescale: bool = True
    keep_prob: float | None = None
    number: int | None = None


@dataclasses.dataclass(frozen=True)
class GlobalPool(Row):
    """The mean over height and width, kept as a 1 x 1 map."""


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
        hidden.append(GlobalPool('global_pool', source='slim'))
    if num_classes:
        hidden += dropout, dataclasses.replace(classifier, filters=int(num_classes), squeeze=spatial_squeeze)
    numbers = itertools.count(1)
    return each(hidden, Dropout, lambda row: {
        'number': next(numbers), 'keep_prob': dropout_keep_prob if row.keep_prob is None else row.keep_prob})


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


def each(table, kind, fields):
    """The table with every row of a kind changed by fields(row), a {field: value}."""
    return tuple(dataclasses.replace(row, **fields(row)) if isinstance(row, kind) else row for row in table)


def with_bias(table, bias):
    """The table with `bias` in every Conv whose initial bias is not 0. A bias of None means the arg scope's."""
    return each(table, Conv, lambda row: {'bias': row.bias if row.bias == 0 else bias})


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
    row: Row
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


def print_table(name, table, size):
    """Prints an unresolved table at an image size in pixels, with shapes, parameters and multiply-adds."""
    walked = list(walk(resolve(table, 1000), size, size))
    print(f'{name}: {size}x{size}x3 images, 1000 classes\n'
          f'{"layer":<9} {"output":>11} {"parameters":>11} {"multiply-adds":>14}  source')
    for step in walked:
        print(f'{step.row.name:<9} {"x".join(map(str, step.shape)):>11} {step.parameters:>11,} '
              f'{step.multiply_adds:>14,}  {step.row.source}')
    print(f'{"total":<9} {"":>11} {sum(step.parameters for step in walked):>11,} '
          f'{sum(step.multiply_adds for step in walked):>14,}\n')


def minimum_size(table):
    """The smallest height (and width), in pixels, at which every row has an output."""
    needed = 1
    for row in reversed(table):
        if isinstance(row, GlobalPool):
            needed = 1
        elif isinstance(row, (Conv, MaxPool)):
            needed = next(size for size in itertools.count(1) if window(row, size) >= needed)
    return needed
