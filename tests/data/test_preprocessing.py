"""Every step of preprocessing, eagerly and inside tf.data, against NumPy written from the description."""
import io

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.data.color_noise import ColorNoise, color_noise
from tests.helpers.processes import ROOT

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
    """[new_size, size]: each row a triangle around the half-pixel center, widened when shrinking."""
    scale = new_size / size
    centers = (np.arange(new_size) + 0.5) / scale
    distance = np.abs(np.arange(size) + 0.5 - centers[:, None]) * min(scale, 1)
    weights = np.maximum(0, 1 - distance)
    return weights / weights.sum(1, keepdims=True)


def numpy_square(image, side, resize_mode='shorter_side'):
    height, width = image.shape[:2]
    shorter = min(height, width)
    new = [int(np.floor(length * side / shorter + 0.5)) for length in (height, width)]
    new = [side, side] if resize_mode == 'warp' else new
    resized = np.einsum('yh,hwc->ywc', triangle_weights(height, new[0]), image.astype(np.float64))
    resized = np.einsum('xw,ywc->yxc', triangle_weights(width, new[1]), resized)
    top, left = (new[0] - side) // 2, (new[1] - side) // 2
    return resized[top:top + side, left:left + side]


@pytest.mark.parametrize('height, width', [(75, 101), (101, 75), (64, 64), (56, 56), (8, 8), (1, 1), (65, 225),
                                           (125, 94), (125, 93), (93, 125), (128, 129), (1, 7)])
def test_resized_square_is_the_triangle_filter(height, width):
    image = RANDOM.integers(0, 256, [height, width, 3], np.uint8)
    square = eagerly_and_in_tf_data(lambda image: preprocessing.resized_square(image, 64), image)
    expected = numpy_square(image, 64)
    assert square.shape == (64, 64, 3) and square.dtype == np.uint8
    assert np.abs(square - expected).max() < 0.52  # half a gray level of rounding, and float32
    if height == width == 64:
        np.testing.assert_array_equal(square, image)


@pytest.mark.parametrize('height, width', [(75, 101), (101, 64), (64, 30), (64, 64), (1, 7), (8, 200)])
def test_warping_resizes_both_sides_whatever_their_ratio(height, width):
    image = RANDOM.integers(0, 256, [height, width, 3], np.uint8)
    square = eagerly_and_in_tf_data(lambda image: preprocessing.resized_square(image, 64, resize_mode='warp'), image)
    assert np.abs(square - numpy_square(image, 64, 'warp')).max() < 0.52
    crop = preprocessing.resized_square(tf.constant(image), 64, corner=(3, 7), size=50, resize_mode='warp').numpy()
    assert np.abs(crop.astype(int) - square[3:53, 7:57]).max() <= 1


@pytest.mark.parametrize('height, width', [(300, 400), (500, 333), (200, 256)])
def test_a_warped_image_has_pillows_pixels(height, width):
    image_module = pytest.importorskip('PIL.Image', reason='Pillow is the independent program')
    image = np.clip(tf.image.resize(RANDOM.uniform(0, 255, [9, 7, 3]), [height, width], 'bicubic'), 0, 255)
    encoded = tf.io.encode_png(image.astype(np.uint8))
    wanted = image_module.fromarray(image.astype(np.uint8)).resize((256, 256), image_module.Resampling.BILINEAR)
    found = preprocessing.evaluation_image(encoded, resize_mode='warp').numpy().astype(int)
    assert np.abs(found - np.asarray(wanted)).max() <= 1
    plain = preprocessing.training_image(encoded, [0, 0], augment=False, resize_mode='warp').numpy()
    np.testing.assert_array_equal(plain, found[16:240, 16:240])


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


