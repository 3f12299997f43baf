"""What the page shows of a file: predict's answers, the kernels with the largest values, the nearest images."""
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import loading
from alexnet_tf.web_page import answering
from tests.helpers import commands, hostile_images


@pytest.fixture(scope='module')
def loaded(run):
    return loading.load(str(run))


@pytest.fixture(scope='module')
def answer(loaded):
    return answering.Answering(loaded)


def test_the_answers_are_those_of_predict_to_the_last_digit(answer, run, photographs):
    printed = commands.call('alexnet_tf.predict', *photographs[:3], f'--checkpoint_path={run}', '--json_lines',
                            '--batch_size=1', positional='images', check=True).stdout
    for photograph, line in zip(photographs[:3], map(json.loads, printed.splitlines()), strict=True):
        best = answer(photograph).best
        assert [list(values) for values in zip(*best)] == [line['classes'], line['probabilities']] and len(best) == 5


@pytest.mark.parametrize('content, reason', [
    (b'', 'the file is empty'), (b'some text', 'it is neither JPEG nor PNG'),
    (hostile_images.gray_jpeg(12000), 'the image has 144000000 pixels; at most 89478485 are decoded'),
    (hostile_images.gray_jpeg(480)[:700], 'the JPEG is damaged or cut off'), (None, 'No such file or directory')])
def test_what_cannot_be_read_has_a_reason(content, reason, answer, tmp_path):
    if content is not None:
        (tmp_path / 'x.jpg').write_bytes(content)
    assert answer(tmp_path / 'x.jpg') == reason


def test_the_kernels_are_those_of_the_largest_values(answer, loaded, photographs):
    shown = answer(photographs[4])
    kernel = loaded.model.get_layer('conv1').kernel.numpy()
    bias = loaded.model.get_layer('conv1').bias.numpy()
    image = np.float32(shown.image) - np.float32(loaded.mean)
    padded = np.pad(image, [[0, 3], [0, 3], [0, 0]])  # see nets/alexnet.py
    values = np.maximum(tf.nn.conv2d(padded[np.newaxis], kernel, 4, 'VALID')[0].numpy() + bias, 0)
    largest = np.sort(values.max((0, 1)))[::-1][:len(shown.kernels)]
    assert len(shown.kernels) == 4 and largest[0] > largest[-1] > 0
    np.testing.assert_allclose([one.answer.strength for one in shown.kernels], largest, rtol=1e-4)
    for one in shown.kernels:
        weights = kernel[..., one.answer.number]
        np.testing.assert_allclose(one.weights, (weights - weights.min()) / np.ptp(weights), atol=1e-6)
        top, left = (4 * place for place in one.answer.place)
        np.testing.assert_array_equal(one.patch, shown.image[top:top + 11, left:left + 11])


def test_what_the_network_saw_is_the_center(answer, photographs):
    square = preprocessing.evaluation_image(photographs[0].read_bytes()).numpy()
    np.testing.assert_array_equal(answer(photographs[0]).image, square[16:240, 16:240])


class Index:
    """As neighbors.index.Index, of five records; the distance is that of fc7's first value from 0, 1, 2 …"""
    class_names = tuple('abcdefghij')

    def __init__(self):
        self.dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'train')
        self.given = []

    def __len__(self):
        return 5

    def check_network(self, loaded):
        if loaded.step:
            raise ValueError('another network')

    def nearest(self, features, count):
        self.given.append(features)
        return np.array([[3, 0, 4, 1, 2][:count]]), np.float32([[0.5, 1, 2, 3, 4][:count]])

    def example(self, position):
        return self.dataset.example(int(position))


def test_the_nearest_images_are_those_of_the_index(loaded, photographs):
    index = Index()
    shown = answering.Answering(loaded, index)(photographs[1])
    assert [one.distance for one in shown.neighbors] == [0.5, 1, 2, 3, 4]
    for one, position in zip(shown.neighbors, [3, 0, 4, 1, 2]):
        encoded, label = index.example(position)
        assert one.class_name == 'abcdefghij'[label]
        np.testing.assert_array_equal(one.image, preprocessing.decoded_square(encoded, 96).numpy())
    inputs = np.float32(shown.image[np.newaxis]) - np.float32(loaded.mean)
    fc7 = tf_keras.Model(loaded.model.inputs, loaded.model.get_layer('fc7').output)
    expected = fc7(inputs, training=False).numpy().reshape(1, -1)
    np.testing.assert_allclose(index.given[-1], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_an_index_of_another_network_is_refused(loaded):
    with pytest.raises(ValueError, match='another network'):
        answering.Answering(dataclasses.replace(loaded, step=7), Index())
