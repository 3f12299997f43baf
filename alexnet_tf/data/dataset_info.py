"""dataset_info.json: what build_tfrecords writes about a folder of records."""
import os

from alexnet_tf.files import reading

INFO_FILE = 'dataset_info.json'
PARTS_DIR = 'parts'  # while build_tfrecords is at work: statistics of finished shards
_MAX_LABEL = 1_000_000


def _are_shards(shards):
    numbers = 'records', 'bytes', 'lengths_crc32c'
    return isinstance(shards, dict) and all(
        isinstance(shard, dict) and all(type(shard.get(name)) is int and 0 <= shard[name] < 1 << 63 for name in numbers)
        for shard in shards.values())


_RULES = {  # of its fields, which may come from anybody; see reading.check_fields
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


def read_info(folder):
    """What build_tfrecords wrote about a folder, or None. Raises ValueError for a damaged description."""
    path = os.path.join(folder, INFO_FILE)
    info = reading.read_json(path)
    if not info or info.get('format') != 'slim':
        return None  # tensorflow-datasets has a file of this name
    reading.check_fields(info, _RULES, path)
    return info