@pytest.mark.parametrize('height, width', [(400, 300), (641, 480), (280, 280), (17, 32)])
def test_the_square_of_any_shape_has_tf_images_numbers(height, width):
    image = RANDOM.integers(0, 256, [height, width, 3], np.uint8)
    side = preprocessing.square_side(64)
    longer = round(max(height, width) * side / min(height, width))  # no ties among these
    new = [longer if length > min(height, width) else side for length in (height, width)]
    top, left = (new[0] - side) // 2, (new[1] - side) // 2
    resized = tf.image.resize(image, new, antialias=True).numpy()[top:top + side, left:left + side]
    assert np.abs(preprocessing.resized_square(tf.constant(image), side).numpy() - resized).max() < 0.52


def test_square_side_is_in_proportion():
    # 256 / 224 = 8 / 7; Caffe takes its 227 pixels out of 256
    assert [preprocessing.square_side(size) for size in (224, 227, 64, 112, 7)] == [256, 256, 73, 128, 8]


def test_jitter_begins_at_the_square_without_it():
    preprocessing.check_resize_side_max(256, 224)
    preprocessing.check_resize_side_max(None, 224)
    with pytest.raises(ValueError, match='--resize_side_max=255; for crops of 224 pixels it must be at least 256'):
        preprocessing.check_resize_side_max(255, 224)


def png_header(width, height):
    return b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + width.to_bytes(4, 'big') + height.to_bytes(4, 'big') + bytes(13)


@pytest.mark.parametrize('width, height, message', [  # at most 89,478,485 pixels, 3277 * 27305, and 65,535 a side
    (3277, 27305, 'PNG'), (2008, 44561, r'the image has\W+89478488\W+pixels; at most 89478485 are'), (1, 65535, 'PNG'),
    (1, 65536, r'the PNG has\W+65536 1\W+pixels a side; it must be 1 to 65535'), (65536, 1, 'pixels a side'),
    (0, 1, 'pixels a side'), (1, 0, 'pixels a side')])
def test_sizes_beyond_the_limits_are_refused_from_the_header(width, height, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as raised:
        preprocessing.decode(png_header(width, height))
    assert (message == 'PNG') == ('assertion failed' not in str(raised.value))


@pytest.mark.parametrize('kind', ['rgb', 'progressive', 'gray', 'cmyk', 'png'])
def test_decode_gives_pillows_pixels(kind):
    image_module = pytest.importorskip('PIL.Image', reason='Pillow is the independent decoder')
    smooth = tf.image.resize(RANDOM.uniform(0, 255, [5, 6, 3]), [90, 120], 'bicubic')
    image = image_module.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))
    image = image.convert({'gray': 'L', 'cmyk': 'CMYK'}.get(kind, 'RGB'))
    file = io.BytesIO()
    options = {'progressive': True} if kind == 'progressive' else {}
    image.save(file, 'PNG' if kind == 'png' else 'JPEG', **options)
    decoded = eagerly_and_in_tf_data(preprocessing.decode, file.getvalue()).astype(int)
    wanted = np.asarray(image_module.open(file).convert('RGB')).astype(int)
    assert decoded.shape == (90, 120, 3)
    assert np.abs(decoded - wanted).max() <= (0 if kind == 'png' else 3)


@pytest.mark.parametrize('kind, message', [
    ('GIF', 'it is neither JPEG nor PNG'), ('BMP', 'it is neither JPEG nor PNG'),
    ('WEBP', 'it is neither JPEG nor PNG'), ('JPEG cut off', 'Invalid JPEG data')])
