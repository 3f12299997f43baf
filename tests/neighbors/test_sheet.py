"""The contact sheet: each query and its neighbors, in their order, those of its class marked."""
import numpy as np
import pytest

from alexnet_tf.neighbors import sheet

pytest.importorskip('matplotlib')


def shown(shade, class_name, below, same=False):
    return sheet.Shown(np.full([8, 8, 3], shade, np.uint8), class_name, below, same)


def test_rows_are_in_their_order_and_the_same_class_is_marked():
    from matplotlib.text import Text
    figure = sheet.draw([
        [shown(0, 'cat', 'a.jpg'), shown(1, 'cat', 'train:3\n0.5', True),
         shown(2, 'a dog with a very long name', 'train:1234567\n12.5')],
        [shown(10, '', 'a name of a file that is long.jpg'), shown(11, 'deer', 'train:0\n21 bits')]], 'A title')
    assert [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes] == [0, 1, 2, 10, 11]
    assert [axes.get_title(loc='left') for axes in figure.axes] == ['cat', 'cat ✓', 'a dog with a ver…', '', 'deer']
    assert {text.get_text() for text in figure.findobj(Text) if text.get_fontweight() == 'bold'} == {'cat ✓'}
    lefts = [axes.get_position().x0 for axes in figure.axes]
    assert lefts[0] == lefts[3] < lefts[1] == lefts[4] < lefts[2]
    title, *below = figure.texts
    assert title.get_text() == 'A title' and [text.get_text() for text in below] == [
        'a.jpg', 'train:3\n0.5', 'train:1234567\n12.5', 'a name of a file …', 'train:0\n21 bits']
    boxes = [text.get_window_extent().transformed(figure.transFigure.inverted()) for text in below]
    for axes, box in zip(figure.axes, boxes):  # under its picture, and no wider
        place = axes.get_position()
        assert place.x0 == pytest.approx(box.x0, abs=2e-3) and box.x1 < place.x1 and box.y1 < place.y0
    assert figure.axes[3].get_tightbbox().transformed(figure.transFigure.inverted()).y1 < min(
        box.y0 for box in boxes[:3])
    assert 0 < boxes[4].y0 * figure.get_size_inches()[1] < 0.3
