"""The pictures of a split: which mistakes come first, what the matrix counts, the accuracy of each class."""
import csv
import io

import numpy as np
import pytest

from alexnet_tf.pictures import whole_split
from alexnet_tf.pictures.predictions import Example

NAMES = 'cat', 'dog', 'cow', 'fox'
# (true class, answer, its probability); no image is of a fox.
GIVEN = ((0, 0, 0.9), (0, 1, 0.5), (0, 1, 0.8), (1, 1, 0.6), (1, 1, 0.7), (2, 3, 0.95), (2, 2, 0.4), (2, 0, 0.8))


@pytest.fixture
def scored():
    shares = np.array([[share if number == answer else (1 - share) / 3 for number in range(4)]
                       for _, answer, share in GIVEN])
    return whole_split.Answers(shares, np.array([truth for truth, *_ in GIVEN]), NAMES)


def words(figure):
    return [text.get_text() for text in figure.texts]


def test_the_most_confident_mistakes_come_first_and_equal_ones_in_order(scored):
    assert whole_split.mistakes(scored) == [5, 2, 7, 1]


def test_their_picture_says_how_many_there_are(scored):
    examples = [Example(np.zeros([2, 2, 3], np.uint8), scored.probabilities[5], 2)]
    figure = whole_split.draw_mistakes(scored, examples, 'alexnet')
    assert 'The 1 most confident of 4 mistakes among 8 images' in words(figure)[0]
    assert figure.axes[0].get_title(loc='left') == 'cow' and figure.axes[1].texts[0].get_text() == 'fox'


def test_the_matrix_counts_rows_of_true_classes(scored):
    counts = whole_split.confusion(scored)
    assert counts.tolist() == [[1, 2, 0, 0], [0, 2, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(whole_split.accuracies(counts), [1 / 3, 1, 1 / 3, np.nan])


def test_its_picture_shows_the_counts_at_their_places(scored):
    axes, = whole_split.draw_confusion(scored, 'alexnet').axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [label.get_text() for label in axes.get_xticklabels()] == ['cat', 'dog', 'cow', 'fox']
    assert (axes.get_ylabel(), axes.get_xlabel()) == ('true class', 'taken for')
    shown = {(labels[round(y)], labels[round(x)]): text.get_text()
             for text in axes.texts for x, y in [text.get_position()]}
    assert shown == {('cat', 'cat'): '1', ('cat', 'dog'): '2', ('dog', 'dog'): '2', ('cow', 'cat'): '1',
                     ('cow', 'cow'): '1', ('cow', 'fox'): '1'}
    np.testing.assert_allclose(axes.images[0].get_array()[0], [1 / 3, 2 / 3, 0, 0])


@pytest.mark.parametrize('count', [2, 10, 20])
@pytest.mark.parametrize('name', ['{}', 'a class with a long name {}'])
def test_the_matrix_fills_the_page_and_no_name_is_cut(name, count):
    names = tuple(name.format(number) for number in range(count))
    figure = whole_split.draw_confusion(whole_split.Answers(np.eye(count), np.arange(count), names), 'alexnet')
    figure.draw_without_rendering()  # which places the axes
    inches, width = figure.dpi_scale_trans.inverted(), figure.get_size_inches()[0]
    taken = figure.axes[0].get_tightbbox().transformed(inches)
    assert 0 <= taken.x0 < 0.15 and width - 0.15 < taken.x1 <= width and 0 <= taken.y0 < 0.15
    words = figure.texts[0].get_window_extent().transformed(inches)
    assert taken.y1 < words.y0 < taken.y1 + 0.3


def test_classes_are_sorted_by_accuracy(scored):
    figure = whole_split.draw_classes(scored, 'alexnet')
    axes, = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ['dog', 'cat', 'cow']
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [100, 100 / 3, 100 / 3])
    assert [text.get_text() for text in axes.texts] == ['100 %  (2 of 2)', '33 %  (1 of 3)', '33 %  (1 of 3)']
    assert figure.legends[0].texts[0].get_text() == 'all images: 50.0 %' and axes.lines[0].get_xdata()[0] == 50


def test_of_many_classes_the_worst_are_shown():
    names = tuple(f'class {number}' for number in range(30))
    labels = np.repeat(np.arange(30), 2)
    answers = np.where(np.arange(60) < 10, 29, labels)  # classes 0 to 4 are never recognized
    answers[11] = 29  # class 5 in one of two images
    scored = whole_split.Answers(np.eye(30)[answers], labels, names)
    figure = whole_split.draw_classes(scored, 'alexnet')
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(shown) == 20 and shown[-6:] == ['class 5', *names[:5]] and shown[:14] == list(names[6:20])
    assert 'The 20 classes with the lowest accuracy of 30.' in words(figure)[0]
    assert len(list(csv.reader(io.StringIO(whole_split.table(scored))))) == 31


def test_the_table_has_a_line_for_each_class(scored):
    lines = list(csv.reader(io.StringIO(whole_split.table(scored))))
    assert lines[0] == ['class', 'images', 'recognized', 'accuracy', *(f'taken for {name}' for name in NAMES)]
    assert lines[3] == ['cow', '3', '1', '0.3333', '1', '0', '1', '1'] and lines[4][:4] == ['fox', '0', '0', '']
