"""From encoded images to what the network sees: the paper's sections 2 and 4.1.

Steps on single images run inside tf.data and end in uint8. Steps on batches (mean, color noise) run inside the train
or evaluation step. Random steps are pure functions of a seed. Where the original 2012 program differs, it says so.
"""
import re

import tensorflow as tf

# ImageNet's, 0..255, from the authors' own metadata; for folders without statistics of their own.
IMAGENET_MEAN_RGB = (127.30, 119.72, 104.91)
DCT_METHOD = 'INTEGER_ACCURATE'
MAX_PIXELS = 89_478_485  # 256 MiB of RGB, as Pillow's first limit
MAX_SIDE = 65_535  # the longest of a JPEG; a PNG's may be longer than this can multiply


def square_side(size):
    """Side of the square from which crops of `size` are taken: 256 for 224 and Caffe's 227, else in proportion."""
    return 256 if size == 227 else round(size * 256 / 224)


def check_resize_side_max(resize_side_max, size):
    """Raises ValueError when squares of at most resize_side_max (None: no jitter) have no room for crops of size."""
    if resize_side_max and resize_side_max < square_side(size):
        raise ValueError(f'--resize_side_max={resize_side_max}; for crops of {size} pixels it must be at least '
                         f'{square_side(size)}.')


def training_image(encoded, seed, *, size=224, resize_side_max=None, augment=True, resize_mode='shorter_side'):
    """Decode, a random crop out of the central square, a random mirror.

    Args:
      encoded: string [], a JPEG or PNG. seed: int [2]; crop and mirror depend on it alone.
      size: side of the crop in pixels; the square's is `square_side(size)` (256 for 224).
      resize_side_max: the square's side is drawn from square_side(size) up to this (slim's vgg_preprocessing: 256 to
        512); None: no scale jitter, as in the paper.
      augment: False: always the central crop, never mirrored.
      resize_mode: see `resized_square`.

    Returns: uint8 [size, size, 3]. Raises: as `decode`.
    """
    side = square_side(size)
    if not augment:
        return central_crop(decoded_square(encoded, side, resize_mode=resize_mode), size)
    draws = tf.random.stateless_uniform([4], stream(seed, 1))  # [0, 1): top, left, mirror, scale

    def one_of(draw, number):
        return tf.cast(draw * tf.cast(number, tf.float32), tf.int32)
    if resize_side_max:
        side += one_of(draws[3], resize_side_max - side + 1)
    # 33 offsets for 224 of 256; the paper's "2048" is 32 * 32 * 2
    image = decoded_square(encoded, side, corner=one_of(draws[:2], side - size + 1), size=size,
                           resize_mode=resize_mode)
    return tf.cond(draws[2] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def evaluation_image(encoded, *, size=224, resize_mode='shorter_side'):
    """The square of which `views` takes crops: uint8 [side, side, 3], side = square_side(size)."""
    return decoded_square(encoded, square_side(size), resize_mode=resize_mode)


def training_batch(images, mean, seed, *, noise=None, noise_on=1.0, first_row=0, rows=None):
    """uint8 images [batch, size, size, 3] as float32, less the mean, with color noise, and divided.

    Args:
      mean: see `subtract_mean`. seed, first_row, rows: see `add_color_noise`.
      noise: a color_noise.ColorNoise; None: no noise. noise_on: float [], 0 to leave out noise and division.
    """
    images = subtract_mean(images, mean)
    if noise is None:
        return images
    images = add_color_noise(images, seed, noise_on * tf.convert_to_tensor(noise.axes), first_row=first_row, rows=rows)
    return images if noise.divisor == 1 else images / (1 + (noise.divisor - 1) * noise_on)


def decode(encoded):
    """uint8 [height, width, 3] RGB of a JPEG (also grayscale, CMYK) or PNG.

    Raises: tf.errors.InvalidArgumentError for other formats, damaged images, and those of more than MAX_PIXELS.
    """
    with tf.control_dependencies([image_shape(encoded)]):
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method=DCT_METHOD)
    return tf.ensure_shape(image, [None, None, 3])


def reason(error):
    """The sentence in a tf.errors.OpError about an image, without names of TensorFlow's own."""
    text = error.message.split('\n\n')[-1].split('\n\t [[')[0]  # less where in the program the op was made
    text = re.sub(r'\{\{.*?\}\} *| *\[Op:.*', '', text, flags=re.S).strip()
    asserted = re.fullmatch(r'assertion failed: \[(.*)\]', text)
    return asserted[1].replace('] [', ' ') if asserted else text


