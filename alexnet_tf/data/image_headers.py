"""How many pixels an image has, from its header and in TensorFlow: a bomb is refused before memory is taken for it.

TensorFlow's own limit is 2^29 pixels, 1.6 GB of RGB.
"""
import re

import tensorflow as tf

MAX_PIXELS = 89_478_485  # 256 MiB of RGB, as Pillow's first limit
MAX_BLOCKS = 50_000  # of a GIF, 12 MB of data at their full size; to walk as many bytes in tiny ones would take hours
MAX_SIDE = 65_535  # the longest that JPEG and GIF can say; PNG could say more than preprocessing can multiply


def pixels(encoded):
    """int64 [], the number of pixels of an image (string []), of all frames of a GIF.

    Raises: tf.errors.InvalidArgumentError, when it runs, for more than MAX_PIXELS and for what is no JPEG, PNG or GIF.
    """
    return _pixels(encoded) if tf.executing_eagerly() else _traced_pixels(encoded)


def _pixels(encoded):
    def begins(magic):
        return tf.equal(tf.strings.substr(encoded, 0, len(magic)), magic)
    return tf.cond(
        tf.io.is_jpeg(encoded), lambda: _product(checked(tf.image.extract_jpeg_shape(encoded)[:2])), lambda: tf.cond(
            begins(b'\x89PNG'), lambda: _product(_png_shape(encoded)), lambda: tf.cond(
                begins(b'GIF8'), lambda: _gif_pixels(encoded), _unknown)))


# Once, and not for every pipeline: it is most of the time that building one takes.
_traced_pixels = tf.function(_pixels, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def checked(shape):
    """The shape (int32 [2]) of an image; fails as `pixels` does."""
    number = _product(shape)
    with tf.control_dependencies([_allowed(number)]):
        return tf.identity(shape)


def reason(error):
    """The sentence in a tf.errors.OpError about an image, without names of TensorFlow's own."""
    text = error.message.split('\n\n')[-1].split('\n\t [[')[0]  # less where in the program the op was made
    text = re.sub(r'\{\{.*?\}\} *| *\[Op:.*', '', text, flags=re.S).strip()
    asserted = re.fullmatch(r'assertion failed: \[(.*)\]', text)
    return asserted[1].replace('] [', ' ') if asserted else text


def _product(shape):
    return tf.reduce_prod(tf.cast(shape, tf.int64))


def _allowed(number):
    return _assert(number <= MAX_PIXELS, 'the image has', number, f'pixels; at most {MAX_PIXELS} are decoded')


def _assert(condition, *data):
    """The bare op: tf.debugging.assert_… bring a dozen others, for every image."""
    return tf.raw_ops.Assert(condition=condition, data=list(map(tf.convert_to_tensor, data)), summarize=4)


def _unknown():
    with tf.control_dependencies([_assert(False, 'it is no JPEG, PNG or GIF')]):
        return tf.constant(0, tf.int64)


def _bytes(encoded, at, count):
    """A string of `count` bytes from `at` on, zeros beyond the end (tf.strings.substr alone would fail there)."""
    return tf.strings.substr(tf.strings.join([tf.strings.substr(encoded, 0, at + count), bytes(at + count)]), at, count)


def _png_shape(encoded):
    first = tf.equal(_bytes(encoded, 12, 4), b'IHDR')  # libpng takes it in other places too
    with tf.control_dependencies([_assert(first, 'the PNG does not begin with its header')]):
        size = tf.io.decode_raw(_bytes(encoded, 16, 8), tf.int32, little_endian=False)
    fits = tf.reduce_all((size >= 1) & (size <= MAX_SIDE))
    with tf.control_dependencies([_assert(fits, 'the PNG has', size, f'pixels a side; it must be 1 to {MAX_SIDE}')]):
        return checked(size)


def _gif_pixels(encoded):
    """Walks all frames: one may be larger than the header says, and TensorFlow reads all before it refuses several."""
    length = tf.strings.length(encoded)

    def step(at, in_data, number):
        # A block's size, or the introducer of an extension or a frame, with what follows.
        block = tf.cast(tf.io.decode_raw(_bytes(tf.strings.substr(encoded, at, 10), 0, 10), tf.uint8), tf.int32)
        is_frame, is_extension = ~in_data & tf.equal(block[0], 0x2c), ~in_data & tf.equal(block[0], 0x21)
        frame = tf.cast(block[5] + 256 * block[6], tf.int64) * tf.cast(block[7] + 256 * block[8], tf.int64)
        forward = tf.where(in_data, 1 + block[0], tf.where(is_frame, 11 + _palette(block[9]), tf.where(
            is_extension, 2, length)))  # the end, or nothing that a GIF may have here
        goes_on = tf.where(in_data, block[0] > 0, is_frame | is_extension)
        return tf.minimum(at + forward, length), goes_on, number + tf.where(is_frame, frame, 0)

    flags = tf.io.decode_raw(_bytes(encoded, 10, 1), tf.uint8)[0]
    start = tf.minimum(13 + _palette(tf.cast(flags, tf.int32)), length)
    end, _, number = tf.while_loop(lambda at, *_: at < length, step,
                                   (start, tf.constant(False), tf.constant(0, tf.int64)), maximum_iterations=MAX_BLOCKS)
    few = _assert(end >= length, f'the GIF has more than {MAX_BLOCKS} blocks')
    with tf.control_dependencies([few, _allowed(number)]):
        return tf.identity(number)


def _palette(flags):
    """Bytes of the colour table that the flags announce."""
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)
