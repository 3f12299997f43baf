"""Writes TFRecord shards of labelled images that say which they are, damages them, and reads batches of them."""
import json
import struct

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, records
from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches

SIDE = 16  # of the pictures: the square from which crops of 14 are taken, so that nothing is resized
SIZE = 14
KINDS = {int: ('int64_list', tf.train.Int64List), bytes: ('bytes_list', tf.train.BytesList),
         float: ('float_list', tf.train.FloatList)}


# Writing ---------------------------------------------------------------------------------------------------


def picture(number):
    """A PNG whose pixels say where they are: (row, column, number)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return tf.io.encode_png(np.stack([rows, columns, np.full_like(rows, number)], -1).astype(np.uint8)).numpy()


def example(image, label, other=None):
    """A serialized tf.train.Example. Each may be one value, a list of several, or None for no such key.

    other: {key: the same}, for further keys.
    """
    stored = {}
    for key, values in {'image/encoded': image, 'image/class/label': label, **(other or {})}.items():
        values = values if isinstance(values, list) else [values]
        if values[0] is not None:
            name, kind = KINDS[type(values[0])]
            stored[key] = tf.train.Feature(**{name: kind(value=values)})
    return tf.train.Example(features=tf.train.Features(feature=stored)).SerializeToString(deterministic=True)


def write_file(path, contents):
    """Writes one TFRecord file; contents: the data of its records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)


def write_split(folder, *shards, split='train', labels_txt='1:a\n2:b\n3:c\n'):
    """Slim's shards, each a list of serialized examples, and labels.txt; returns the folder."""
    for number, shard in enumerate(shards):
        write_file(folder / f'{split}-{number:05d}-of-{len(shards):05d}', shard)
    if labels_txt is not None:
        (folder / 'labels.txt').write_text(labels_txt, encoding='utf-8')
    return folder


def pictures(numbers):
    """Serialized examples of pictures, picture n with label 1 + n % 3."""
    return [example(picture(number), 1 + number % 3) for number in numbers]


def write(folder, images, *, described=False):
    """Three shards, each of a third of the images (encoded), image n with label n % 3; classes 0 to 2.

    described: with the description of each shard that build_tfrecords writes.
    """
    stored = [example(image, number % 3) for number, image in enumerate(images)]
    parts = np.array_split(np.arange(len(images)), 3)
    write_split(folder, *([stored[number] for number in part] for part in parts), labels_txt='0:a\n1:b\n2:c\n')
    if described:
        (folder / 'dataset_info.json').write_text(json.dumps({
            'format': 'slim', 'counts': {'train': len(images)}, 'class_names': ['a', 'b', 'c'], 'label_base': 0,
            'shards': {shard(folder, number).name: records.description([len(stored[image]) for image in part])
                       for number, part in enumerate(parts)}}))
    return folder


def shard(folder, number):
    """Path of one of the three shards that `write` wrote."""
    return folder / f'train-{number:05d}-of-00003'


# Damaging --------------------------------------------------------------------------------------------------


def places(path):
    """(first byte, length of the data) of each record, read anew: the shard must be whole."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        length, = struct.unpack_from('<Q', content, at)
        found.append((at, length))
        at += 16 + length
    assert at == len(content)
    return found


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << at % 8
    path.write_bytes(content)


# Reading ---------------------------------------------------------------------------------------------------


def open_counting(folder, limit):
    """(Dataset, list of the lines that are logged)."""
    lines = []
    return datasets.open_dataset(str(folder), 'train', max_bad_records=limit, log=lines.append), lines


def evaluated(dataset, batch_size=4):
    """The numbers (blue) and labels of the images that an evaluation sees."""
    batches = list(EvaluationBatches(dataset, batch_size=batch_size, image_size=SIZE))
    assert [len(labels) for _, labels in batches[:-1]] == [batch_size] * (len(batches) - 1)
    return (np.concatenate([images[:, 0, 0, 2] for images, _ in batches]).tolist(),
            np.concatenate([labels for _, labels in batches]).tolist())


def trained(dataset, steps, *, batch_size=4, start_step=0, num_threads=None):
    """Numbers (blue), [steps, batch_size], of the images that training sees."""
    batches = TrainingBatches(dataset, seed=1, batch_size=batch_size, start_step=start_step, image_size=SIZE,
                               num_threads=num_threads)
    return np.stack([images[:, 0, 0, 2] for (images, _), _ in zip(batches, range(steps))])


def labels(dataset):
    """The labels of all examples, by position."""
    return [dataset.example(position)[1] for position in range(len(dataset))]


def refused(folder, message, split='train', **kwargs):
    """Opens a folder, which must be refused with a message; returns the whole of it."""
    with pytest.raises(ValueError, match=message) as caught:
        datasets.open_dataset(str(folder), split, **kwargs)
    return str(caught.value)
