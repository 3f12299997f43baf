"""Kind and size of an encoded image, read from its header in TensorFlow: a bomb is refused before it takes memory.

TensorFlow's own limit is 2^29 pixels, 1.6 GB of RGB. Its decode_jpeg takes PNG and GIF, too: what is decoded is decided
here.
"""
import re

import tensorflow as tf

MAX_PIXELS = 89_478_485  # 256 MiB of RGB, as Pillow's first limit
MAX_SIDE = 65_535  # the longest of a JPEG; a PNG's may be longer than preprocessing can multiply


def shape(encoded):
    """int32 [2], height and width of a JPEG or PNG (string []).

    Raises: tf.errors.InvalidArgumentError, when it runs, for more than MAX_PIXELS and for what is neither JPEG nor PNG.
    """
    is_png = tf.equal(tf.strings.substr(encoded, 0, 4), b'\x89PNG')
    return tf.case(
        [(tf.io.is_jpeg(encoded), lambda: jpeg_shape(encoded)), (is_png, lambda: _limited(_png_shape(encoded)))],
        lambda: _required(tf.zeros([2], tf.int32), False, 'it is neither JPEG nor PNG'))


def jpeg_shape(encoded):
    """As `shape`, of a JPEG."""
    return _limited(tf.image.extract_jpeg_shape(encoded)[:2])


def reason(error):
    """The sentence in a tf.errors.OpError about an image, without names of TensorFlow's own."""
    text = error.message.split('\n\n')[-1].split('\n\t [[')[0]  # less where in the program the op was made
    text = re.sub(r'\{\{.*?\}\} *| *\[Op:.*', '', text, flags=re.S).strip()
    asserted = re.fullmatch(r'assertion failed: \[(.*)\]', text)
    return asserted[1].replace('] [', ' ') if asserted else text


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
    return _required(size, fits, 'the PNG has', size, f'pixels a side; it must be 1 to {MAX_SIDE}')
