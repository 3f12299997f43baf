"""Every step of preprocessing, eagerly and inside tf.data, against NumPy written from the description."""
import io

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import preprocessing
from tests.conftest import ROOT

RANDOM = np.random.default_rng(0)
COORDINATES = np.stack([*np.meshgrid(np.arange(256), np.arange(256), indexing='ij'), np.zeros([256, 256])], -1)
COORDINATES = COORDINATES.astype(np.uint8)


def eagerly_and_in_tf_data(function, *arguments):
    """The function's result; asserts that both ways of running it agree."""
    eager = function(*map(tf.constant, arguments)).numpy()
    dataset = tf.data.Dataset.from_tensors(tuple(map(tf.constant, arguments))).map(function)
    np.testing.assert_array_equal(next(iter(dataset)).numpy(), eager)
    return eager


def triangle_weights(size, new_size):
    """[new_size, size]: each row a triangle around the half-pixel centre, widened when shrinking."""
    scale = new_size / size
    centres = (np.arange(new_size) + 0.5) / scale
    distance = np.abs(np.arange(size) + 0.5 - centres[:, None]) * min(scale, 1)
    weights = np.maximum(0, 1 - distance)
    return weights / weights.sum(1, keepdims=True)


def numpy_square(image, side):
    height, width = image.shape[:2]
    shorter = min(height, width)
    new = [int(np.floor(length * side / shorter + 0.5)) for length in (height, width)]
    resized = np.einsum('yh,hwc->ywc', triangle_weights(height, new[0]), image.astype(np.float64))
    resized = np.einsum('xw,ywc->yxc', triangle_weights(width, new[1]), resized)
    top, left = (new[0] - side) // 2, (new[1] - side) // 2
    return resized[top:top + side, left:left + side]


@pytest.mark.parametrize('height, width', [(300, 401), (401, 300), (256, 256), (224, 224), (32, 32), (1, 1), (257, 900),
                                           (500, 375)])
def test_resized_square_is_the_triangle_filter(height, width):
    image = RANDOM.integers(0, 256, [height, width, 3], np.uint8)
    square = eagerly_and_in_tf_data(lambda image: preprocessing.resized_square(image, 256), image)
    expected = numpy_square(image, 256)
    assert square.shape == (256, 256, 3) and square.dtype == np.uint8
    assert np.abs(square - expected).max() < 0.52  # half a grey level of rounding, and float32
    if height == width == 256:
        np.testing.assert_array_equal(square, image)


def test_a_crop_is_that_part_of_the_square_and_tf_images_numbers():
    image = RANDOM.integers(0, 256, [333, 500, 3], np.uint8)
    whole = preprocessing.resized_square(tf.constant(image), 256).numpy().astype(int)
    resized = tf.image.resize(image, [256, 384], antialias=True).numpy()[:, 64:320]
    assert np.abs(whole - resized).max() < 0.52
    for corner in ((0, 0), (32, 32), (5, 17)):
        crop = eagerly_and_in_tf_data(
            lambda image, corner=corner: preprocessing.resized_square(image, 256, corner=corner, size=224), image)
        part = whole[corner[0]:corner[0] + 224, corner[1]:corner[1] + 224]
        assert (crop != part).mean() < 1e-3 and np.abs(crop - part).max() <= 1


@pytest.mark.parametrize('kind', ['rgb', 'progressive', 'grey', 'cmyk', 'png'])
def test_decode_gives_pillows_pixels(kind):
    image_module = pytest.importorskip('PIL.Image', reason='Pillow is the independent decoder')
    smooth = tf.image.resize(RANDOM.uniform(0, 255, [5, 6, 3]), [90, 120], 'bicubic')
    image = image_module.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))
    image = image.convert({'grey': 'L', 'cmyk': 'CMYK'}.get(kind, 'RGB'))
    file = io.BytesIO()
    image.save(file, 'PNG' if kind == 'png' else 'JPEG', **{'progressive': True} if kind == 'progressive' else {})
    decoded = eagerly_and_in_tf_data(preprocessing.decode, file.getvalue()).astype(int)
    wanted = np.asarray(image_module.open(file).convert('RGB')).astype(int)
    assert decoded.shape == (90, 120, 3)
    assert np.abs(decoded - wanted).max() <= (0 if kind == 'png' else 3)


def test_decode_of_real_photographs():
    image_module = pytest.importorskip('PIL.Image', reason='Pillow is the independent decoder')
    folder = ROOT.parent / 'shared' / 'data' / 'imagenet_samples'
    if not folder.is_dir():
        pytest.skip('the photographs of ../shared/data are not here')
    for path in sorted(folder.iterdir())[:8]:
        decoded = preprocessing.decode(path.read_bytes()).numpy().astype(int)
        difference = np.abs(decoded - np.asarray(image_module.open(path).convert('RGB')).astype(int))
        assert difference.mean() < 0.5, path.name


