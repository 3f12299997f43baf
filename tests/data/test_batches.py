"""Which example comes when, and how: a pure function of (seed, example number), whatever the batch and the threads."""
import hashlib
import itertools

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches, positions
from tests.helpers import shards


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """23 images in three shards; the blue of image n is n, its label n % 3."""
    folder = shards.write_split(tmp_path_factory.mktemp('records'),
                                *(shards.pictures(range(*ends)) for ends in ((0, 9), (9, 10), (10, 23))))
    return datasets.open_dataset(str(folder), 'train')


def stream(dataset, examples, *, batch_size, seed=7, start_step=0, num_threads=None):
    """The first examples of training, (image, label) one by one."""
    batches = TrainingBatches(dataset, seed=seed, batch_size=batch_size, start_step=start_step, image_size=14,
                               num_threads=num_threads)
    result = []
    for images, labels in itertools.islice(batches, -(-examples // batch_size)):
        assert images.shape == (batch_size, 14, 14, 3) and images.dtype == tf.uint8 and labels.dtype == tf.int64
        result += zip(images.numpy(), labels.numpy().tolist())
    return result[:examples]


def digests(examples):
    return [hashlib.sha256(image.tobytes() + bytes([label])).hexdigest() for image, label in examples]


# Order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [1, 2, 7, 1000])
def test_every_epoch_is_a_permutation(size):
    order = positions(5, 0, 20 * size, size).reshape(20, size)
    np.testing.assert_array_equal(np.sort(order, 1), np.tile(np.arange(size), (20, 1)))
    if size == 1000:  # two random permutations agree in one place on average, whichever two
        agree = [np.sum(a == b) for a, b in itertools.combinations(order, 2)]
        assert max(agree) < 10 and 0.7 < np.mean(agree) < 1.3
        assert np.sum(order[0] == positions(6, 0, size, size)) < 10  # nor do seeds


def test_all_orders_are_equally_likely():
    orders = positions(1, 0, 6000 * 5, 5).reshape(6000, 5)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 120
    chi_square = np.sum((counts - 50) ** 2 / 50)  # expected: 119, standard deviation 15
    assert 70 < chi_square < 170


def test_positions_are_the_same_from_anywhere():
    whole = positions(3, 0, 100, 7)  # 14 epochs, more than are remembered
    for first, count in [(0, 1), (6, 1), (6, 2), (7, 7), (20, 45), (93, 7), (3, 97), (50, 0)]:
        np.testing.assert_array_equal(positions(3, first, count, 7), whole[first:first + count])


def test_positions_are_these():
    """Written down once: with another order no run could be resumed."""
    assert positions(0, 0, 10, 10).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert positions(0, 10, 10, 10).tolist() == [5, 3, 7, 8, 2, 4, 1, 0, 6, 9]
    assert positions(1, 5, 10, 10).tolist() == [0, 8, 6, 1, 4, 0, 6, 5, 3, 4]
    assert positions(2 ** 32, 128 * 10 ** 6, 5, 1_281_167).tolist() == [561296, 808498, 812768, 596146, 339730]


# Training ------------------------------------------------------------------------------------------------


def test_every_example_depends_on_seed_and_number_alone(dataset):
    whole = digests(stream(dataset, 96, batch_size=8, num_threads=1))  # four epochs, none divided by 8
    assert digests(stream(dataset, 96, batch_size=1)) == whole
    assert digests(stream(dataset, 96, batch_size=6, num_threads=4)) == whole
    assert digests(stream(dataset, 96, batch_size=32)) == whole  # a batch of two epochs
    assert digests(stream(dataset, 46, batch_size=10, start_step=5, num_threads=3)) == whole[50:]
    assert len(set(whole)) > 75  # an image comes four times as one of 18 crops: 88 differ on average
    other = digests(stream(dataset, 96, batch_size=8, seed=8))
    assert sum(one == another for one, another in zip(whole, other)) < 8


def test_images_come_in_the_order_of_positions_with_their_labels(dataset):
    examples = stream(dataset, 46, batch_size=4)
    numbers = [int(image[0, 0, 2]) for image, _ in examples]
    assert numbers == positions(7, 0, 46, 23).tolist()
    assert [label for _, label in examples] == [number % 3 for number in numbers]


def test_crops_are_uniform_and_exact(dataset):
    """Each of 3 x 3 corners, mirrored or not, is equally likely; pixels are the stored ones."""
    rows, columns = np.mgrid[:14, :14]
    counts = np.zeros([3, 3, 2])
    for image, _ in stream(dataset, 1800, batch_size=100):
        mirrored = int(image[0, 0, 1] > image[0, 1, 1])
        if mirrored:
            image = image[:, ::-1]
        top, left, number = image[0, 0]
        np.testing.assert_array_equal(image, np.stack([top + rows, left + columns, np.full_like(rows, number)], -1))
        counts[top, left, mirrored] += 1
    assert np.sum((counts - 100) ** 2 / 100) < 40  # chi-square: 17 expected, above 40 once in 700 seeds


def test_the_default_crop_is_alexnets(dataset):
    images, _ = next(iter(TrainingBatches(dataset, seed=0, batch_size=2)))
    assert images.shape == (2, 224, 224, 3)


# Evaluation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('batch_size, sizes', [
    (1, [1] * 23), (5, [5] * 4 + [3]), (22, [22, 1]), (23, [23]), (100, [23])])