def image_shape(encoded):
    """int32 [2], height and width of a JPEG or PNG, read from its header: a bomb is refused before it takes memory.

    TensorFlow's own limit is 2^29 pixels, 1.6 GB of RGB, and its decode_jpeg takes GIF, too.
    """
    is_png = tf.equal(tf.strings.substr(encoded, 0, 4), b'\x89PNG')
    return tf.case([(tf.io.is_jpeg(encoded), lambda: _jpeg_shape(encoded)), (is_png, lambda: _png_shape(encoded))],
                   lambda: _required(tf.zeros([2], tf.int32), False, 'it is neither JPEG nor PNG'))


def _jpeg_shape(encoded):
    return _limited(tf.image.extract_jpeg_shape(encoded)[:2])


def _required(value, condition, *message):
    """The value; fails unless the condition holds. tf.debugging.assert_… bring a dozen other ops for every image."""
    assertion = tf.raw_ops.Assert(condition=condition, data=list(map(tf.convert_to_tensor, message)), summarize=4)
    with tf.control_dependencies([assertion]):
        return tf.identity(value)


def _limited(shape):
    number = tf.reduce_prod(tf.cast(shape, tf.int64))
    return _required(shape, number <= MAX_PIXELS, 'the image has', number, f'pixels; at most {MAX_PIXELS} are decoded')


def _png_shape(encoded):
    # Zeros follow a file that ends early: tf.strings.substr alone would fail there.
    header = tf.strings.substr(tf.strings.join([tf.strings.substr(encoded, 0, 24), bytes(24)]), 12, 12)
    first = tf.equal(tf.strings.substr(header, 0, 4), b'IHDR')  # libpng takes it in other places too
    header = _required(header, first, 'the PNG does not begin with its header')
    size = tf.io.decode_raw(tf.strings.substr(header, 4, 8), tf.int32, little_endian=False)[::-1]
    fits = tf.reduce_all((size >= 1) & (size <= MAX_SIDE))
    return _limited(_required(size, fits, 'the PNG has', size, f'pixels a side; it must be 1 to {MAX_SIDE}'))


def decoded_square(encoded, side, *, corner=(0, 0), size=None, resize_mode='shorter_side'):
    """`resized_square` of an encoded image; raises as `decode`. Of a JPEG it decodes only what the crop needs."""
    def of_jpeg():
        def window(low, extent):
            return tf.image.decode_and_crop_jpeg(encoded, tf.concat([low, extent], 0), 3, dct_method=DCT_METHOD)
        return _square(_jpeg_shape(encoded), window, side, corner, size or side, resize_mode)

    @_apart
    def of_other(encoded, corner):
        return resized_square(decode(encoded), side, corner=corner, size=size, resize_mode=resize_mode)
    return tf.cond(tf.io.is_jpeg(encoded), of_jpeg, lambda: of_other(encoded, tf.convert_to_tensor(corner)))


def _apart(function):
    """In a graph, a function that is not inlined: a branch that is not taken is then one operation, not dozens."""
    if tf.executing_eagerly():
        return function
    return tf.function(function, autograph=False, experimental_attributes={'_noinline': True})


def resized_square(image, side, *, corner=(0, 0), size=None, resize_mode='shorter_side'):
    """A square of an image of any shape, and of that one crop.

    Only the crop's pixels are computed. The filter is a triangle, widened when shrinking (antialias), with
    half-pixel centers: the numbers of tf.image.resize(antialias=True), rounded to whole gray levels.

    Args:
      image: uint8 [height, width, 3].
      corner: int [2], top and left of the crop within the square. size: its side; None: all of the square.
      resize_mode: 'shorter_side': the shorter side is resized to `side`, and the central square taken, as in the paper.
        'warp': both sides are resized to `side`, whatever their ratio, as for Caffe's bvlc_alexnet.

    Returns: uint8 [size, size, 3].
    """
    def window(low, extent):
        return tf.slice(image, tf.concat([low, [0]], 0), tf.concat([extent, [3]], 0))
    return _square(tf.shape(image)[:2], window, side, corner, size or side, resize_mode)


