"""Scoring counts every example once, whatever the batches, the files and how often it is done."""
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import datasets
from alexnet_tf.data.batches import EvaluationBatches
from alexnet_tf.model import evaluation

COUNT, CLASSES, SIZE = 41, 7, 32


def random_tables():
    """(labels [COUNT], logits [COUNT, CLASSES] of small whole numbers: full of ties)."""
    random = np.random.default_rng(2)
    return random.integers(0, CLASSES, COUNT), random.integers(0, 4, [COUNT, CLASSES]).astype(np.float32)


LABELS, LOGITS = random_tables()


def write_shards(folder, order, sizes):
    """A slim folder: example n is an image of red 6 n. order: of examples; sizes: of shards, written last one first."""
    folder.mkdir()
    (folder / 'labels.txt').write_text(''.join(f'{label + 1}:class {label}\n' for label in range(CLASSES)))
    starts = np.cumsum([0, *sizes])
    for shard in reversed(range(len(sizes))):
        with tf.io.TFRecordWriter(str(folder / f'validation-{shard:05d}-of-{len(sizes):05d}')) as writer:
            for number in order[starts[shard]:starts[shard + 1]]:
                image = np.zeros([40, 50, 3], np.uint8)
                image[..., 0] = 6 * number
                features = {'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(
                    value=[tf.io.encode_png(image).numpy()])), 'image/class/label': tf.train.Feature(
                        int64_list=tf.train.Int64List(value=[LABELS[number] + 1]))}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True))
    return folder


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """The same examples: in order in one file; in two other orders in several files, some very small."""
    root = tmp_path_factory.mktemp('orders')
    shuffled, reversed_ = np.random.default_rng(1).permutation(COUNT), np.arange(COUNT)[::-1]
    return [write_shards(root / 'one', np.arange(COUNT), [COUNT]),
            write_shards(root / 'shuffled', shuffled, [20, 1, 20]),
            write_shards(root / 'reversed', reversed_, [1] * COUNT)]


@functools.cache
def steps():
    """The step that scores, and one whose scores are the numbers of the examples."""
    images = tf_keras.Input([SIZE, SIZE, 3])
    rows = tf_keras.layers.Lambda(lambda images: tf.gather(
        tf.constant(np.c_[LOGITS, np.arange(COUNT)]), tf.cast(tf.round(images[:, 16, 16, 0] / 6), tf.int32)))(images)
    return [evaluation.make_eval_step([(tf_keras.Model(images, outputs), np.zeros(3, np.float32), SIZE)])
            for outputs in (rows[:, :-1], rows[:, -1:])]


def score(folder, batch_size, **kwargs):
    """(Result, the numbers of the examples in the order in which they were scored); goes over the batches twice."""
    dataset = datasets.open_dataset(str(folder), 'validation')
    batches = EvaluationBatches(dataset, batch_size=batch_size, image_size=SIZE, **kwargs)
    step, numbers = steps()
    result, _, labels = evaluation.evaluate(step, batches, len(dataset))
    again, seen, _ = evaluation.evaluate(lambda images, _: numbers(images, tf.zeros(len(images), tf.int64)), batches,
                                         len(dataset), keep_scores=True)
    assert again.num_examples == result.num_examples and len(labels) == len(seen)
    seen = seen[:, 0].astype(int)
    np.testing.assert_array_equal(labels, LABELS[seen])
    return result, seen.tolist()


def rank(row, label):
    return sum(value > row[label] or (value == row[label] and other < label) for other, value in enumerate(row))


@pytest.mark.parametrize('batch_size', [1, 7, 40, COUNT, 100])
def test_counts_do_not_depend_on_batches_files_or_repetition(batch_size, folders):
    ranks = np.array([rank(row, label) for row, label in zip(LOGITS, LABELS)])
    expected = COUNT, (ranks < 1).mean(), (ranks < 5).mean()
    assert 0 < expected[1] < expected[2] < 1
    orders = []
    for folder in folders:
        result, seen = score(folder, batch_size, num_threads=1 if batch_size == 7 else None)
        assert (result.num_examples, result.accuracy, result.recall_5) == expected
        assert sorted(seen) == list(range(COUNT))  # every example, once
        orders.append(seen)
    assert orders[0] == list(range(COUNT)) == orders[2][::-1] and orders[0] != orders[1]
