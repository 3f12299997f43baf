"""Color noise: its kinds, its statistics, and schedules that switch it off."""
import json

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.data.color_noise import IMAGENET_EIGENVECTORS, KINDS, ColorNoise, color_noise
from tests.helpers.commands import call


def test_noise_and_its_division_are_off_when_the_schedule_says_so():
    images = np.random.default_rng(0).integers(0, 256, [3, 224, 224, 3], np.uint8)
    mean, noise = np.array([1, 2, 3], np.float32), ColorNoise(10 * np.eye(3, dtype=np.float32), 1.1)
    plain = preprocessing.training_batch(images, mean, [0, 1])
    off = preprocessing.training_batch(images, mean, [0, 1], noise=noise, noise_on=tf.constant(0.0))
    np.testing.assert_array_equal(off, plain)
    on = preprocessing.training_batch(images, mean, [0, 1], noise=noise, noise_on=tf.constant(1.0))
    np.testing.assert_allclose(on, preprocessing.add_color_noise(plain, [0, 1], noise.axes) / 1.1, rtol=1e-5)
    added = on * 1.1 - plain  # one draw for all pixels of an image, another one for the next
    np.testing.assert_allclose(added - added[:, :1, :1], np.zeros_like(added), atol=1e-3)
    assert len(np.unique(np.round(added[:, 0, 0], 3), axis=0)) == 3


def levels(kind, info=None):
    """Gray levels that the noise has along its axes, relative to what the data are divided by."""
    noise = color_noise(info, scale=0.1, kind=kind)
    return np.linalg.norm(noise.axes, axis=1) / noise.divisor


def test_kinds_of_color_noise():
    """For ImageNet's statistics, as alexnet-2012.md has them."""
    np.testing.assert_allclose(levels('source'), [11.1, 3.4, 1.8], atol=0.05)
    np.testing.assert_allclose(levels('popular'), [5.5, 0.48, 0.11], atol=0.06)
    np.testing.assert_allclose(levels('deviations'), [12.2, 3.7, 2.0], atol=0.05)
    # the paper's eigenvalues, of pixels at 0..1: 121.78^2 / 255^2 * 0.1 * 255
    np.testing.assert_allclose(levels('paper'), [5.82, 0.54, 0.15], atol=0.01)
    info = {'rgb_covariance_eigenvalues': [1.0, 4.0, 9.0], 'rgb_covariance_eigenvectors': np.eye(3).tolist()}
    np.testing.assert_allclose(levels('deviations', info), [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(levels('popular', info), levels('popular'), rtol=1e-6)  # whatever the data
    assert color_noise(info, scale=0) is None
    assert set(KINDS) == {'deviations', 'source', 'paper', 'popular'}


def test_imagenets_axes_stand_upright_on_each_other():
    """As published they have four digits; another sign or number would show."""
    axes = np.array(IMAGENET_EIGENVECTORS)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-3)
    assert ColorNoise(axes).divisor == 1


def test_recovered_axes_give_the_noise_they_should(tmp_path):
    """Images with known axes and deviations -> build_tfrecords' statistics -> axes of the noise."""
    Image = pytest.importorskip('PIL.Image')
    random = np.random.default_rng(1)
    axes, _ = np.linalg.qr(random.normal(size=[3, 3]))
    deviations = np.array([8.0, 16.0, 40.0])
    folder = tmp_path / 'images' / 'train' / 'one'
    folder.mkdir(parents=True)
    for number in range(40):
        pixels = 128 + (random.normal(size=[64 * 64, 3]) * deviations) @ axes.T
        pixels = pixels.reshape(64, 64, 3)
        Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8)).resize((256, 256), 0).save(
            folder / f'{number}.png')
    call('alexnet_tf.build_tfrecords', f'--input_dir={tmp_path / "images"}', f'--output_dir={tmp_path / "records"}',
         '--num_processes=1', check=True)
    axes_found = color_noise(json.loads((tmp_path / 'records' / 'dataset_info.json').read_text()), scale=0.1).axes
    np.testing.assert_allclose(np.linalg.norm(axes_found, axis=1), 0.1 * deviations, rtol=0.05)
    for row, axis in zip(axes_found, axes.T):
        assert abs(row @ axis) / np.linalg.norm(row) > 0.999
