"""What an index says of itself, in its index.json; read without TensorFlow."""
import dataclasses
import os

from alexnet_tf.files import reading

DESCRIPTION, UNFINISHED = 'index.json', 'building.json'


@dataclasses.dataclass(frozen=True)
class Description:
    """What stands in index.json.

    checkpoint, step: what the features are of; network: its checksum, see features.fingerprint.
    dataset_dir, split, labels_offset, class_names: of the records; lengths_crc32c: which tells them from others.
    images, width: the shape of the features. batch_size: images at once, on which last bits may depend.
    files: {name: reading.fingerprint}; {} while it is unfinished.
    """
    checkpoint: str
    step: int
    network: str
    dataset_dir: str
    split: str
    labels_offset: int
    class_names: tuple
    lengths_crc32c: int
    images: int
    width: int
    batch_size: int
    files: dict = dataclasses.field(default_factory=dict)


def _is_text(value):
    return isinstance(value, str)


_RULES = {  # of its fields; see reading.check_fields
    'checkpoint': (_is_text, 'the name of a checkpoint', True), 'step': (reading.is_count, 'a step', True),
    'network': (_is_text, 'a checksum', True), 'dataset_dir': (_is_text, 'a folder', True),
    'split': (_is_text, 'the name of a split', True), 'labels_offset': (reading.is_count, 'a whole number', True),
    'class_names': (reading.are_names, 'a list of names', True),
    'lengths_crc32c': (lambda value: type(value) is int, 'a checksum', True),
    'images': (lambda value: reading.is_count(value) and value > 0, 'a number of images', True),
    'width': (lambda value: reading.is_count(value) and value > 0, 'a number of features', True),
    'batch_size': (reading.is_count, 'a number of images', True),
    'files': (lambda value: isinstance(value, dict), 'an object of checksums', True),
}


def of_folder(folder):
    """The Description of the index in a folder. Raises: ValueError for no index, an unfinished and a damaged one."""
    about = read(os.path.join(folder, DESCRIPTION))
    if about is None and os.path.exists(os.path.join(folder, UNFINISHED)):
        raise ValueError(f'the index in {folder} is unfinished; give the command that began it again.')
    if about is None:
        raise ValueError(f'there is no index in {folder}; python -m alexnet_tf.retrieval build --output={folder} makes '
                         'one.')
    return about


def read(path):
    """The Description in a file; None: there is no such file. Raises: ValueError for a damaged one."""
    fields = reading.read_json(path)
    if fields is None:
        return None
    reading.check_fields(fields, _RULES, path)
    known = {name: value for name, value in fields.items() if name in _RULES}
    return Description(**known | {'class_names': tuple(fields['class_names'])})