def test_what_cannot_be_decoded_is_an_error(kind, message):
    """TensorFlow's own decode_jpeg takes GIF and BMP; Batches make an error that names the record of this one."""
    image_module = pytest.importorskip('PIL.Image', reason='Pillow writes the images')
    file = io.BytesIO()
    image_module.fromarray(COORDINATES).save(file, kind.replace(' cut off', ''))
    encoded = file.getvalue()[:500 if kind == 'JPEG cut off' else None]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        preprocessing.decode(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(tf.data.Dataset.from_tensors(encoded).map(preprocessing.evaluation_image)))


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

    def crop(number, seed=3):
        return preprocessing.training_image(encoded, tf.stack([tf.constant(seed, tf.int64), number]))
    crops = [image.numpy() for image in tf.data.Dataset.range(400).map(crop, tf.data.AUTOTUNE)]
    np.testing.assert_array_equal(crop(np.int64(5)), crops[5])
    assert crop(np.int64(5), seed=4).numpy().tobytes() != crops[5].tobytes()
    assert len({image.tobytes() for image in crops}) > 300  # of 2 x 33 x 33
    seen = []
    for image in crops:
        top, left = int(image[0, 0, 0]), int(min(image[0, 0, 1], image[0, -1, 1]))
        region = COORDINATES[top:top + 224, left:left + 224]
        assert np.array_equal(image, region) or np.array_equal(image, region[:, ::-1])
        seen.append((top, left, image[0, 0, 1] > image[0, -1, 1]))
    tops, lefts, mirrored = zip(*seen)
    assert set(tops) == set(lefts) == set(range(33)) and 0.4 < np.mean(mirrored) < 0.6


def test_crops_are_those_of_runs_before():
    """A run that goes on with another version of this code sees the crops that it would have seen."""
    encoded = tf.io.encode_png(COORDINATES).numpy()
    for number in range(8):
        seed = tf.constant([3, number], tf.int64)
        top, left, mirror, _ = tf.random.stateless_uniform(
            [4], tf.random.experimental.stateless_fold_in(seed, 1)).numpy()
        region = COORDINATES[int(33 * top):, int(33 * left):][:224, :224]
        expected = region[:, ::-1] if mirror < 0.5 else region
        np.testing.assert_array_equal(preprocessing.training_image(encoded, seed), expected)


def test_training_image_of_another_size():
    # A square of 73 pixels stays as it is, so that crops of 64 show where they come from: offsets 0..9.
    encoded = tf.io.encode_png(COORDINATES[:73, :73])
    seeds = tf.data.Dataset.range(150).map(lambda number: [tf.constant(9, tf.int64), number])
    seen = set()
    for image in seeds.map(lambda *seed: preprocessing.training_image(encoded, seed, size=64)).as_numpy_iterator():
        corner = image[0, 0, 0], min(image[0, 0, 1], image[0, -1, 1])
        region = COORDINATES[corner[0]:, corner[1]:][:64, :64]
        assert np.array_equal(image, region) or np.array_equal(image, region[:, ::-1])
        seen |= {('top', int(corner[0])), ('left', int(corner[1]))}
    assert seen == {(edge, offset) for edge in ('top', 'left') for offset in range(10)}


def test_jitter_draws_both_ends():
    """Of squares of 8 or 9 pixels: crops of those that stay at 8 are parts of the image."""
    image = RANDOM.integers(0, 256, [8, 8, 3], np.uint8)
    parts = {image[top:top + 7, left:left + 7][:, ::turn].tobytes()
             for top in (0, 1) for left in (0, 1) for turn in (1, -1)}
    encoded = tf.io.encode_png(image)
    stayed = [preprocessing.training_image(encoded, [3, number], size=7, resize_side_max=9).numpy().tobytes() in parts
              for number in range(30)]
    assert 5 < sum(stayed) < 25


def test_a_warped_training_image():
    image = RANDOM.integers(0, 256, [40, 60, 3], np.uint8)
    square = preprocessing.resized_square(image, 37, resize_mode='warp').numpy().astype(int)
    crops = np.stack([square[top:top + 32, left:left + 32][:, ::turn]
                      for top in range(6) for left in range(6) for turn in (1, -1)])
    for number in range(3):
        found = preprocessing.training_image(tf.io.encode_png(image), [3, number], size=32, resize_mode='warp')
        assert np.abs(crops - found).max((1, 2, 3)).min() <= 1  # halves are rounded either way


