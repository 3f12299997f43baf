"""The images that pictures are of: files, and records of a data set."""
import dataclasses
import os

import tensorflow as tf

from alexnet_tf.data import preprocessing, records
from alexnet_tf.files import places, reading
from alexnet_tf.model import evaluation
from alexnet_tf.pictures.predictions import Example


@dataclasses.dataclass(frozen=True)
class Subject:
    """An encoded image. name: of its file or record. label: number of its class, of a record; None: not known.
    folder: name of the folder that its file is in, '' of a record.
    """
    encoded: bytes
    name: str
    label: int | None = None
    folder: str = ''

    def truth(self, class_names):
        """The number of its class among these, by its label or its folder; None: not known."""
        if self.label is not None:
            return self.label
        return class_names.index(self.folder) if self.folder in class_names else None

    def read(self, function, **options):
        """function(encoded image, options). Raises: ValueError for an image that cannot be decoded."""
        try:
            return function(self.encoded, **options)
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f'{self.name} cannot be decoded ({preprocessing.reason(error)}); give JPEG or PNG '
                             'images.') from error

    def square(self, spec):
        """What preprocessing.evaluation_image gives for a network of a specs.Spec. Raises: as `read`."""
        return self.read(preprocessing.evaluation_image, size=spec.image_size, resize_mode=spec.resize_mode)


def find(argument, open_split):
    """The Subject that an argument names: a file, or `split:number`, a record from 0 up.

    open_split: function of the name of a split that gives its Dataset.

    Raises: ValueError, OSError.
    """
    record = None if os.path.lexists(argument) else places.RECORD.fullmatch(argument)
    if not record:
        return of_file(argument)
    dataset = open_split(record[1])
    if int(record[2]) >= len(dataset):
        raise ValueError(f'{argument}: split {record[1]!r} of {dataset.folder} has {len(dataset)} records, '
                         'counted from 0.')
    return of_record(dataset, int(record[2]))


def of_file(path):
    """The Subject of an image file. Raises: ValueError, OSError."""
    places.check_image(path)
    try:
        encoded = reading.read_bytes(path, records.MAX_BYTES)
    except ValueError as error:
        raise ValueError(f'{path}: {error}; give a JPEG or PNG image.') from error
    return Subject(encoded, os.path.basename(path), folder=os.path.basename(os.path.dirname(os.path.abspath(path))))


def of_record(dataset, position):
    """The Subject of one record of a Dataset. Raises: ValueError for a damaged one."""
    encoded, label = dataset.example(position)
    return Subject(encoded, f'{dataset.split}:{position}', label)


def answered(loaded, subjects):
    """[predictions.Example] of Subjects, by a loading.Loaded.

    Raises: ValueError for an image that cannot be decoded.
    """
    spec = loaded.spec
    squares = tf.stack([subject.square(spec) for subject in subjects])
    scores = evaluation.scores(squares, loaded.model, loaded.mean, spec.image_size).numpy()
    crops = preprocessing.central_crop(squares, spec.image_size).numpy()
    return [Example(crop, row, subject.truth(spec.class_names), subject.name)
            for crop, row, subject in zip(crops, evaluation.probabilities(scores), subjects)]
