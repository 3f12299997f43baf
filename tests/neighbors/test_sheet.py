"""The contact sheet: each query and its neighbors, in their order, those of its class marked."""
import numpy as np
import pytest

from alexnet_tf.neighbors import sheet

pytest.importorskip('matplotlib')


def shown(shade, caption, known=None):
    return sheet.Shown(np.full([8, 8, 3], shade, np.uint8), caption, known)


def test_rows_are_in_their_order_and_the_same_class_is_marked():
    figure = sheet.draw([[shown(0, 'cat'), shown(1, 'cat', True), shown(2, 'a dog with a very long name', False)],
                         [shown(10, 'one.jpg'), shown(11, 'deer')]], 'A title')
    assert [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes] == [0, 1, 2, 10, 11]
    assert [axes.get_title(loc='left') for axes in figure.axes] == [
        'cat', 'cat ✓', 'a dog with a ver…', 'one.jpg', 'deer']
    weights = [axes._left_title.get_fontweight() for axes in figure.axes]
    assert weights == ['normal', 'bold', 'normal', 'normal', 'normal']
    lefts = [axes.get_position().x0 for axes in figure.axes]
    assert lefts[0] == lefts[3] < lefts[1] == lefts[4] < lefts[2]
    assert figure.axes[0].get_position().y0 > figure.axes[3].get_position().y1
    assert figure.texts[0].get_text() == 'A title'
