"""The kernels' picture: each kernel at its place, scaled to its own range, the towers apart and named."""
import numpy as np
import pytest

from alexnet_tf.pictures import kernels
from nets import alexnet, rows


def weights(count, side=11):
    return np.random.default_rng(1).normal(0, 0.01, [side, side, 3, count]).astype(np.float32)


def shown(figure):
    """[(title, pixels of the image)] of a figure's axes."""
    return [(axes.get_title(loc='left'), np.asarray(axes.images[0].get_array())) for axes in figure.axes]


def test_each_kernel_is_scaled_to_its_own_range():
    values = np.zeros([2, 2, 3, 3])
    values[0, 1, :, 0], values[1, 0, 2, 1], values[..., 2] = (-1, 1, 3), -5, 7
    first, second, flat = kernels.scaled(values)
    np.testing.assert_allclose(first[0], [[0.25] * 3, [0, 0.5, 1]])
    assert second[1, 0, 2] == 0 and second.sum() == 11 and (flat == 0.5).all()


def test_two_towers_have_48_kernels_each_in_rows_of_16():
    values = weights(96)
    (first, above), (second, below) = shown(kernels.draw(values, 2, 'title'))
    assert (first, second) == ('48 kernels of tower 1', '48 kernels of tower 2')
    assert above.shape == below.shape == (3 * 12 - 1, 16 * 12 - 1, 3)
    scaled = kernels.scaled(values)
    for number, (top, left) in {0: (0, 0), 15: (0, 180), 16: (12, 0), 47: (24, 180)}.items():
        np.testing.assert_array_equal(above[top:top + 11, left:left + 11], scaled[number])
        np.testing.assert_array_equal(below[top:top + 11, left:left + 11], scaled[48 + number])
    assert (above[11] == 1).all() and (above[:, 11] == 1).all()  # the gaps are white


def test_a_network_without_towers_is_one_group():
    (title, pixels), = shown(kernels.draw(weights(64), 1, 'title'))
    assert title == '64 kernels' and pixels.shape == (4 * 12 - 1, 16 * 12 - 1, 3)


def test_what_is_said_above_them():
    figure = kernels.draw(weights(5, 3), 1, 'alexnet at step 3')
    assert figure.texts[0].get_text().startswith('alexnet at step 3\nEach kernel is scaled to its own range')
    assert shown(figure)[0][1].shape == (3, 5 * 4 - 1, 3)


@pytest.mark.parametrize('count', [5, 96])
def test_they_begin_below_the_title_and_leave_no_blank(count):
    figure = kernels.draw(weights(count), 1, 'title')
    place, left = figure.axes[0].get_position(), figure.texts[0].get_position()[0]
    assert place.x0 == pytest.approx(left)
    words = figure.texts[0].get_window_extent().transformed(figure.transFigure.inverted())
    assert 1 - 4 * left < max(words.x1, place.x1) < 1


@pytest.mark.parametrize('table, parts', [(alexnet.ALEXNET, 2), (alexnet.ALEXNET_V2, 1)])
def test_the_table_says_how_many_parts_there_are(table, parts):
    assert kernels.parts(rows.resolve(table, 10)) == parts
