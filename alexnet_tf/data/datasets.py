"""A Dataset: labelled images, each by its position, labels 0..N-1. `open_dataset` makes it of a folder of records."""
import dataclasses
import os
import threading

import numpy as np
import tensorflow as tf

from alexnet_tf.console import terminal
from alexnet_tf.data import records, slim_folders, tfds_folders
from alexnet_tf.files import places

SAMPLE_DIR = os.path.join(os.path.dirname(__file__), 'sample')
READ_THROUGH = 1 << 30  # bytes of a split that is read as a whole before the first step
READ_FIRST = 4096  # records of a larger one, the first ones of every shard
_NOTHING = tf.train.Feature()


class BadRecords:
    """The records of a split that cannot be used, by position: at most `limit`, each told to `log` once.

    lost: how many more the folder's description names that no file has.
    """

    def __init__(self, limit, log):
        self.limit, self.lost = limit, 0
        self._log, self._known, self._lock = log, set(), threading.Lock()

    def __len__(self):
        return len(self._known) + self.lost

    def __contains__(self, position):
        return int(position) in self._known

    def lose(self, count, path):
        """Counts records that a file should have and of which nothing is left. Raises: ValueError beyond the limit."""
        if len(self) + count > self.limit:
            raise ValueError(f'{path} lacks {count} records, besides those that are there and damaged; '
                             f'--max_bad_records={self.limit} allows no more. Fetch it again, or write it again.')
        self.lost += count
        self._log(f'{path} lacks {count} records, which count as bad ones.')

    def add(self, position, error):
        """Notes a record, known or not; `error` says what is wrong with it.

        Raises: the error itself if it is a StorageError or no bad record is allowed; ValueError beyond the limit.
        """
        if isinstance(error, records.StorageError) or not self.limit:
            raise error from None
        with self._lock:
            if position in self:
                return
            if len(self) >= self.limit:
                raise ValueError(f'{error} It is bad record number {len(self) + 1}; --max_bad_records={self.limit} '
                                 'allows no more.') from None
            self._known.add(int(position))
            self._log(f'Bad record {len(self)} of at most {self.limit}, left out: {terminal.sentence(error)}')

    def good(self, function, positions):
        """Yields function(position) of every good record; one for which it raises ValueError is added."""
        for position in positions:
            try:
                yield function(position)
            except ValueError as error:
                self.add(position, error)


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
    bad: BadRecords = dataclasses.field(compare=False)

    def __len__(self):
        return len(self.index)

    @property
    def num_classes(self):
        return len(self.class_names)

    def report_bad(self, log=print):
        """Says how many records were left out, if any may be."""
        if self.bad.limit:
            log(f'Bad records left out of split {self.split!r} of {self.folder}: {len(self.bad)} of '
                f'{len(self) + self.bad.lost} (--max_bad_records={self.bad.limit}).')

    def example(self, position):
        """(encoded image, label 0..num_classes-1) of one record.

        Raises: ValueError naming file and record: damaged, a key missing, the label out of range.
        """
        image, stored = _stored(self.index, position, self.image_key, self.label_key)
        label = stored - self.labels_offset
        if not 0 <= label < self.num_classes:
            raise ValueError(
                f'{self.index.where(position)}: label {stored} less labels_offset {self.labels_offset} is {label}; '
                f'labels must then be 0 to {self.num_classes - 1}. Correct --labels_offset, labels.txt or the records.')
        return image, label


def _stored(index, position, image_key, label_key):
    """(encoded image, label) as a record has them. Raises: ValueError naming file and record."""
    where, record = index.where(position), records.read_record(index, position)
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError is not in TensorFlow's public API
        raise ValueError(f'{where} is not a tf.train.Example. Build the records again.') from error
    labels = features.get(label_key, _NOTHING).int64_list.value
    images = features.get(image_key, _NOTHING).bytes_list.value
    if len(labels) != 1 or len(images) != 1 or not images[0]:
        lacking = f'integer label under {label_key!r}' if len(labels) != 1 else f'image under {image_key!r}'
        raise ValueError(f'{where}: no {lacking}; it has {", ".join(sorted(features)) or "no keys"}. Build the '
                         'records again, with both.')
    return images[0], labels[0]


def open_dataset(folder, split, *, labels_offset=None, default_num_classes=None, max_bad_records=0, log=print):
    """Opens one split of a folder of records, and reads records to find damage before the first step.

    Args:
      folder: of slim's or Model Garden's shards (`train-00000-of-01024`), of this project's build_tfrecords, or of
        tensorflow-datasets (also its parent, if it has one version). It is recognized by what is in it.
      split: 'train', 'validation', …, as in the files' names.
      labels_offset: subtracted from labels and from their number, as in slim (where 0 keeps label 0, "background", as a
        class of its own); None: so that the first class becomes 0.
      default_num_classes: used where the folder doesn't say how many classes there are.
      max_bad_records: so many records that are damaged, or no labelled images, are left out, each named to `log`.

    Raises: ValueError with the file, the record and what to do, for all that does not fit.
    """
    bad = BadRecords(max_bad_records, log)

    def first_look(index, **keys):
        return bad.good(lambda position: _stored(index, position, **keys), _first(index))
    places.check_records(folder)
    tfds_folder = tfds_folders.find(folder)
    if tfds_folder:
        described = tfds_folders.read(tfds_folder, split, labels_offset or 0, bad)
    else:
        described = slim_folders.read(folder, split, labels_offset=labels_offset, bad=bad, first_look=first_look,
                                      default_num_classes=default_num_classes)
    dataset = Dataset(tfds_folder or folder, split, bad=bad, **described)
    for _ in bad.good(dataset.example, _first(dataset.index)):
        pass  # all that matters is which are bad
    return dataset


def splits(folder):
    """The names of the splits of a folder; ['train'] where there are none, which open_dataset then explains.

    Raises: ValueError when there is no such folder, and for a damaged description.
    """
    places.check_records(folder)
    tfds_folder = tfds_folders.find(folder)
    return tfds_folders.splits(tfds_folder) if tfds_folder else slim_folders.splits(folder) or ['train']


def open_splits(folder, split, validation_split, *, labels_offset=None, **options):
    """(training Dataset, validation Dataset or None where validation_split is ''); arguments as of open_dataset.

    Raises: ValueError when one cannot be opened, or their classes differ.
    """
    dataset = open_dataset(folder, split, labels_offset=labels_offset, **options)
    if not validation_split:
        return dataset, None
    try:
        validation = open_dataset(folder, validation_split, labels_offset=dataset.labels_offset, **options)
    except ValueError as error:
        raise ValueError(f'the validation split: {error} Another split can be named with --validation_split_name; to '
                         'train without any: --validation_split_name= --learning_rate_decay_type=fixed.') from error
    if validation.class_names != dataset.class_names:
        raise ValueError(f'in {folder} the splits {dataset.split} and {validation.split} have different classes '
                         f'({dataset.num_classes} and {validation.num_classes}); put a labels.txt beside the shards '
                         "(a line 'label:name' per class).")
    return dataset, validation


def _first(index):
    """Positions of the records that are read first; with those of which the index alone shows that they are bad."""
    if index.length.sum() <= READ_THROUGH:
        return range(len(index))
    each = -(-READ_FIRST // len(index.files))
    chosen = {position for start, end in zip(index.starts, index.starts[1:])
              for position in range(start, min(end, start + each))}
    return sorted(chosen | set(index.faults) | set(np.flatnonzero(index.length > records.MAX_BYTES).tolist()))
