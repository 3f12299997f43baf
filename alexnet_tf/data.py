"""Batches: which example comes when is a pure function of (seed, step), so that a resumed run goes on exactly.

`python -m alexnet_tf.build_tfrecords` makes the folders; `open_dataset` recognises them.
"""
import collections
import functools
import os
import re

import numpy as np
import tensorflow as tf

from alexnet_tf import preprocessing
from alexnet_tf.datasets import SAMPLE_DIR, Dataset, open_dataset, read_info

__all__ = ['SAMPLE_DIR', 'Batches', 'Dataset', 'evaluation_batches', 'open_dataset', 'positions',
           'read_info', 'training_batches']


def training_batches(dataset, *, seed, batch_size, start_step=0, image_size=224, resize_side_max=None,
                     augment=True, num_threads=None):
    """Batches number start_step, start_step + 1, … without end.

    Args:
      seed: order, crops and mirrors depend on it and on the step alone.
      batch_size: examples a step, all devices together.
      resize_side_max, augment: see `preprocessing.training_image`.
      num_threads: threads that decode; None: TensorFlow decides. It changes nothing but the speed.

    Returns: Batches of (uint8 [batch_size, image_size, image_size, 3], int64 [batch_size]).
    """
    if len(dataset) == 0 or batch_size < 1 or start_step < 0:
        raise ValueError(f'batch_size is {batch_size} and start_step {start_step}; they must be ≥ 1 and ≥ 0.')
    preprocessing.check_resize_side_max(resize_side_max, image_size)
    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max // batch_size)
    ranges = steps.map(lambda step: (step * batch_size, tf.constant(batch_size, tf.int64)))
    return Batches(
        dataset, ranges, batch_size, num_threads,
        choose=lambda first, count: positions(seed, first, count, len(dataset)),
        decode=lambda encoded, number: preprocessing.training_image(
            encoded, tf.stack([tf.constant(seed, tf.int64), number]), size=image_size,
            resize_side_max=resize_side_max, augment=augment))


def evaluation_batches(dataset, *, batch_size, image_size=224, num_threads=None):
    """Every example once, in the order of the records; the last batch may be smaller.

    Returns: Batches of (uint8 [b, side, side, 3], int64 [b]), side = square_side(image_size).
    """
    starts = tf.data.Dataset.range(0, len(dataset), batch_size)
    ranges = starts.map(lambda first: (first, tf.minimum(tf.cast(batch_size, tf.int64), len(dataset) - first)))
    return Batches(dataset, ranges, batch_size, num_threads,
                   choose=lambda first, count: np.arange(first, first + count),
                   decode=lambda encoded, _: preprocessing.evaluation_image(encoded, size=image_size))


def positions(seed, first, count, num_examples):
    """Which records are the `count` examples from number `first` on (number = step * batch size + row).

    Every epoch visits all records once, in an order of its own that depends on (seed, epoch) alone.

    Returns: int64 [count].
    """
    numbers = np.arange(first, first + count)
    epochs, within = numbers // num_examples, numbers % num_examples
    result = np.empty(count, np.int64)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        result[chosen] = _permutation(seed, int(epoch), num_examples)[within[chosen]]
    return result


@functools.lru_cache(maxsize=3)
def _permutation(seed, epoch, num_examples):
    # Sorting raw bits: NumPy promises the bit stream for ever, not the algorithm of permutation().
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(num_examples)
    return np.argsort(bits, kind='stable')


class Batches:
    """An iterable of (images, labels) over a tf.data pipeline (`pipeline`).

    Iterating raises ValueErrors that name file and record, where tf.data would bury them.

    Args:
      ranges: a tf.data.Dataset of (first number, count) of examples.
      choose: (first, count) -> record positions, run in Python.
      decode: (encoded image, number) -> uint8 image, run in TensorFlow.
    """

    def __init__(self, dataset, ranges, batch_size, num_threads, *, choose, decode):
        self._dataset, self._choose = dataset, choose
        self._error = None
        threads = num_threads or os.cpu_count() or 1  # each holds an example; queues hold a few batches
        self._recent = collections.deque(maxlen=16 + 2 * threads // batch_size)  # read, perhaps not decoded yet
        options = tf.data.Options()
        options.deterministic = True
        if num_threads:
            options.threading.private_threadpool_size = num_threads
        examples = ranges.map(self._read, num_parallel_calls=2).unbatch()
        images = examples.map(lambda encoded, label, number: (decode(encoded, number), label),
                              num_parallel_calls=num_threads or tf.data.AUTOTUNE)
        self.pipeline = images.batch(batch_size).prefetch(2).with_options(options)

    def __iter__(self):
        iterator = iter(self.pipeline)
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except tf.errors.OpError as error:
                raise self._explained(error) from None
            yield batch

    def _read(self, first, count):
        def read(first, count):
            try:
                chosen = self._choose(int(first), int(count))
                self._recent.append(chosen)
                images, labels = zip(*map(self._dataset.example, chosen))
            except ValueError as error:
                self._error = error
                raise
            return np.array(images, object), np.array(labels, np.int64)
        images, labels = tf.numpy_function(read, [first, count], [tf.string, tf.int64])
        return tf.ensure_shape(images, [None]), tf.ensure_shape(labels, [None]), first + tf.range(count)

    def _explained(self, error):
        """The ValueError behind a pipeline's error: a record that can't be read, or not be decoded."""
        if self._error is not None:
            return self._error
        for position in np.concatenate(list(self._recent)):
            try:
                preprocessing.decode(self._dataset.example(position)[0])
            except tf.errors.OpError as cause:
                reason = re.sub(r'\{\{.*?\}\} *| *\[Op:.*', '', cause.message, flags=re.S)  # names of TensorFlow's own
                return ValueError(f'{self._dataset.index.where(position)}: the image cannot be decoded '
                                  f'({reason}). Take it out or replace it.')
        return ValueError(f'reading {self._dataset.folder} failed: {error.message}')
