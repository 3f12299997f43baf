"""Folders of records, recognised by looking: slim's and Model Garden's shards, TFDS, this project's own.

`open_dataset` answers with a Dataset: every example by its position, labels 0..N-1.
"""
import dataclasses
import glob
import os
import re

import numpy as np
import tensorflow as tf

from alexnet_tf.data import records
from alexnet_tf.files import reading

INFO_FILE = 'dataset_info.json'
BACKGROUND = 'background'  # the name of slim's class 0
PARTS_DIR = 'parts'  # of build_tfrecords: statistics of finished shards, until all are finished
SAMPLE_DIR = os.path.join(os.path.dirname(__file__), 'sample')
_CHECKED_BYTES = 1 << 30  # up to so much is read through before the first step; of more,
_CHECKED = 4096  # so many records, the first ones of every shard
_MAX_LABEL = 1_000_000


def _are_shards(shards):
    numbers = 'records', 'bytes', 'lengths_crc32c'
    return isinstance(shards, dict) and all(
        isinstance(shard, dict) and all(type(shard.get(name)) is int and 0 <= shard[name] < 1 << 63 for name in numbers)
        for shard in shards.values())


_RULES = {  # of the fields in dataset_info.json, which may come from anybody; see reading.check_fields
    'counts': (lambda counts: isinstance(counts, dict) and all(map(reading.is_count, counts.values())),
               'an object of numbers', True),
    'class_names': (reading.are_names, 'a list of names', True),
    'label_base': (lambda base: reading.is_count(base) and base < _MAX_LABEL, 'the first label', True),
    'shards': (_are_shards, 'an object of objects with the whole numbers records, bytes and lengths_crc32c', False),
    'mean_rgb': (reading.is_rgb, 'three numbers', False),
    'mean_image': (reading.is_file_name, 'the name of a file beside it', False),
    'rgb_covariance_eigenvalues': (lambda values: reading.is_rgb(values) and min(values) > -1e-6,
                                   'three variances', False),
    'rgb_covariance_eigenvectors': (lambda rows: isinstance(rows, list) and len(rows) == 3
                                    and all(map(reading.is_rgb, rows)), 'three rows of three numbers', False),
}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of labelled images.

    image_key, label_key: features of a record.
    labels_offset: what is subtracted from a record's label. num_classes, class_names: after that.
    info: the statistics that build_tfrecords wrote (mean_rgb, …), or {}.
    bad: the records that are left out; those known so far.
    """
    folder: str
    split: str
    index: records.Index
    image_key: str
    label_key: str
    labels_offset: int
    class_names: tuple
    info: dict
    bad: records.BadRecords = dataclasses.field(default_factory=records.BadRecords, compare=False)

    def __len__(self):
        return len(self.index)

    @property
    def num_classes(self):
        return len(self.class_names)

    def report_bad(self, log=print):
        """Says how many records were left out, if any may be."""
        if self.bad.limit:
            log(f'Bad records left out of split {self.split!r} of {self.folder}: {len(self.bad)} of '
                f'{len(self) + self.bad.lost} '
                f'(--max_bad_records={self.bad.limit}).')

    def example(self, position):
        """(encoded image, label 0..num_classes-1) of one record.

        Raises: ValueError naming file and record: damaged, a key missing, the label out of range.
        """
        where = self.index.where(position)
        features = _parse(records.read_record(self.index, position), where)
        label = _label(features, self.label_key, where) - self.labels_offset
        if not 0 <= label < self.num_classes:
            raise ValueError(
                f'{where}: label {label + self.labels_offset} less labels_offset {self.labels_offset} is '
                f'{label}; labels must then be 0 to {self.num_classes - 1}. Correct --labels_offset, '
                'labels.txt or the records.')
        image = features[self.image_key].bytes_list.value if self.image_key in features else ()
        if len(image) != 1 or not image[0]:
            raise ValueError(f'{where}: no image under {self.image_key!r}; it has {_keys(features)}.')
        return image[0], label


def open_dataset(folder, split, *, labels_offset=None, default_num_classes=None, max_bad_records=0, log=print):
    """Opens one split of a folder of records.

    Args:
      folder: of slim's or Model Garden's shards (`train-00000-of-01024`), of this project's
        build_tfrecords, or of tensorflow-datasets (also its parent, if it has one version).
      split: 'train', 'validation', …, as in the files' names.
      labels_offset: subtracted from labels and from their number, as in slim (where 0 keeps label 0,
        "background", as a class of its own); None: so that the first class becomes 0.
      default_num_classes: used where the folder doesn't say how many classes there are.
      max_bad_records: so many records that are damaged, or no labelled images, are left out, each named to `log`.

    Raises: ValueError with the file, the record and what to do, for all that does not fit.
    """
    bad = records.BadRecords(max_bad_records, log)
    check_folder(folder)
    tfds_folder = _tfds_folder(folder)
    if tfds_folder:
        dataset = _open_tfds(tfds_folder, split, labels_offset, bad)
    else:
        dataset = _open_shards(folder, split, labels_offset, default_num_classes, bad)
    _each_good(dataset.example, dataset.index, bad)
    return dataset


def check_folder(folder):
    """Raises ValueError when there is no such folder."""
    if not os.path.isdir(folder):
        raise ValueError(f'the dataset folder {folder!r} does not exist; give one with TFRecord shards, or '
                         'make one: python -m alexnet_tf.build_tfrecords.')


def _open_shards(folder, split, labels_offset, default_num_classes, bad):
    index = records.index_files(_shards(folder, split), tolerant=bad.limit > 0)
    info = read_info(folder)
    if info and split in info['counts']:
        _check_shards(index, info.get('shards', {}), folder, bad)
        if info['counts'][split] != len(index) and not index.faults:
            raise ValueError(f'{folder} has {len(index)} records of split {split!r}, its {INFO_FILE} says '
                             f'{info["counts"][split]}; shards were exchanged. Build the folder again.')
    names, base = _described_labels(folder, info)
    if base is None:
        base = _label_base(index, len(names) if names else default_num_classes, labels_offset, bad)
    if names is None:
        if default_num_classes is None:
            raise ValueError(f'{folder} does not say how many classes it has; put a labels.txt there '
                             "(a line 'label:name' a class).")
        names = tuple(str(label) for label in range(base, base + default_num_classes))
    if labels_offset is None:
        labels_offset = base
    if labels_offset < base:  # slim's 1001 classes
        names = tuple([BACKGROUND] + [str(label) for label in range(1, base)])[labels_offset:] + names
    return Dataset(folder, split, index, 'image/encoded', 'image/class/label', labels_offset,
                   names[max(0, labels_offset - base):], info or {}, bad)


def _check_shards(index, described, folder, bad):
    """Refuses shards that are not those that build_tfrecords wrote; described: {name: records.description(…)}.

    A shard with faults has other numbers because of them; what it lacks is counted as bad records instead.
    """
    faulty = {index.file[position] for position in index.faults}
    ends = np.append(index.first[1:], len(index))
    for number, path in enumerate(index.files if described else ()):
        found = records.description(index.length[index.first[number]:ends[number]])
        wanted = described.get(os.path.basename(path))
        if found != wanted and number not in faulty:
            says = f'{wanted["records"]} and {wanted["bytes"]}' if wanted else 'nothing of it'
            raise ValueError(f'{path} is another shard than the {INFO_FILE} of {folder} describes: {found["records"]} '
                             f'records and {found["bytes"]} bytes, there {says}. It was exchanged or cut off; fetch it '
                             'again, or build the folder again.')
        if wanted and found['records'] < wanted['records']:
            bad.lose(wanted['records'] - found['records'], path)


def _shards(folder, split):
    """Paths of all shards of a split, in order; none may be missing."""
    shard = re.compile(re.escape(split) + r'-\d+-of-(\d+)')
    for parent in (folder, os.path.join(folder, split)):  # Model Garden has a folder a split
        names = sorted(filter(shard.fullmatch, os.listdir(parent))) if os.path.isdir(parent) else []
        if names:
            break
    else:
        found = {match[1] for name in os.listdir(folder) if (match := re.fullmatch(r'(.+)-\d+-of-\d+', name))}
        raise ValueError(f'{folder} has no shards {split}-00000-of-…; '
                         + (f'splits there: {", ".join(sorted(found))}.' if found else
                            'make some with python -m alexnet_tf.build_tfrecords.'))
    if os.path.isdir(os.path.join(folder, PARTS_DIR)):
        raise ValueError(f'{folder} is unfinished; run build_tfrecords again with the same flags.')
    totals = {shard.fullmatch(name)[1] for name in names}
    if len(totals) > 1:
        raise ValueError(f'{folder} holds shards of several writings ({split}-…-of-{", -of-".join(sorted(totals))}); '
                         'remove all but one.')
    total, = totals
    missing = sorted({f'{split}-{number:05d}-of-{total}' for number in range(int(total))} - set(names))
    if missing:
        raise ValueError(f'{folder} lacks {len(missing)} of {int(total)} shards: {", ".join(missing[:3])}'
                         f'{" …" if len(missing) > 3 else ""}.')
    return [os.path.join(parent, name) for name in names]


def read_info(folder):
    """What build_tfrecords wrote about a folder, or None. Raises ValueError for a damaged description."""
    path = os.path.join(folder, INFO_FILE)
    info = reading.read_json(path)
    if not info or info.get('format') != 'slim':
        return None  # tensorflow-datasets has a file of this name
    reading.check_fields(info, _RULES, path)
    return info


def _described_labels(folder, info):
    """(class names, label base) by the folder's own description; None for what it does not say."""
    if info:
        return tuple(info['class_names']), info['label_base']
    path = os.path.join(folder, 'labels.txt')
    if not os.path.exists(path):
        return None, None
    labels = {}
    for line in reading.read_text(path).splitlines():
        label, separator, name = line.partition(':')
        if not separator or not re.fullmatch(r'\s*\d{1,6}\s*', label) or int(label) in labels:
            raise ValueError(f"{path}: line {line!r} is not of the form 'label:name', or its label is there twice.")
        labels[int(label)] = name.strip()
    if labels.get(0) == BACKGROUND:
        del labels[0]
    base = min(labels, default=0)
    if not labels or sorted(labels) != list(range(base, base + len(labels))):
        raise ValueError(f'{path}: labels must be consecutive numbers.')
    return tuple(labels[label] for label in sorted(labels)), base


