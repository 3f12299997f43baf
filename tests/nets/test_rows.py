"""Tables of one's own: what `resolve` fills in, and what the networks make of it."""
import dataclasses

import pytest
import tensorflow as tf

from nets import alexnet, rows
from tests.helpers.networks import narrowed

OTHER_NAMES = tuple(dataclasses.replace(row, name={'fc7': 'fc8', 'fc8': 'answers'}.get(row.name, row.name))
                    for row in narrowed(alexnet.ALEXNET))


def test_every_dropout_has_its_keep_prob_and_its_number():
    table = rows.changed(alexnet.ALEXNET, pool1=(rows.MaxPool('pool1'), rows.Dropout('dropout1', keep_prob=0.9)))
    dropouts = [row for row in rows.resolve(table, 10, dropout_keep_prob=0.7) if isinstance(row, rows.Dropout)]
    assert [(row.name, row.number, row.keep_prob) for row in dropouts] == [
        ('dropout1', 1, 0.9), ('dropout6', 2, 0.7), ('dropout7', 3, 0.7)]
    model = alexnet.from_table(narrowed(table), 10)
    assert [(model.get_layer(row.name).number, model.get_layer(row.name).keep_prob) for row in dropouts] == [
        (1, 0.9), (2, 0.5), (3, 0.5)]


def test_the_classifier_may_have_any_name():
    """Its place in the table says what it is. Another row that is called fc8 is not squeezed."""
    shapes = [alexnet.from_table(OTHER_NAMES, classes, spatial_squeeze=squeeze).output_shape
              for classes, squeeze in ((8, True), (8, False), (None, True))]
    assert shapes == [(None, 8), (None, 1, 1, 8), (None, 1, 1, 512)]
    assert alexnet.from_table(OTHER_NAMES, 8, devices=('/CPU:0', '/CPU:0')).output_shape == (None, 8)


def test_a_classifier_of_another_name_and_images_that_are_too_large():
    with pytest.raises(ValueError, match='300x400 give a .* cannot be squeezed'):
        alexnet.from_table(OTHER_NAMES, 8, input_shape=(300, 400, 3))


def test_a_classifier_of_another_name_in_a_graph(monkeypatch):
    monkeypatch.setitem(alexnet.VARIANTS, 'paper', OTHER_NAMES)
    with tf.Graph().as_default():
        logits, end_points = alexnet.alexnet(tf.zeros([2, 224, 224, 3]), 7)
        assert logits.op.name == 'alexnet/answers/squeezed' and logits.shape == [2, 7]
        assert end_points['alexnet/answers'] is logits and end_points['alexnet/fc8'].shape == [2, 1, 1, 512]


def test_an_unknown_row_is_not_changed():
    with pytest.raises(ValueError, match='no row conv9'):
        rows.changed(alexnet.ALEXNET, conv9={'bias': 1})