def test_a_jpegs_crop_is_a_crop_of_the_jpeg():
    """Decoded in part, with the same arithmetic; without subsampled colors no pixel depends on what is beside it."""
    image = tf.image.resize(RANDOM.uniform(0, 255, [12, 12, 3]), [64, 64])
    encoded = tf.io.encode_jpeg(tf.cast(image, tf.uint8), chroma_downsampling=False)
    np.testing.assert_array_equal(preprocessing.decoded_square(encoded, 64, corner=(3, 5), size=32),
                                  preprocessing.decode(encoded)[3:35, 5:37])


def test_the_reason_of_an_error_is_without_names_of_operations():
    error = tf.errors.InvalidArgumentError(None, None, '{{function_node\nf}} it is neither [Op:Case] name: \nx')
    assert preprocessing.reason(error) == 'it is neither'


def test_the_middle_of_images_that_are_no_squares():
    np.testing.assert_array_equal(preprocessing.central_crop(COORDINATES[:10, :24], 4), COORDINATES[3:7, 10:14])
    images = RANDOM.uniform(0, 255, [2, 3, 5, 3]).astype(np.float32)
    np.testing.assert_array_equal(preprocessing.subtract_mean(images, [1, 2, 3]), images - np.float32([1, 2, 3]))


def test_no_two_random_steps_share_a_seed():
    # Crop, mirror, noise and dropout of neighboring seeds and examples: no number is drawn twice.
    seeds = [preprocessing.stream(tf.constant([seed, number], tf.int64), step).numpy().tolist()
             for seed in (0, 1, 2) for number in range(40) for step in (1, 2, 3, 4)]
    assert len({tuple(seed) for seed in seeds}) == 3 * 40 * 4


def test_crop_mirror_and_noise_do_not_follow_one_another():
    side, count = 8, 1500  # small images: crops of 7 out of 8, offsets 0 and 1
    encoded = tf.io.encode_png(COORDINATES[:side, :side])
    def draw(number):
        seed = tf.stack([tf.constant(0, tf.int64), number])
        noise = preprocessing.add_color_noise(tf.zeros([1, 1, 1, 3]), seed, np.eye(3))
        return preprocessing.training_image(encoded, seed, size=7), noise[0, 0, 0]
    crops, noise = next(iter(tf.data.Dataset.range(count).map(draw).batch(count)))
    crops, noise = crops.numpy().astype(int), noise.numpy()
    mirrored = crops[:, 0, 0, 1] > crops[:, 0, -1, 1]
    # With the noise's size too: Box and Muller take it from a uniform draw of the same seed.
    draws = np.column_stack([crops[:, 0, 0, 0], crops[:, 0, :, 1].min(1), mirrored, noise])
    assert np.abs(np.corrcoef(draws.T) - np.eye(6)).max() < 4 / np.sqrt(count)
    sizes = np.column_stack([draws[:, :3], np.abs(noise).sum(1)])
    assert np.abs(np.corrcoef(sizes.T) - np.eye(4)).max() < 4 / np.sqrt(count)
    assert np.abs(draws[:, :3].mean(0) - 0.5).max() < 2 / np.sqrt(count)


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


def test_imagenets_mean_is_near_the_one_that_others_published():
    """Theirs are of other crops: 123.68, 116.779, 103.939."""
    np.testing.assert_allclose(preprocessing.IMAGENET_MEAN_RGB, [123.68, 116.779, 103.939], atol=4)


def test_subtract_mean():
    images = RANDOM.integers(0, 256, [2, 224, 224, 3], np.uint8)
    rgb = np.array([120.5, 110.25, 100], np.float32)
    np.testing.assert_array_equal(
        eagerly_and_in_tf_data(lambda images: preprocessing.subtract_mean(images, rgb), images), images - rgb)
    mean_image = RANDOM.uniform(0, 255, [256, 256, 3]).astype(np.float32)
    np.testing.assert_array_equal(
        eagerly_and_in_tf_data(lambda images: preprocessing.subtract_mean(images, mean_image), images),
        images - mean_image[16:240, 16:240])


def noise_axes(values, vectors, scale):
    info = {'rgb_covariance_eigenvalues': values.tolist(), 'rgb_covariance_eigenvectors': vectors.tolist()}
    return color_noise(info, scale=scale).axes