def _label_base(index, num_classes, labels_offset, bad):
    """0 or 1, from the records: which of label 0 and label num_classes occurs. If neither: labels_offset."""
    def label(position):
        where = index.where(position)
        return _label(_parse(records.read_record(index, position), where), 'image/class/label', where)
    labels = _each_good(label, index, bad)
    if not labels:
        raise ValueError(f'none of the {len(index)} records of {index.files[0]} … can be read; fetch the folder again.')
    if min(labels) == 0:
        return 0
    if max(labels) == num_classes:
        return 1
    if labels_offset is not None:
        return labels_offset
    raise ValueError(f'the labels of {len(labels)} records are {min(labels)} to {max(labels)}, which does not '
                     'tell whether the first class is 0 or 1; say it with --labels_offset=0 or 1, or put a '
                     "labels.txt beside the shards (a line 'label:name' a class).")


def _each_good(function, index, bad):
    """What function(position) returns for the records to look at, less the bad ones."""
    results = []
    for position in _spread(index):
        try:
            results.append(function(position))
        except ValueError as error:
            bad.add(position, error)
    return results


def _spread(index):
    """Positions of the records to look at: all of a small split; of a large one the first ones of every shard, and
    those of which the index alone shows that they are bad."""
    if index.length.sum() <= _CHECKED_BYTES:
        return range(len(index))
    each = -(-_CHECKED // len(index.files))
    ends = np.append(index.first[1:], len(index))
    chosen = {position for first, end in zip(index.first, ends) for position in range(first, min(end, first + each))}
    return sorted(chosen | set(index.faults) | set(np.flatnonzero(index.length > records.MAX_BYTES).tolist()))


def _parse(record, where):
    try:
        return tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError is not in TensorFlow's public API
        raise ValueError(f'{where} is not a tf.train.Example.') from error


def _label(features, key, where):
    label = features[key].int64_list.value if key in features else ()
    if len(label) != 1:
        raise ValueError(f'{where}: no integer label under {key!r}; it has {_keys(features)}.')
    return label[0]


def _keys(features):
    return ', '.join(sorted(features)) or 'no keys'


def _tfds_folder(folder):
    """The folder itself, or its only subfolder, that tensorflow-datasets wrote; None if there is none."""
    if os.path.exists(os.path.join(folder, 'features.json')):
        return folder
    versions = sorted(os.path.dirname(path)
                      for path in glob.glob(os.path.join(glob.escape(folder), '*', 'features.json')))
    if len(versions) > 1:
        raise ValueError(f'{folder} holds several datasets; give one of {", ".join(versions)}.')
    return versions[0] if versions else None


def _open_tfds(folder, split, labels_offset, bad):
    import tensorflow_datasets as tfds  # here, since only these folders need it
    _check_features(folder)
    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # it does not say what it raises for a damaged description
        raise ValueError(f'cannot read what tensorflow-datasets wrote about {folder} ({type(error).__name__}: '
                         f'{error}); prepare it again.') from error
    if split not in builder.info.splits:
        raise ValueError(f'{folder} has no split {split!r}, only {", ".join(builder.info.splits)}.')
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise ValueError(f'{folder} is stored as {builder.info.file_format.value}; only tfrecord is read. '
                         'Convert it: tfds.convert_format.')
    features = builder.info.features
    image_key, label_key = _supervised(builder.info, tfds.features, folder)
    split_info = builder.info.splits[split]
    if not split_info.num_examples:
        raise ValueError(f'{folder} has no examples in its split {split!r}; choose another split.')
    paths = [os.path.join(folder, os.path.basename(path)) for path in split_info.filepaths]
    index = records.index_files(paths, tolerant=bad.limit > 0)
    if len(index) != split_info.num_examples and not index.faults:
        raise ValueError(f'{folder} has {len(index)} records of split {split!r}, its description says '
                         f'{split_info.num_examples}; shards are missing or were exchanged.')
    if len(index) < split_info.num_examples:
        bad.lose(split_info.num_examples - len(index), folder)
    offset = labels_offset or 0
    return Dataset(folder, split, index, image_key, label_key, offset,
                   tuple(features[label_key].names)[max(offset, 0):], {}, bad)


def _check_features(folder):
    """Refuses a features.json that names classes from elsewhere: tensorflow-datasets imports what is named there."""
    waiting = [reading.read_json(os.path.join(folder, 'features.json'))]
    while waiting:
        held = waiting.pop()
        for key, value in held.items() if isinstance(held, dict) else enumerate(held):
            if isinstance(value, dict | list):
                waiting.append(value)
            elif (key in ('pythonClassName', 'python_class_name', 'type')
                  and not str(value).startswith('tensorflow_datasets.')):
                raise ValueError(f'{folder}: features.json asks for the Python class {value!r}, which is not of '
                                 'tensorflow-datasets; naming it would import its module. Nothing of it was run; get '
                                 'the data from a source that you trust.')


def _supervised(info, kinds, folder):
    """(image key, label key) of a tensorflow-datasets description."""
    pair = []
    for kind, chosen in zip((kinds.Image, kinds.ClassLabel), info.supervised_keys or (None, None)):
        keys = [key for key, feature in info.features.items() if isinstance(feature, kind)]
        if chosen not in keys and len(keys) != 1:
            raise ValueError(f'{folder} has {len(keys)} features of type {kind.__name__} ({", ".join(keys)}); needed '
                             'is one, or supervised_keys that choose.')
        pair.append(chosen if chosen in keys else keys[0])
    return pair
