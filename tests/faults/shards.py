"""Shards of images that say which they are, and ways to damage them."""
import json
import struct

import numpy as np
import tensorflow as tf

from alexnet_tf.data import datasets, records
from alexnet_tf.data.batches import evaluation_batches, training_batches

SIDE = 16  # of the images: the square from which crops of 14 are taken, so that nothing is resized
SIZE = 14


def picture(number):
    """A PNG, all of it in blue `number`."""
    pixels = np.zeros([SIDE, SIDE, 3], np.uint8)
    pixels[..., 2] = number
    return tf.io.encode_png(pixels).numpy()


def example(image, label):
    return tf.train.Example(features=tf.train.Features(feature={
        'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        'image/class/label': tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))})).SerializeToString()


def shard(folder, number):
    """Path of one of the three shards."""
    return folder / f'train-{number:05d}-of-00003'


def write(folder, images, *, described=False):
    """Three shards, each of a third of the images (encoded), image n with label n % 3; classes 0 to 2.

    described: with the description of each shard that build_tfrecords writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = {}
    for index, part in enumerate(np.array_split(np.arange(len(images)), 3)):
        path = shard(folder, index)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for number in part:
                writer.write(example(images[number], int(number) % 3))
        shards[path.name] = records.description([length for _, length in places(path)])
    (folder / 'labels.txt').write_text('0:a\n1:b\n2:c\n')
    if described:
        (folder / 'dataset_info.json').write_text(json.dumps({
            'format': 'slim', 'counts': {'train': len(images)}, 'shards': shards, 'class_names': ['a', 'b', 'c'],
            'label_base': 0}))
    return folder


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


def evaluated(dataset, batch_size=4):
    """The numbers (blue) and labels of the images that an evaluation sees."""
    batches = list(evaluation_batches(dataset, batch_size=batch_size, image_size=SIZE))
    assert [len(labels) for _, labels in batches[:-1]] == [batch_size] * (len(batches) - 1)
    return (np.concatenate([images[:, 0, 0, 2] for images, _ in batches]).tolist(),
            np.concatenate([labels for _, labels in batches]).tolist())


def trained(dataset, steps, *, batch_size=4, start_step=0, seed=1, num_threads=None):
    """Numbers (blue), [steps, batch_size], of the images that training sees."""
    batches = training_batches(dataset, seed=seed, batch_size=batch_size, start_step=start_step, image_size=SIZE,
                                    num_threads=num_threads)
    return np.stack([images[:, 0, 0, 2] for (images, _), _ in zip(batches, range(steps))])


def open_counting(folder, limit):
    """(Dataset, list of the lines that are logged)."""
    lines = []
    return datasets.open_dataset(str(folder), 'train', max_bad_records=limit, log=lines.append), lines
