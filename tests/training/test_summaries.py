"""What --summaries=pictures writes: the batch as the network saw it, the kernels, the weights; at validations alone."""
from pathlib import Path

import numpy as np
import tensorflow as tf

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.data.color_noise import ColorNoise
from alexnet_tf.pictures import kernels
from alexnet_tf.training import run, summaries
from alexnet_tf.training.schedules import Decay
from tests.helpers import small_run

MEAN = np.array([120, 110, 100], np.float32)
NOISE = ColorNoise(np.diag([30, 20, 10]).astype(np.float32))


def events(folder):
    """{plugin: {(tag, step): array}} of a folder's events."""
    found = {}
    for path in Path(folder).glob('events*'):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                found.setdefault(plugin, {})[value.tag, event.step] = tf.make_ndarray(value.tensor)
    return found


def images(array):
    """uint8 [n, height, width, 3] of TensorBoard's list of width, height and PNGs."""
    pixels = np.stack([tf.io.decode_png(encoded) for encoded in array[2:]])
    assert [int(text) for text in array[:2]] == [pixels.shape[2], pixels.shape[1]]
    return pixels


def train(folder, **options):
    dataset, validation = (small_run.first(datasets.open_dataset(datasets.SAMPLE_DIR, split), count)
                           for split, count in (('train', 40), ('validation', 20)))
    state = small_run.begin()
    run.train(state, dataset, validation, train_dir=str(folder), rates=Decay('fixed', 1e-6), seed=3, mean=MEAN,
              noise=NOISE, pace=small_run.pace(3, validate_every=2), log=lambda _: None, num_threads=1, **options)
    return state, dataset


def test_pictures_come_with_validations_alone(tmp_path):
    state, dataset = train(tmp_path, pictures=True)
    found = events(tmp_path)
    assert set(found['images']) == {(name, step) for name in ('conv1', 'batch') for step in (2, 3)}
    assert set(found['histograms']) == {(name, step) for name in state.weights for step in (2, 3)}
    weights = state.weights['small/conv1/weights'].numpy()
    shown, = images(found['images']['conv1', 3])
    mosaic = np.round(255 * kernels.mosaic(kernels.scaled(weights)))
    np.testing.assert_array_equal(shown[::4, ::4], mosaic)
    np.testing.assert_array_equal(shown[3::4, 3::4], mosaic)
    left, right, counts = found['histograms']['small/conv1/weights', 3].T
    assert counts.sum() == weights.size and (left[0], right[-1]) == (weights.min(), weights.max())
    inside = (weights >= left[5]) & (weights < right[5])
    assert counts[5] == inside.sum()
    batch, _ = next(iter(run.pieces(small_run.begin(), dataset, batch_size=8, seed=3, mean=MEAN, num_threads=1)[1](2)))
    seen = preprocessing.training_batch(batch, MEAN, tf.constant([3, 2], tf.int64), noise=NOISE) + MEAN
    np.testing.assert_array_equal(images(found['images']['batch', 3]), np.clip(np.round(seen), 0, 255))


def test_without_them_there_are_numbers_alone(tmp_path):
    train(tmp_path)
    assert set(events(tmp_path)) == {'scalars'}


def test_of_a_large_batch_the_first_images_are_shown_with_their_own_noise():
    batch = np.random.default_rng(1).integers(0, 256, [40, 8, 8, 3]).astype(np.uint8)
    shown = summaries.batch(tf.constant(batch), np.int64(5), mean=MEAN, seed=3, noise=NOISE)
    seen = preprocessing.training_batch(batch, MEAN, tf.constant([3, 5], tf.int64), noise=NOISE) + MEAN
    np.testing.assert_array_equal(shown, np.clip(np.round(seen), 0, 255)[:16])


def test_of_many_weights_a_part_is_taken_evenly():
    class Large:
        weights = {'a': tf.range(700_000.0), 'b': tf.zeros([3, 2])}
    found = summaries.samples(Large)
    assert found['a'].tolist() == list(range(0, 700_000, 3)) and found['b'].shape == (6,)
