"""A record's tf.train.Example: its label and its encoded image."""
import tensorflow as tf


def parse(record, where):
    """{key: tf.train.Feature} of a record. where: its file and number, for messages. Raises: ValueError."""
    try:
        return tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError is not in TensorFlow's public API
        raise ValueError(f'{where} is not a tf.train.Example.') from error


def label(features, key, where):
    """The whole number under a key. Raises: ValueError."""
    values = features[key].int64_list.value if key in features else ()
    if len(values) != 1:
        raise ValueError(f'{where}: no integer label under {key!r}; it has {_keys(features)}.')
    return values[0]


def image(features, key, where):
    """The encoded image under a key, not empty. Raises: ValueError."""
    values = features[key].bytes_list.value if key in features else ()
    if len(values) != 1 or not values[0]:
        raise ValueError(f'{where}: no image under {key!r}; it has {_keys(features)}.')
    return values[0]


def _keys(features):
    return ', '.join(sorted(features)) or 'no keys'
