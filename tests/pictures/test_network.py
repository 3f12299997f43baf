"""The network's picture says what the table says: sizes, kernels, order, which tower reads which."""
import pytest
from matplotlib.patches import Polygon

from alexnet_tf.pictures import network
from nets import alexnet, rows


def drawn(table, size, classes=1000):
    """(gids of boxes, gids of arrows, texts) of a network's picture, in the order in which they were drawn."""
    axes, = network.draw(rows.resolve(table, classes), size, 'title').axes
    boxes = [patch.get_gid() for patch in axes.patches if isinstance(patch, Polygon) and patch.get_gid()]
    arrows = [text.get_gid() for text in axes.texts if text.get_gid()]
    return boxes, arrows, [text.get_text() for text in axes.texts if text.get_text()]


@pytest.fixture(scope='module')
def paper():
    return drawn(alexnet.ALEXNET, 224)


def test_a_box_for_each_tower_in_the_order_of_the_table(paper):
    names = 'conv1 conv2 conv3 conv4 conv5 fc6 fc7'.split()
    assert paper[0] == ['images/0', *(f'{name}/{tower}' for name in names for tower in (0, 1)), 'fc8/0']


def test_towers_read_each_other_where_the_paper_says(paper):
    """Section 3.5: the kernels of the second, fourth and fifth layers see their own tower; all others see all."""
    crossing = {arrow for arrow in paper[1] if arrow.count('/') == 2 and arrow[-1] != arrow.split('>')[0][-1]}
    assert crossing - {'images/0>conv1/1', 'fc7/1>fc8/0'} == {
        'conv2/0>conv3/1', 'conv2/1>conv3/0', 'conv5/0>fc6/1', 'conv5/1>fc6/0', 'fc6/0>fc7/1', 'fc6/1>fc7/0'}
    assert len(paper[1]) == 2 + 2 + 4 + 2 + 2 + 4 + 4 + 2


def test_sizes_are_those_of_the_papers_figure_2(paper):
    sizes = [text for text in paper[2] if text.count('×') == 2 and '\n' not in text]
    assert sizes == ['224×224×3', *['55×55×48'] * 2, *['27×27×128'] * 2, *['13×13×192'] * 4, *['13×13×128'] * 2,
                     *['1×1×2048'] * 4, '1×1×1000']


@pytest.mark.parametrize('table, size, words', [
    (alexnet.ALEXNET, 224, {'conv1': 'kernels 11×11 / stride 4 / ReLU / LRN / max pool 3×3 / stride 2: / 27×27×96',
                            'conv5': 'kernels 3×3 / in 2 groups / ReLU / max pool 3×3 / stride 2: / 6×6×256',
                            'fc7': 'kernels 1×1 / ReLU / dropout 0.5', 'fc8': 'kernels 1×1'}),
    (alexnet.ALEXNET_SOURCE, 224, {
        'conv1': 'kernels 11×11 / stride 4 / LRN each tower / max pool 3×3 / stride 2: / 27×27×96 / ReLU',
        'conv2': 'kernels 5×5 / in 2 groups / ReLU / LRN each tower / norm 5×5 / within a map / max pool 3×3 / '
                 'stride 2: / 13×13×256'}),
    (alexnet.ALEXNET_CAFFE, 227, {'conv3': 'kernels 3×3 / ReLU'}),
    (alexnet.ALEXNET_V2, 224, {'conv1': 'kernels 11×11 / stride 4 / ReLU / max pool 3×3 / stride 2: / 26×26×64',
                               'fc6': 'kernels 5×5 / ReLU / dropout 0.5'})])
def test_under_each_column_stands_what_its_rows_do(table, size, words):
    texts = drawn(table, size)[2]
    for name, expected in words.items():
        below = texts[texts.index(name) + 1] if texts.index(name) + 1 < len(texts) else ''
        assert below.replace('\n', ' / ') == expected


def test_one_tower_has_one_row_of_boxes_and_its_parameters():
    boxes, arrows, texts = drawn(alexnet.ALEXNET_V2, 224, classes=10)
    assert len(boxes) == 9 and len(arrows) == 8 and not any('tower' in text for text in texts)
    assert 'title: 46,247,882 parameters' in texts and '54×54×64' in texts and '1×1×10' in texts
