"""Folders of slim's shards, `train-00000-of-01024`; also Model Garden's, and build_tfrecords' with its description."""
import os
import re

from alexnet_tf.data import records
from alexnet_tf.files import reading

INFO_FILE = 'dataset_info.json'
PARTS_DIR = 'parts'  # while build_tfrecords is at work: statistics of finished shards
BACKGROUND = 'background'  # the name of slim's class 0
KEYS = {'image_key': 'image/encoded', 'label_key': 'image/class/label'}


def read(folder, split, *, labels_offset, default_num_classes, bad, first_look):
    """What the folder says about a split: the fields of a Dataset.

    Args:
      labels_offset, default_num_classes: see `datasets.open_dataset`.
      bad: BadRecords. first_look: function of an Index and KEYS that yields (image, label) of the first good records.

    Raises: ValueError for shards that are missing or damaged, and for a description that is missing or wrong.
    """
    index = records.index_files(_shards(folder, split), tolerant=bad.limit > 0)
    info = read_info(folder) or {}
    if split in info.get('counts', ()):
        _check_shards(index, info.get('shards', {}), folder, bad)
        if info['counts'][split] != len(index) and not index.faults:
            raise ValueError(f'{folder} has {len(index)} records of split {split!r}, its {INFO_FILE} says '
                             f'{info["counts"][split]}; shards were exchanged. Build the folder again.')
    names, base = _described_labels(folder, info)
    if names is None:
        if default_num_classes is None:
            raise ValueError(f'{folder} does not say how many classes it has; put a labels.txt beside the shards '
                             "(a line 'label:name' per class).")
        labels = [label for _, label in first_look(index, **KEYS)]
        base = _label_base(index, labels, default_num_classes, labels_offset)
        names = tuple(str(label) for label in range(base, base + default_num_classes))
    if labels_offset is None:
        labels_offset = base
    names = (BACKGROUND, *map(str, range(1, base)))[:base] + names  # from label 0 on; slim's 1001 classes
    return {'index': index, **KEYS, 'labels_offset': labels_offset, 'class_names': names[labels_offset:], 'info': info}


def _check_shards(index, described, folder, bad):
    """Refuses shards that are not those that build_tfrecords wrote; described: {name: records.description(…)}.

    A shard with faults has other numbers because of them. What it lacks is counted as bad records instead.
    """
    faulty = {index.file(position) for position in index.faults}
    for number, path in enumerate(index.files if described else ()):
        found = records.description(index.length[index.starts[number]:index.starts[number + 1]])
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
        found = _splits(folder)
        raise ValueError(f'{folder} has no shards {split}-00000-of-…; '
                         + (f'splits there: {", ".join(sorted(found))}.' if found else
                            'make some with python -m alexnet_tf.build_tfrecords.'))
    if os.path.isdir(os.path.join(folder, PARTS_DIR)):
        raise ValueError(f'{folder} is unfinished; run build_tfrecords again with the same flags.')
    totals = sorted({shard.fullmatch(name)[1] for name in names})
    if len(totals) > 1:
        raise ValueError(f'{folder} holds shards of more than one build ({split}-…-of-{", -of-".join(totals)}); '
                         'remove all but one.')
    missing = sorted({f'{split}-{number:05d}-of-{totals[0]}' for number in range(int(totals[0]))} - set(names))
    if missing:
        raise ValueError(f'{folder} lacks {len(missing)} of {int(totals[0])} shards: {", ".join(missing[:3])}'
                         f'{" …" if len(missing) > 3 else ""}.')
    return [os.path.join(parent, name) for name in names]


def splits(folder):
    """The names of the splits of a folder, as `read` takes them."""
    pairs = {os.path.split(name) for name in _splits(folder)}
    return sorted({split for parent, split in pairs if parent in ('', split)})  # Model Garden has a folder a split


def _splits(folder):
    """The splits of which the folder has shards, and those of folders in it, as folder/split."""
    inner = [name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name))]
    return {os.path.join(sub, match[1]) for sub in ('', *inner) for name in os.listdir(os.path.join(folder, sub))
            if (match := re.fullmatch(r'(.+)-\d+-of-\d+', name))}


def _described_labels(folder, info):
    """(class names, first label) by the folder's own description; (None, None) without one."""
    if info:
        return tuple(info['class_names']), info['label_base']
    path = os.path.join(folder, 'labels.txt')
    if not os.path.exists(path):
        return None, None
    labels = {}
    for line in reading.read_text(path).splitlines():
        label, separator, name = line.partition(':')
        if not separator or not re.fullmatch(r'\s*\d{1,6}\s*', label) or int(label) in labels:
            raise ValueError(f"{path}: line {line!r} is not 'label:name', or its label is there twice; correct it.")
        labels[int(label)] = name.strip()
    if labels.get(0) == BACKGROUND:
        del labels[0]
    if not labels or max(labels) - min(labels) >= len(labels):
        raise ValueError(f'{path}: labels must be consecutive numbers.')
    return tuple(labels[label] for label in sorted(labels)), min(labels)


def _label_base(index, labels, num_classes, labels_offset):
    """0 or 1: which of label 0 and label num_classes is among the labels. If neither: labels_offset."""
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
                     "labels.txt beside the shards (a line 'label:name' per class).")


def _are_shards(shards):
    numbers = 'records', 'bytes', 'lengths_crc32c'
    return isinstance(shards, dict) and all(
        isinstance(shard, dict) and all(type(shard.get(name)) is int and 0 <= shard[name] < 1 << 63 for name in numbers)
        for shard in shards.values())


_RULES = {  # of its fields, which may come from anybody; see reading.check_fields
    'counts': (lambda counts: isinstance(counts, dict) and all(map(reading.is_count, counts.values())),
               'an object of numbers', True),
    'class_names': (reading.are_names, 'a list of names', True),
    'label_base': (lambda base: reading.is_count(base) and base < 1_000_000, 'the first label', True),
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