def test_color_noise_has_the_training_sets_covariance():
    mixed = RANDOM.normal(size=[3, 3]) * [[40], [20], [10]]
    covariance = mixed.T @ mixed
    values, vectors = np.linalg.eigh(covariance)
    axes = noise_axes(values, vectors, scale=0.1)
    images = np.zeros([6000, 2, 2, 3], np.float32)
    noise = preprocessing.add_color_noise(images, [1, 2], axes).numpy()
    np.testing.assert_array_equal(noise, np.broadcast_to(noise[:, :1, :1], noise.shape))  # one draw an image
    measured = np.cov(noise[:, 0, 0].T)
    np.testing.assert_allclose(measured, 0.01 * covariance, atol=0.05 * 0.01 * np.trace(covariance))
    assert np.abs(noise[:, 0, 0].mean(0)).max() < 0.1 * np.sqrt(np.trace(covariance)) / 20


def test_imagenets_color_noise_is_the_original_programs_before_its_division():
    axes = color_noise().axes
    # alexnet-2012: 11.1, 3.4, 1.8 gray levels after the division by 1.1
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1) / 1.1, [11.1, 3.4, 1.8], atol=0.05)
    np.testing.assert_allclose(np.abs(axes[0]) / np.linalg.norm(axes[0]), [0.5635, 0.5762, 0.5920], atol=0.01)


def test_color_noise_of_a_share_is_that_of_the_whole_batch():
    images = RANDOM.uniform(0, 255, [8, 3, 3, 3]).astype(np.float32)
    axes = np.eye(3, dtype=np.float32) * 10
    def noisy(part, **kwargs):
        return preprocessing.add_color_noise(part, [5, 6], axes, **kwargs).numpy()
    whole = noisy(images)
    np.testing.assert_array_equal(noisy(images[4:6], first_row=4, rows=8), whole[4:6])
    assert not np.array_equal(preprocessing.add_color_noise(images, [5, 7], axes), whole)
    np.testing.assert_array_equal(
        eagerly_and_in_tf_data(lambda images: preprocessing.add_color_noise(images, [5, 6], axes), images), whole)


def test_noise_axes_are_the_paper_with_deviations_for_variances():
    values, vectors = np.array([900.0, 16.0, 4.0]), np.linalg.qr(RANDOM.normal(size=[3, 3]))[0]
    axes = noise_axes(values, vectors, scale=0.2)
    alphas = np.array([0.5, -2.0, 1.0])
    # The paper's sum over p_i alpha_i lambda_i, column i of `vectors` for p_i, sqrt(lambda_i) for lambda_i
    expected = vectors @ (0.2 * alphas * np.sqrt(values))
    np.testing.assert_allclose(alphas @ axes, expected, rtol=1e-5, atol=1e-6)


def test_training_batch_is_its_steps():
    images = RANDOM.integers(0, 256, [3, 224, 224, 3], np.uint8)
    mean, axes = np.array([1, 2, 3], np.float32), np.eye(3, dtype=np.float32)
    noise = ColorNoise(axes, divisor=1.5)
    plain = preprocessing.training_batch(images, mean, [0, 0])
    np.testing.assert_array_equal(plain, images - mean)
    noisy = preprocessing.training_batch(images, mean, [0, 1], noise=noise)
    np.testing.assert_array_equal(noisy, preprocessing.add_color_noise(plain, [0, 1], axes) / 1.5)
    np.testing.assert_array_equal(preprocessing.training_batch(images, mean, [0, 1], noise=noise, noise_on=0.0), plain)
    twice = preprocessing.training_batch(images, mean, [0, 1], noise=ColorNoise(axes, divisor=2.0))
    np.testing.assert_allclose(twice, noisy * (1.5 / 2), rtol=1e-6)
    part = preprocessing.training_batch(images[1:], mean, [0, 1], noise=noise, first_row=1, rows=3)
    np.testing.assert_array_equal(part, noisy[1:])  # the share of a device
