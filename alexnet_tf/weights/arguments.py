"""The flags of import_weights, checked without TensorFlow."""
import os

from alexnet_tf.files import places, reading, writing
from alexnet_tf.model import specs


def check_source(path):
    """Raises ValueError for a --source at which there is neither a file nor a checkpoint."""
    if not os.path.isfile(path) and not places.some_checkpoint(path):
        raise no_source(path)


def no_source(path):
    """The ValueError for such a --source."""
    return ValueError(f'no file and no checkpoint at --source={path}; give ONNX, .caffemodel, .npy, .npz or a TF1 '
                      'checkpoint (a folder, or a path such as model.ckpt-1000).')


def check_output(folder):
    """Raises ValueError for a folder that holds a checkpoint or a model.json, or cannot be written to."""
    writing.check_writable(folder, 'output_dir')
    taken = places.some_checkpoint(folder) or os.path.join(folder, specs.MODEL_FILE)
    if os.path.exists(taken) or os.path.exists(taken + '.index'):
        raise ValueError(f'--output_dir={folder} holds {os.path.basename(taken)} already; choose another folder.')


def read_class_names(path):
    """The names in a file, one a line. Raises: ValueError for an empty line or another kind of file."""
    if not os.path.exists(path):
        raise ValueError(f'--class_names={path}: there is no such file; give one with one name a line.')
    names = tuple(line.strip() for line in reading.read_text(path).splitlines()) or ('',)
    if '' in names:
        raise ValueError(f'--class_names={path}: line {names.index("") + 1} is empty; give one name a line.')
    return names