def test_training_image_is_a_function_of_its_seed():
    encoded = tf.io.encode_png(COORDINATES).numpy()
    def crop(seed):
        return eagerly_and_in_tf_data(preprocessing.training_image, encoded, np.array(seed, np.int64))
    crops = [crop([3, number]) for number in range(12)]
    assert len({image.tobytes() for image in crops}) == 12
    np.testing.assert_array_equal(crop([3, 5]), crops[5])
    assert crop([4, 5]).tobytes() != crops[5].tobytes()
    for image in crops:
        top, left = image[0, 0, 0], min(image[0, 0, 1], image[0, -1, 1])
        region = COORDINATES[top:top + 224, left:left + 224]
        assert np.array_equal(image, region) or np.array_equal(image, region[:, ::-1])


def test_evaluation_image_and_its_views():
    encoded = tf.io.encode_png(COORDINATES).numpy()
    square = eagerly_and_in_tf_data(preprocessing.evaluation_image, encoded)
    np.testing.assert_array_equal(square, COORDINATES)
    images = np.stack([COORDINATES, 255 - COORDINATES])
    one, = preprocessing.views(images, 224, 1)
    np.testing.assert_array_equal(one, images[:, 16:240, 16:240])
    corners = [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]  # the original program's order
    expected = [images[:, top:top + 224, left:left + 224] for top, left in corners]
    expected += [view[:, :, ::-1] for view in expected]
    np.testing.assert_array_equal(preprocessing.views(tf.constant(images), 224, 10), expected)
    with pytest.raises(ValueError, match='views is 5'):
        preprocessing.views(images, 224, 5)


def test_mirror():
    image = COORDINATES[:4, :7]
    np.testing.assert_array_equal(eagerly_and_in_tf_data(preprocessing.mirror, image, True), image[:, ::-1])
    np.testing.assert_array_equal(eagerly_and_in_tf_data(preprocessing.mirror, image, False), image)


def test_subtract_mean():
    images = RANDOM.integers(0, 256, [2, 224, 224, 3], np.uint8)
    rgb = np.array([120.5, 110.25, 100], np.float32)
    np.testing.assert_array_equal(
        eagerly_and_in_tf_data(lambda images: preprocessing.subtract_mean(images, rgb), images), images - rgb)
    mean_image = RANDOM.uniform(0, 255, [256, 256, 3]).astype(np.float32)
    np.testing.assert_array_equal(
        eagerly_and_in_tf_data(lambda images: preprocessing.subtract_mean(images, mean_image), images),
        images - mean_image[16:240, 16:240])


def test_colour_noise_has_the_training_sets_covariance():
    mixed = RANDOM.normal(size=[3, 3]) * [[40], [20], [10]]
    covariance = mixed.T @ mixed
    axes = preprocessing.noise_axes(*np.linalg.eigh(covariance), scale=0.1)
    images = np.zeros([6000, 2, 2, 3], np.float32)
    noise = preprocessing.add_colour_noise(images, [1, 2], axes).numpy()
    np.testing.assert_array_equal(noise, np.broadcast_to(noise[:, :1, :1], noise.shape))  # one draw an image
    measured = np.cov(noise[:, 0, 0].T)
    np.testing.assert_allclose(measured, 0.01 * covariance, atol=0.05 * 0.01 * np.trace(covariance))
    assert np.abs(noise[:, 0, 0].mean(0)).max() < 0.1 * np.sqrt(np.trace(covariance)) / 20


def test_imagenets_colour_noise_is_the_original_programs_before_its_division():
    axes = preprocessing.noise_axes(preprocessing.IMAGENET_EIGENVALUES, preprocessing.IMAGENET_EIGENVECTORS).numpy()
    # alexnet-2012: 11.1, 3.4, 1.8 grey levels after the division by 1.1
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1) / 1.1, [11.1, 3.4, 1.8], atol=0.05)
    np.testing.assert_allclose(np.abs(axes[0]) / np.linalg.norm(axes[0]), [0.5635, 0.5762, 0.5920], atol=0.01)


def test_colour_noise_of_a_share_is_that_of_the_whole_batch():
    images = RANDOM.uniform(0, 255, [8, 3, 3, 3]).astype(np.float32)
    axes = np.eye(3, dtype=np.float32) * 10
    def noisy(part, **kwargs):
        return preprocessing.add_colour_noise(part, [5, 6], axes, **kwargs).numpy()
    whole = noisy(images)
    np.testing.assert_array_equal(noisy(images[4:6], first_row=4, rows=8), whole[4:6])
    assert not np.array_equal(preprocessing.add_colour_noise(images, [5, 7], axes), whole)


def test_training_batch_is_its_steps():
    images = RANDOM.integers(0, 256, [3, 224, 224, 3], np.uint8)
    mean, axes = np.array([1, 2, 3], np.float32), np.eye(3, dtype=np.float32)
    plain = preprocessing.training_batch(images, mean, [0, 0])
    np.testing.assert_array_equal(plain, images - mean)
    np.testing.assert_array_equal(preprocessing.training_batch(images, mean, [0, 1], noise_axes=axes),
                                  preprocessing.add_colour_noise(plain, [0, 1], axes))
