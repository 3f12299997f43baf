"""Images with bars: which classes, how long, in which order, and which is marked as true."""
import numpy as np
import pytest
from matplotlib.colors import to_hex

from alexnet_tf.pictures import figures, predictions
from alexnet_tf.pictures.predictions import Example

NAMES = 'cat', 'dog', 'cow', 'a $hen$', 'fox', 'owl'
IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
SHARES = np.array([0.05, 0.4, 0.1, 0.3, 0.05, 0.1])


def cells(figure):
    """[(title, image, [(text, value, color)])] of each example."""
    found = []
    for above, below in zip(figure.axes[::2], figure.axes[1::2]):
        texts = [text.get_text() for text in below.texts]
        bars = [(texts[2 * place], texts[2 * place + 1], bar.get_width(), to_hex(bar.get_facecolor()))
                for place, bar in enumerate(below.patches)]
        assert below.get_ylim()[0] > below.get_ylim()[1]  # the first bar is on top
        found.append((above.get_title(loc='left'), above.images[0].get_array(), bars))
    return found


def test_bars_are_the_five_most_probable_classes_and_the_true_one_is_marked():
    (title, image, bars), = cells(predictions.draw([Example(IMAGE, SHARES, 3)], NAMES, 'title'))
    assert title == 'a $hen$'
    np.testing.assert_array_equal(image, IMAGE)
    sky, orange = figures.SKY.lower(), figures.ORANGE.lower()
    assert bars == [('dog', '40 %', 0.4, sky), ('a $hen$ ✓', '30 %', 0.3, orange), ('cow', '10 %', 0.1, sky),
                    ('owl', '10 %', 0.1, sky), ('cat', '5 %', 0.05, sky)]


@pytest.mark.parametrize('truth, title', [(None, 'photo.jpg'), (4, 'fox')])
def test_without_a_true_class_among_the_five_no_bar_is_marked(truth, title):
    example = Example(IMAGE, SHARES, truth, 'photo.jpg')
    (said, _, bars), = cells(predictions.draw([example], NAMES, 'title'))
    assert said == title and not any('✓' in name for name, *_ in bars)
    assert {color for *_, color in bars} == {figures.SKY.lower()}


def test_many_images_stand_in_rows_and_few_classes_have_few_bars():
    examples = [Example(np.full([2, 2, 3], number, np.uint8), np.array([0.25, 0.75]), None, f'{number}.png')
                for number in range(6)]
    found = cells(predictions.draw(examples, NAMES[:2], 'title'))
    assert [title for title, *_ in found] == [f'{number}.png' for number in range(6)]
    assert [image[0, 0, 0] for _, image, _ in found] == list(range(6))
    assert all(len(bars) == 2 for *_, bars in found)
