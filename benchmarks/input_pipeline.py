"""Images a second from JPEG records: this project's pipeline (and without its fixed order), slim's way, PyTorch's
DataLoader, bare decoding.

    python -m benchmarks.input_pipeline --dataset_dir=records --output_json=input_pipeline.json

dataset_dir: records of build_tfrecords, once with images as they are, once with --resize_shorter_side=256. The ceiling
is libjpeg-turbo's decoding (simplejpeg) of the same bytes on the same cores.
"""
import concurrent.futures
import functools
import io
import os
import statistics
import time

import tensorflow as tf
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches
from benchmarks import timing

FLAGS = flags.FLAGS
ROWS = (
    Flag('dataset_dir', list, [datasets.SAMPLE_DIR], 'Folders of records, with commas between.'),
    Flag('images', int, 1000, 'Images a repetition.', low=1),
    Flag('repetitions', int, 5, 'Repetitions.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)
BATCH = 128


def rate(iterator, images):
    """Images a second over `images` of them, after two batches to fill the queues."""
    for _ in range(2):
        next(iterator)
    start, seen = time.perf_counter(), 0
    while seen < images:
        seen += len(next(iterator)[1])
    return seen / (time.perf_counter() - start)


def ours(dataset, cores):
    return iter(TrainingBatches(dataset, seed=0, batch_size=BATCH, num_threads=cores))


def ours_any_order(dataset, cores):
    """As `ours`, but an image that is ready does not wait for those before it: the price of determinism."""
    options = tf.data.Options()
    options.deterministic = False
    batches = TrainingBatches(dataset, seed=0, batch_size=BATCH, num_threads=cores)
    return iter(batches.pipeline.with_options(options))


def ours_ten_views(dataset, cores):
    """The squares of evaluation with their ten crops, over and over."""
    batches = EvaluationBatches(dataset, batch_size=BATCH, num_threads=cores)
    crops = tf.function(lambda images: tf.stack(preprocessing.views(images, 224, 10)))
    while True:
        for images, labels in batches:
            crops(images)
            yield images, labels


def slim_style(dataset, cores):
    """As slim's users do it: TFRecordDataset, tf.image, stateful random ops, the mean subtracted image by image."""
    def parse(record):
        features = tf.io.parse_single_example(record, {
            'image/encoded': tf.io.FixedLenFeature([], tf.string),
            'image/class/label': tf.io.FixedLenFeature([], tf.int64)})
        image = tf.image.decode_jpeg(features['image/encoded'], 3)
        shape = tf.cast(tf.shape(image)[:2], tf.float32)
        size = tf.cast(tf.round(shape * 256 / tf.reduce_min(shape)), tf.int32)
        image = tf.image.random_crop(tf.image.resize(image, size), [224, 224, 3])
        return tf.image.random_flip_left_right(image) - [123.68, 116.78, 103.94], features['image/class/label']
    pipeline = tf.data.TFRecordDataset(dataset.index.files).repeat().shuffle(1024)
    options = tf.data.Options()
    options.threading.private_threadpool_size = cores
    return iter(pipeline.map(parse, tf.data.AUTOTUNE).batch(BATCH).prefetch(2).with_options(options))


class TorchImages:
    """A map-style dataset of (float CHW, label) as torchvision's users write it, with Pillow."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return 10 ** 7

    def __getitem__(self, number):
        import numpy as np
        import torch
        from PIL import Image
        encoded, label = self.dataset.example(number % len(self.dataset))
        image = Image.open(io.BytesIO(encoded)).convert('RGB')
        scale = 256 / min(image.size)
        image = image.resize([round(side * scale) for side in image.size], Image.BILINEAR)
        left, top = (torch.randint(0, side - 224 + 1, ()).item() for side in image.size)
        image = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
        if torch.rand(()) < 0.5:
            image = image[:, ::-1].copy()
        return torch.from_numpy(image).permute(2, 0, 1) - 117, label


def torch_loader(dataset, cores):
    import torch
    return iter(torch.utils.data.DataLoader(TorchImages(dataset), BATCH, shuffle=False, num_workers=cores))


def decode_ceiling(dataset, cores, images):
    """Images a second of bare decoding in `cores` threads."""
    import simplejpeg
    encoded = [dataset.example(number % len(dataset))[0] for number in range(min(images, 512))]
    decode = functools.partial(simplejpeg.decode_jpeg, fastdct=False)
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        list(pool.map(decode, encoded))
        start = time.perf_counter()
        list(pool.map(decode, encoded))
        return len(encoded) / (time.perf_counter() - start)


def measure(dataset, cores):
    """Rows for one number of cores; peers alternate, so that a busy moment hits all."""
    peers = {'alexnet_tf': ours, 'alexnet_tf, any order': ours_any_order, 'alexnet_tf, ten views': ours_ten_views,
             'slim style': slim_style, 'pytorch DataLoader': torch_loader}
    found = {peer: [] for peer in (*peers, 'decoding alone')}
    for _ in range(FLAGS.repetitions):
        found['decoding alone'].append(decode_ceiling(dataset, cores, FLAGS.images))
        for peer, make in peers.items():
            try:
                found[peer].append(rate(make(dataset, cores), FLAGS.images))
            except ImportError as error:
                print(f'{peer} is left out: {error}')
    ceiling, own = (statistics.median(found[name]) for name in ('decoding alone', 'alexnet_tf'))
    name = f'{os.path.basename(os.path.normpath(dataset.folder))}, {cores} core{"s" if cores > 1 else ""}'
    return [timing.row(name, peer, 'uint8', BATCH, 'images/s', values,
                       None if peer == 'alexnet_tf' else own / statistics.median(values),
                       statistics.median(values) / ceiling) for peer, values in found.items() if values]


def main():
    results = []
    for folder in FLAGS.dataset_dir:
        dataset = datasets.open_dataset(folder, 'train')
        for cores in sorted({1, len(os.sched_getaffinity(0))}):
            results += measure(dataset, cores)
    timing.report(results, FLAGS.output_json, {**timing.COLUMNS, 'share': 'share of bare decoding'})


if __name__ == '__main__':
    command.run('benchmarks.input_pipeline', main, ROWS)
