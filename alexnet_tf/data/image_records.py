"""Images to records of slim's schema."""
import tensorflow as tf

from alexnet_tf.data import preprocessing, records, tar_members
from alexnet_tf.files import reading

# Compiled, each takes half the time: they are many small operations.
_decode = tf.function(preprocessing.decode, [tf.TensorSpec([], tf.string)], autograph=False)
_square = tf.function(lambda image: preprocessing.resized_square(image, 256),
                      [tf.TensorSpec([None, None, 3], tf.uint8)], autograph=False)


def read_image(source, resize_shorter_side, quality):
    """(JPEG bytes in RGB, central 256x256 square uint8, (height, width)) of a JPEG or PNG.

    source: path of its file, or a Member of an archive. The bytes are its own where they are an RGB JPEG that need not
    shrink.

    Raises: OSError, or ValueError for what is no image that can be decoded.
    """
    encoded = _read(source)
    try:
        image = _decode(encoded)
        shorter = min(image.shape[:2])
        shrink = resize_shorter_side and shorter > resize_shorter_side
        if shrink:
            size = [round(side * resize_shorter_side / shorter) for side in image.shape[:2]]
            image = tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)
        if shrink or encoded[:3] != b'\xff\xd8\xff' or tf.io.extract_jpeg_shape(encoded)[2] != 3:
            encoded = tf.io.encode_jpeg(image, 'rgb', quality).numpy()
    except tf.errors.OpError as error:
        raise ValueError(preprocessing.reason(error).splitlines()[0]) from error
    return encoded, _square(image).numpy(), tuple(image.shape[:2])


def _read(source):
    most = records.MAX_BYTES // 2  # half a record, since it may be written larger
    if not isinstance(source, tar_members.Member):
        return reading.read_bytes(source, most)
    if not source.length:
        raise ValueError('the file is empty')
    if source.length > most:
        raise ValueError(f'the file has {source.length} bytes; at most {most} are read')
    return source.read()


def make_record(encoded, shape, file_name, label, class_name, text):
    """A serialized tf.train.Example with every key of slim's schema; bounding boxes are empty.

    encoded: bytes of a JPEG of shape (height, width). file_name: bytes. class_name, text: folder and readable name of
    the class with this label, from 1.
    """
    features = {f'image/object/bbox/{side}': tf.train.Feature(float_list=tf.train.FloatList())
                for side in ('xmin', 'xmax', 'ymin', 'ymax')}
    features['image/object/bbox/label'] = tf.train.Feature(int64_list=tf.train.Int64List())
    for key, value in (('height', shape[0]), ('width', shape[1]), ('channels', 3), ('class/label', label)):
        features[f'image/{key}'] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    for key, value in (('encoded', encoded), ('format', b'JPEG'), ('colorspace', b'RGB'), ('filename', file_name),
                       ('class/synset', class_name.encode()), ('class/text', text.encode())):
        features[f'image/{key}'] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)