def test_evaluation_is_every_image_once_in_order_and_whole(dataset, batch_size, sizes):
    batches = EvaluationBatches(dataset, batch_size=batch_size, image_size=14)
    for _ in range(2):  # it can be iterated again
        images, labels = zip(*batches)
        assert [len(batch) for batch in images] == [len(batch) for batch in labels] == sizes
        assert np.concatenate(labels).tolist() == [number % 3 for number in range(23)]
        images = np.concatenate(images)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, np.stack([tf.io.decode_png(shards.picture(n)) for n in range(23)]))


# Errors in the middle ------------------------------------------------------------------------------------


@pytest.mark.parametrize('num_threads', [1, 32])
def test_a_broken_image_is_named_however_far_reading_is_ahead(tmp_path, num_threads):
    """Its checksum is right. The batches before it come; with many threads, reading is far ahead by then."""
    good, broken = shards.pictures(range(100)), tf.io.encode_jpeg(np.zeros([64, 64, 3], np.uint8)).numpy()[:-20]
    shards.write_split(tmp_path, good[:60] + [shards.example(broken, 1)], good[60:])
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    message = 'train-00000-of-00002, record 60: the image cannot be decoded .* Take it out or replace it'
    before = positions(3, 0, 101, 101).tolist().index(60)
    for batches, expected in (
            (EvaluationBatches(dataset, batch_size=1, image_size=14, num_threads=num_threads), 60),
            (TrainingBatches(dataset, seed=3, batch_size=1, image_size=14, num_threads=num_threads), before)):
        received = 0
        with pytest.raises(ValueError, match=message):
            for _ in batches:
                received += 1
        assert received == expected


def test_a_wrong_label_is_named_when_it_is_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, 'READ_THROUGH', 100)
    monkeypatch.setattr(datasets, 'READ_FIRST', 4)
    good = shards.pictures(range(5))
    shards.write_split(tmp_path, good, [*good, shards.example(shards.picture(0), 9)])
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    for batches in (TrainingBatches(dataset, seed=0, batch_size=2, image_size=14),
                    EvaluationBatches(dataset, batch_size=3, image_size=14)):
        with pytest.raises(ValueError, match='train-00001-of-00002, record 5: label 9 less labels_offset 1 is 8'):
            list(batches)


def test_a_file_that_changes_during_a_run_is_named(tmp_path):
    dataset = datasets.open_dataset(str(shards.write_split(tmp_path, shards.pictures(range(50)))), 'train')
    path = tmp_path / 'train-00000-of-00001'
    content = bytearray(path.read_bytes())
    content[dataset.index.offset[30] + 20] ^= 1
    path.write_bytes(content)
    for batches in (TrainingBatches(dataset, seed=0, batch_size=4, image_size=14),
                    EvaluationBatches(dataset, batch_size=4, image_size=14)):
        with pytest.raises(ValueError, match='train-00000-of-00001, record 30 .*its checksum is wrong'):
            list(batches)
