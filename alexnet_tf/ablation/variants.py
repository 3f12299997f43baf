"""AlexNet without one of the paper's ideas: each variant is a changed table, or a changed recipe."""
import dataclasses

from nets import alexnet, rows


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network and recipe to train. table: rows; the rest as in training; paper: what the paper says of it."""
    name: str
    table: tuple
    paper: str
    keep_prob: float = 0.5
    color_noise: float = 0.1
    augment: bool = True


def narrowed(table, width):
    """The table with that share of the kernels in every layer (a multiple of 2: there are two groups).

    Initial standard deviations are divided by the root of the share, so that signals start as strong.
    """
    def narrow(row):
        if not isinstance(row, rows.Conv):
            return row
        init = row.init and dataclasses.replace(row.init, stddev=row.init.stddev / width ** 0.5)
        return dataclasses.replace(row, init=init, filters=row.filters and max(2, 2 * round(row.filters * width / 2)))
    return tuple(map(narrow, table))


def with_tanh(table):
    """tanh in place of every ReLU."""
    return rows.changed(table, **{
        row.name: (dataclasses.replace(row, relu=False), rows.Activation(f'{row.name}_tanh', 'tanh'))
        for row in table if isinstance(row, rows.Conv) and row.relu})


def without_lrn(table):
    return tuple(row for row in table if not isinstance(row, rows.LRN))


def with_separate_pools(table):
    """2 x 2 windows, 2 apart, in place of 3 x 3; the maps' sizes stay."""
    return rows.changed(table, **{row.name: {'size': 2} for row in table if isinstance(row, rows.MaxPool)})


def one_tower(table):
    """One tower with half the kernels in conv1 to conv4; conv5 and above as before (the paper's footnote 2)."""
    halved = ('conv1', 'conv2', 'conv3', 'conv4')
    return rows.changed(table, **{
        row.name: {'groups': 1, 'filters': row.filters // 2 if row.name in halved else row.filters}
        for row in table if isinstance(row, rows.Conv)})


def variants(width):
    """All of them, the network of the paper first."""
    base = narrowed(alexnet.ALEXNET, width)
    return (
        Variant('alexnet', base, ''),
        Variant('tanh', with_tanh(base), '3.1: six times as many epochs to 25 % training error (CIFAR-10, 4 layers)'),
        Variant('no LRN', without_lrn(base), '3.3: 1.4 / 1.2 points worse'),
        Variant('2x2 pooling', with_separate_pools(base), '3.4: 0.4 / 0.3 points worse'),
        Variant('one half-size tower', one_tower(base), '3.2: 1.7 / 1.2 points worse'),
        Variant('no dropout', base, '4.2: substantial overfitting; half as many epochs to converge', keep_prob=1.0),
        Variant('no color noise', base, '4.1: over 1 point worse (top-1)', color_noise=0.0),
        Variant('no crops or mirrors', base, '4.1: substantial overfitting', augment=False),
    )
