"""The augmentations' picture holds what training and evaluation compute, each image under its name."""
import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import color_noise, preprocessing
from alexnet_tf.pictures import augmentations


@pytest.fixture(scope='module')
def encoded():
    pixels = np.random.default_rng(1).integers(0, 256, [30, 60, 3]).astype(np.uint8)
    return tf.io.encode_png(pixels).numpy()


@pytest.fixture(scope='module')
def augmented(encoded):
    return augmentations.augment(encoded, seed=3, size=28, noise=color_noise.color_noise(scale=0.1))


def test_crops_are_the_examples_of_training_and_noise_is_that_of_its_step(encoded, augmented):
    for number in range(5):
        crop = preprocessing.training_image(encoded, tf.constant([3, number], tf.int64), size=28)
        np.testing.assert_array_equal(augmented.crops[number], crop)
        added = np.float32(augmented.noisy[number]) - augmented.crops[number]
        inside = (augmented.noisy[number] > 0) & (augmented.noisy[number] < 255)
        for channel in range(3):  # one draw for all pixels of an image, rounded
            assert np.ptp(added[..., channel][inside[..., channel]]) <= 1
    assert (augmented.noisy != augmented.crops).any()


def test_views_are_corners_and_center_of_the_square_and_their_mirrors(augmented):
    square, views = augmented.square, augmented.views
    assert square.shape == (32, 32, 3)
    for number, (top, left) in enumerate(((0, 0), (0, 4), (2, 2), (4, 0), (4, 4))):
        np.testing.assert_array_equal(views[number], square[top:top + 28, left:left + 28])
        np.testing.assert_array_equal(views[5 + number], views[number][:, ::-1])


def test_each_image_stands_under_its_name(augmented):
    figure = augmentations.draw(augmented, 'title')
    shown = {axes.get_title(loc='left'): np.asarray(axes.images[0].get_array()) for axes in figure.axes}
    assert len(shown) == 22
    for name, pixels in {
            'photograph, 60×30': augmented.photograph, 'square of 32×32': augmented.square,
            'example 2': augmented.crops[1], 'example 5, noise': augmented.noisy[4], 'top left': augmented.views[0],
            'bottom right': augmented.views[4], 'center, mirrored': augmented.views[7]}.items():
        np.testing.assert_array_equal(shown[name], pixels, name)



def test_scale_jitter_and_no_noise(encoded):
    found = augmentations.augment(encoded, seed=3, size=28, resize_side_max=64)
    np.testing.assert_array_equal(found.noisy, found.crops)
    plain = augmentations.augment(encoded, seed=3, size=28)
    assert (found.crops != plain.crops).any() and (found.square == plain.square).all()
