"""A batch of encoded images as squares, inside of a graph: the broken ones are told apart, or refused by position."""
import tensorflow as tf

from alexnet_tf.data import preprocessing


def squares(image_bytes, *, size, resize_mode):
    """(uint8 [batch, side, side, 3], bool [batch]): what evaluation sees of images, and which ones could be decoded.

    Broken is what preprocessing.evaluation_image refuses; its square is zeros. side = square_side(size).

    Args:
      image_bytes: strings [batch], JPEG or PNG of any size; an empty batch gives an empty answer.
    """
    side, number = preprocessing.square_side(size), tf.shape(image_bytes, tf.int64)[0]

    def decode(position, encoded):
        return position, preprocessing.evaluation_image(encoded, size=size, resize_mode=resize_mode)
    # A graph cannot catch an error; a tf.data pipeline can leave out the element that made it.
    images = tf.data.Dataset.from_tensor_slices((tf.range(number), image_bytes))
    images = images.map(decode, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    end = tf.data.Dataset.from_tensors((number, tf.zeros([side, side, 3], tf.uint8)))  # there must be one, for a batch
    options = tf.data.Options()
    options.autotune.enabled = False  # it and the rewriting cost more than one image takes
    options.experimental_optimization.apply_default_optimizations = False
    batch = images.concatenate(end).batch(number + 1).with_options(options)
    positions, decoded = (values[:-1] for values in batch.get_single_element())
    places = positions[:, tf.newaxis]
    valid = tf.scatter_nd(places, tf.ones_like(positions, tf.bool), [number])
    decoded = tf.cond(tf.reduce_all(valid), lambda: decoded,
                      lambda: tf.scatter_nd(places, decoded, [number, side, side, 3]))
    return tf.ensure_shape(decoded, [None, side, side, 3]), valid


def whole_squares(image_bytes, **options):
    """`squares` of a batch without a broken image. Raises: tf.errors.InvalidArgumentError, with their positions."""
    decoded, valid = squares(image_bytes, **options)
    positions = tf.strings.reduce_join(tf.strings.as_string(tf.where(~valid)[:, 0]), separator=', ')
    message = tf.strings.join([
        'image_bytes at position ', positions, ', counted from 0, is no whole JPEG or PNG, or has more than '
        f'{preprocessing.MAX_PIXELS} pixels; leave it out, or ask serve_bytes_checked, which answers the others.'])
    assertion = tf.raw_ops.Assert(condition=tf.reduce_all(valid), data=[message])
    with tf.control_dependencies([assertion]):
        return tf.identity(decoded)