def _square(shape, window, side, corner, size, resize_mode):
    """`resized_square` of an image of this shape (int [2]); window(low, extent): its pixels from low on."""
    shorter = tf.reduce_min(shape)
    in_proportion = (2 * shape * side + shorter) // (2 * shorter)  # the longer side rounded
    resized = side * tf.ones_like(shape) if resize_mode == 'warp' else in_proportion
    origin = (resized - side) // 2 + corner
    scale = tf.cast(resized, tf.float32) / tf.cast(shape, tf.float32)
    unchanged = tf.equal(shape, resized)
    reach = tf.where(unchanged, 0, tf.cast(1 / scale, tf.int32) + 2)  # of the filter, in pixels
    low = tf.maximum(tf.cast(tf.cast(origin, tf.float32) / scale, tf.int32) - reach, 0)
    high = tf.minimum(tf.cast(tf.math.ceil(tf.cast(origin + size, tf.float32) / scale), tf.int32) + reach, shape)
    pixels = window(low, high - low)

    @_apart
    def filtered(pixels, low, scale, origin):
        translation = tf.cast(low, tf.float32) * scale - tf.cast(origin, tf.float32)
        crop = tf.raw_ops.ScaleAndTranslate(images=pixels[tf.newaxis], size=[size, size], scale=scale,
                                            translation=translation, kernel_type='triangle', antialias=True)[0]
        return tf.cast(tf.round(crop), tf.uint8)
    as_it_is = tf.reduce_all(unchanged)  # records made with --resize_shorter_side=256
    return tf.ensure_shape(
        tf.cond(as_it_is, lambda: pixels, lambda: filtered(pixels, low, scale, origin)), [size, size, 3])


def subtract_mean(images, mean):
    """float32 images [batch, size, size, 3] less the mean.

    mean: float32 [3], the mean RGB, 0..255; or [side, side, 3], the mean image, whose central part is subtracted from
    every crop, wherever the crop was (as in the original program).
    """
    images, mean = tf.cast(images, tf.float32), tf.convert_to_tensor(mean, tf.float32)
    if mean.shape.rank == 3:
        return images - central_crop(mean, images.shape[1])
    return _add_rgb(images, -mean[tf.newaxis])


def central_crop(images, size):
    """The central size x size pixels of [..., height, width, channels]."""
    top, left = (images.shape[-3] - size) // 2, (images.shape[-2] - size) // 2
    return images[..., top:top + size, left:left + size, :]


def add_color_noise(images, seed, axes, *, first_row=0, rows=None):
    """Adds to all pixels of an image one draw along the principal axes of the training set's RGB.

    Args:
      images: float32 [batch, height, width, 3], 0..255. seed: int [2]. axes: of a color_noise.ColorNoise.
      first_row, rows: the images are the rows from first_row on of a batch of `rows`; None: all of it. So the shares
        of several devices get the draws of the whole batch.
    """
    batch = tf.shape(images)[0]
    draws = tf.random.stateless_normal([batch if rows is None else rows, 3], stream(seed, 3))
    noise = tf.matmul(draws[first_row:first_row + batch], tf.convert_to_tensor(axes, tf.float32))
    return _add_rgb(images, noise)


def _add_rgb(images, rgb):
    """images [batch, height, width, 3] + rgb [batch or 1, 3], by whole rows: TensorFlow broadcasts 3 numbers slowly."""
    width = tf.shape(images)[2]
    rows = tf.reshape(images, [-1, tf.shape(images)[1], 3 * width]) + tf.tile(rgb, [1, width])[:, tf.newaxis]
    return tf.ensure_shape(tf.reshape(rows, tf.shape(images)), images.shape)


def views(images, size, num_views):
    """The crops [batch, size, size, 3] of images [batch, side, side, 3] that are scored, a list.

    num_views: 1: the central one; 10, as in the original program: top left, top right, center, bottom left, bottom
    right, then their mirrors.
    """
    if num_views == 1:
        return [central_crop(images, size)]
    far = images.shape[1] - size
    five = [images[:, :size, :size], images[:, :size, far:], central_crop(images, size),
            images[:, far:, :size], images[:, far:, far:]]
    return five + [tf.reverse(view, [2]) for view in five]


def stream(seed, number):
    """The seed (int [2]) of a random step: number 1 crop, mirror and scale, 3 color noise, 4 dropout."""
    return tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), number)
