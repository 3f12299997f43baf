"""What flags name, looked for by the file system alone: a command refuses a wrong path before it loads TensorFlow."""
import os
import pathlib
import re

BEST_DIR = 'best'  # of a training folder
RECORD = re.compile(r'(\w+):(\d+)')
_ENDING = re.compile(r'\.(index|data-\d{5}-of-\d{5})$')


def check_records(folder):
    """Raises ValueError when there is no such folder of records."""
    if os.path.isfile(folder):
        raise ValueError(f'the dataset folder {folder!r} is a file; give the folder that it is in.')
    if not os.path.isdir(folder):
        raise ValueError(f'the dataset folder {folder!r} does not exist; give one with TFRecord shards, or '
                         'make one: python -m alexnet_tf.build_tfrecords.')


def prefix(path):
    """The path of a checkpoint without the ending of one of its files. Raises: ValueError for one that cannot be."""
    if set('*?[]\\') & set(path):  # TensorFlow opens checkpoints by pattern: it would write, but never find them
        raise ValueError(f'{path!r} has one of * ? [ ] \\ in it, which TensorFlow cannot read checkpoints from; choose '
                         'another folder.')
    return path if os.path.isdir(path) else _ENDING.sub('', path)


def some_checkpoint(path):
    """A checkpoint whose index is there: that of the path, or in a folder the first by name; None: there is none.

    Raises: ValueError, see `prefix`.
    """
    path = prefix(path)
    if not os.path.isdir(path):
        return path if os.path.exists(path + '.index') else None
    return min((str(file)[:-len('.index')] for file in pathlib.Path(path).glob('*.index')), default=None)


def check_checkpoint(path):
    """Raises ValueError for a --checkpoint_path at which there is none."""
    if not some_checkpoint(path):
        raise no_checkpoint(path)


def no_checkpoint(path):
    """The ValueError for a --checkpoint_path at which there is none."""
    best, around = os.path.join(path, BEST_DIR), os.path.dirname(path)
    if os.path.isfile(os.path.join(path, 'saved_model.pb')):
        there = 'it holds an export, which predict takes as --saved_model'
    elif os.path.isdir(best) and some_checkpoint(best):
        there = f'{best} has one'
    elif not os.path.isdir(path) and os.path.isdir(around) and some_checkpoint(around):
        there = f'the folder {around} has some'
    else:
        there = 'train one with train_image_classifier.py, or give a file such as model.ckpt-1000 or its folder'
    return ValueError(f'no checkpoint at --checkpoint_path={path}; {there}.')


def check_saved_model(folder):
    """Raises ValueError for a --saved_model in which there is none."""
    if not os.path.isfile(os.path.join(folder, 'saved_model.pb')):
        raise ValueError(f'--saved_model={folder} has no saved_model.pb; give the --output_dir of an export.')


def check_image(argument):
    """Raises ValueError for an argument that is neither a record, as validation:7, nor a file."""
    if os.path.isdir(argument):
        raise ValueError(f'{argument} is a folder; give the images in it, as {os.path.join(argument, "*.jpg")}')
    if not os.path.exists(argument) and not RECORD.fullmatch(argument):
        raise ValueError(f'there is no {argument}; give a JPEG or PNG image, or a record, as validation:7.')
