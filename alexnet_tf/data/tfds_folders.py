"""Folders that tensorflow-datasets prepared."""
import functools
import glob
import os

from alexnet_tf.data import records
from alexnet_tf.files import reading

FEATURES_FILE = 'features.json'


def find(folder):
    """The folder itself, or its only subfolder, that tensorflow-datasets wrote; None if there is none."""
    if os.path.exists(os.path.join(folder, FEATURES_FILE)):
        return folder
    versions = sorted(map(os.path.dirname, glob.glob(os.path.join(glob.escape(folder), '*', FEATURES_FILE))))
    if len(versions) > 1:
        raise ValueError(f'{folder} holds several datasets; give one of {", ".join(versions)}.')
    return versions[0] if versions else None


def read(folder, split, labels_offset, bad):
    """What the folder says about a split: the fields of a Dataset; bad: BadRecords.

    Raises: ValueError for a description that is damaged or does not fit, and for shards that are missing or damaged.
    """
    import tensorflow_datasets as tfds  # here, since only these folders need it
    asked = functools.partial(_asked, folder)
    info, found = _described(folder)
    if split not in found:
        raise ValueError(f'{folder} has no split {split!r}, only {", ".join(found)}.')
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        raise ValueError(f'{folder} is stored as {info.file_format.value}; only tfrecord is read. '
                         'Convert it: tfds.convert_format.')
    features = asked(lambda: dict(info.features.items()))
    image_key, label_key = _supervised(features, asked(lambda: info.supervised_keys), tfds.features, folder)
    names = asked(lambda: tuple(features[label_key].names))
    count, paths = found[split]
    if not count:
        raise ValueError(f'{folder} has no examples in its split {split!r}; choose another split.')
    wrong = [name for name in map(os.path.basename, paths) if not reading.is_file_name(name)]
    if wrong:
        raise ValueError(f'{folder}: its description names the shard {wrong[0]!r}, which is no name of a file; '
                         'prepare it again.')
    paths = [os.path.join(folder, os.path.basename(path)) for path in paths]
    index = records.index_files(paths, tolerant=bad.limit > 0)
    if len(index) != count and not index.faults:
        raise ValueError(f'{folder} has {len(index)} records of split {split!r}, its description says '
                         f'{count}; shards are missing or were exchanged.')
    if len(index) < count:
        bad.lose(count - len(index), folder)
    return {'index': index, 'image_key': image_key, 'label_key': label_key, 'labels_offset': labels_offset,
            'class_names': names[labels_offset:], 'info': {}}


def splits(folder):
    """The names of the splits of a folder (see `find`)."""
    return list(_described(folder)[1])


def _described(folder):
    """(tensorflow-datasets' DatasetInfo, {split: (number of examples, paths)})."""
    import tensorflow_datasets as tfds
    _check_features(folder)
    info = _asked(folder, lambda: tfds.builder_from_directory(folder).info)
    return info, _asked(folder, lambda: {
        name: (one.num_examples, one.filepaths) for name, one in info.splits.items()})


def _asked(folder, question):
    """What tensorflow-datasets answers; it does not say what it raises for a damaged description, nor when."""
    try:
        return question()
    except Exception as error:
        raise ValueError(f'cannot read what tensorflow-datasets wrote about {folder} ({type(error).__name__}: '
                         f'{error}); prepare it again.') from error


def _check_features(folder):
    """Refuses a features.json that names classes from elsewhere: tensorflow-datasets imports what is named there."""
    waiting = [reading.read_json(os.path.join(folder, FEATURES_FILE))]
    while waiting:
        held = waiting.pop()
        for key, value in held.items() if isinstance(held, dict) else enumerate(held):
            if isinstance(value, dict | list):
                waiting.append(value)
            elif (key in ('pythonClassName', 'python_class_name', 'type')
                  and not str(value).startswith('tensorflow_datasets.')):
                raise ValueError(f'{folder}: {FEATURES_FILE} asks for the Python class {value!r}, which is not of '
                                 'tensorflow-datasets; naming it would import its module. Nothing of it was run; get '
                                 'the data from a source that you trust.')


def _supervised(features, supervised_keys, kinds, folder):
    """(image key, label key) of a tensorflow-datasets description."""
    pair = []
    for kind, chosen in zip((kinds.Image, kinds.ClassLabel), supervised_keys or (None, None)):
        keys = [key for key, feature in features.items() if isinstance(feature, kind)]
        if chosen not in keys and len(keys) != 1:
            raise ValueError(f'{folder} has {len(keys)} features of type {kind.__name__} ({", ".join(keys)}); needed '
                             'is one, or supervised_keys that choose.')
        pair.append(chosen if chosen in keys else keys[0])
    return pair
