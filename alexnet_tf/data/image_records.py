"""Images to records of slim's schema."""
import os

import tensorflow as tf

from alexnet_tf.data import image_headers, preprocessing, records
from alexnet_tf.files import reading

open_writer = tf.io.TFRecordWriter


def read_image(path, resize_shorter_side, quality):
    """(JPEG bytes in RGB, central 256x256 square uint8, (height, width)) of the file of a JPEG or PNG.

    The bytes are the file's own where they are an RGB JPEG that need not shrink.

    Raises: OSError, or ValueError for what is no image that can be decoded.
    """
    reading.check_regular(path)
    if os.path.getsize(path) > records.MAX_BYTES // 2:  # as half a record, since it may be written larger
        raise ValueError(f'the file has {os.path.getsize(path)} bytes; at most {records.MAX_BYTES // 2} are read')
    with open(path, 'rb') as file:
        encoded = file.read()
    if not encoded:
        raise ValueError('the file is empty')
    try:
        return _converted(encoded, resize_shorter_side, quality)
    except tf.errors.OpError as error:
        raise ValueError(image_headers.reason(error).splitlines()[0]) from error


def _converted(encoded, resize_shorter_side, quality):
    image = preprocessing.decode(encoded)
    shorter = min(image.shape[:2])
    shrink = resize_shorter_side and shorter > resize_shorter_side
    if shrink:
        size = [round(side * resize_shorter_side / shorter) for side in image.shape[:2]]
        image = tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)
    if shrink or encoded[:3] != b'\xff\xd8\xff' or tf.io.extract_jpeg_shape(encoded)[2] != 3:
        encoded = tf.io.encode_jpeg(image, 'rgb', quality).numpy()
    return encoded, preprocessing.resized_square(image, 256).numpy(), tuple(image.shape[:2])


def make_record(encoded, shape, file_name, *, label, class_name, text):
    """A serialized tf.train.Example with every key of slim's schema; bounding boxes are empty.

    Args:
      encoded: bytes of a JPEG of shape (height, width). file_name: bytes.
      label: from 1. class_name, text: folder and readable name of its class.
    """
    def integers(*values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def bytestring(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    no_floats = tf.train.Feature(float_list=tf.train.FloatList())
    return tf.train.Example(features=tf.train.Features(feature={
        'image/encoded': bytestring(encoded), 'image/format': bytestring(b'JPEG'),
        'image/colorspace': bytestring(b'RGB'), 'image/channels': integers(3),
        'image/height': integers(shape[0]), 'image/width': integers(shape[1]),
        'image/filename': bytestring(file_name), 'image/class/label': integers(label),
        'image/class/synset': bytestring(class_name.encode()), 'image/class/text': bytestring(text.encode()),
        'image/object/bbox/xmin': no_floats, 'image/object/bbox/xmax': no_floats,
        'image/object/bbox/ymin': no_floats, 'image/object/bbox/ymax': no_floats,
        'image/object/bbox/label': integers()})).SerializeToString(deterministic=True)
