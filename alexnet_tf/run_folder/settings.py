"""flags.json: the settings with which a run was started, beside its checkpoints."""
import os

from alexnet_tf.files import reading, writing


def path(train_dir):
    """Where the settings of a run stand."""
    return os.path.join(train_dir, 'flags.json')


def read(train_dir):
    """{name: value}, or None when there is no such file. Raises: ValueError for a damaged one."""
    return reading.read_json(path(train_dir))


def write(train_dir, values):
    """Writes {name: value}. Raises: OSError."""
    writing.write_json(path(train_dir), values)
