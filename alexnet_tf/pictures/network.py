"""A network's table drawn as the paper's figure 2: boxes for maps, towers one above the other."""
import dataclasses
import math

from alexnet_tf.pictures import figures
from nets import rows, towers

DEPTH = 0.3  # share of a box's height by which its back is moved up and to the right
TOP, TOWER, LINE = 0.55, 1.5, 0.125  # inches: above the boxes, for a tower, of a line of text


@dataclasses.dataclass(frozen=True)
class Column:
    """A convolution, or the images (name 'images'), with the rows that follow it.

    shape: (height, width, channels). reads_both: whether each tower reads both. words: lines that say the rest.
    """
    name: str
    shape: tuple
    reads_both: bool = False
    words: tuple = ()


def columns(table, size):
    """The Columns of a resolved table, for images of size x size pixels."""
    found = [Column('images', (size, size, 3))]
    for walked in rows.walk(table, size, size):
        if isinstance(walked.row, rows.Conv):
            found.append(Column(walked.row.name, walked.shape, towers.reads_both(walked.row)))
        found[-1] = dataclasses.replace(found[-1], words=(*found[-1].words, *_words(walked)))
    return found


def _words(walked):
    """What stands under a column about a row."""
    row, size = walked.row, '×'.join(map(str, walked.shape))
    if isinstance(row, rows.Conv):
        details = [f'kernels {row.kernel}×{row.kernel}', f'stride {row.stride}' if row.stride > 1 else '',
                   f'in {row.groups} groups' if row.groups > 1 else '', 'ReLU' if row.relu else '']
        return tuple(filter(None, details))
    if isinstance(row, rows.MaxPool):
        return f'max pool {row.size}×{row.size}', f'stride {row.stride}:', f'{size}'
    if isinstance(row, rows.LRN):
        return 'LRN' + (' each tower' if row.groups > 1 else ''),
    if isinstance(row, rows.SpatialNorm):
        return f'norm {row.size}×{row.size}', 'within a map'
    if isinstance(row, rows.Dropout):
        return f'dropout {1 - row.keep_prob:g}',
    return {'relu': 'ReLU'}.get(row.kind, row.kind) if isinstance(row, rows.Activation) else 'mean of map',


def draw(table, size, title):
    """A Figure of a resolved table. size: side of the images, pixels.

    Every box has the gid 'row/tower', every arrow 'from/tower>to/tower', with tower 0 or 1.
    """
    drawn = columns(table, size)
    count = max(row.groups for row in table if isinstance(row, rows.Conv))
    lines = max(len(column.words) for column in drawn)
    height = TOP + count * TOWER + (lines + 2) * LINE + 0.15
    figure = figures.new(height)
    axes = figures.inches(figure, 0, 0, figures.WIDTH, height)
    axes.set(xlim=(0, figures.WIDTH), ylim=(height, 0))  # inches from the top left
    axes.axis('off')
    parameters = sum(walked.parameters for walked in rows.walk(table, size, size))
    note = 'Orange: a tower reads the other one. ' if count > 1 else ''
    axes.text(0.1, 0.1, f'{title}: {parameters:,} parameters', va='top', size=10)
    axes.text(0.1, 0.32, f'{note}Boxes grow with the square roots: in height of the side of a map, in width of the '
                         'number of maps.', va='top')
    slot, before = (figures.WIDTH - 0.1) / len(drawn), []
    for number, column in enumerate(drawn):
        single = count == 1 or number in (0, len(drawn) - 1)
        middles = [TOP + TOWER * count / 2] if single else [TOP + TOWER * (tower + 0.5) for tower in range(count)]
        maps = column.shape[2] // len(middles)
        boxes = [_box(axes, f'{column.name}/{tower}', 0.1 + slot * number, middle, column.shape[0], maps)
                 for tower, middle in enumerate(middles)]
        _connect(axes, before, boxes, column)
        before = boxes
        axes.text(0.1 + slot * number, TOP + count * TOWER, column.name, va='top', weight='bold', size=7.5)
        axes.text(0.1 + slot * number, TOP + count * TOWER + LINE, '\n'.join(column.words), va='top', size=7,
                  linespacing=1.25)
    return figure


def _box(axes, gid, left, middle, side, maps):
    """Draws maps of side x side. Returns: (gid, left, right, middle of its front)."""
    from matplotlib.patches import Polygon
    if side == 1:  # a column of numbers
        wide, high, deep = 0.1, 0.0155 * math.sqrt(maps), 0
    else:
        wide, high = 0.021 * math.sqrt(maps), 0.05 * math.sqrt(side)
        deep = DEPTH * high
    low, up, right = middle + high / 2, middle - high / 2, left + wide
    back = [(left, up), (left + deep, up - deep), (right + deep, up - deep), (right + deep, low - deep), (right, low),
            (right, up)]
    axes.add_patch(Polygon(back, facecolor='0.8', edgecolor='0.2', lw=0.6))
    axes.add_patch(Polygon([(left, low), (left, up), (right, up), (right, low)], facecolor='0.93', edgecolor='0.2',
                           lw=0.6, gid=gid))
    axes.plot([right, right + deep], [up, up - deep], color='0.2', lw=0.6)
    axes.text(left, up - deep - 0.04, f'{side}×{side}×{maps}', size=7, zorder=5,  # above the arrows
              bbox={'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.5})
    return gid, left, right + deep / 2, middle - deep / 2


def _connect(axes, before, boxes, column):
    """Arrows from the boxes before to those of a column."""
    for source, (start, _, right, high) in enumerate(before):
        for target, (end, left, _, low) in enumerate(boxes):
            crosses = len(before) == len(boxes) > 1 and source != target
            if crosses and not column.reads_both:
                continue
            color = figures.ORANGE if crosses else figures.BLUE
            axes.annotate('', (left - 0.01, low), (right + 0.02, high), gid=f'{start}>{end}',
                          arrowprops={'arrowstyle': '-|>', 'color': color, 'lw': 0.9, 'mutation_scale': 7,
                                      'shrinkA': 0, 'shrinkB': 0})
