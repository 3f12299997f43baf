"""Batches: which example comes when is a pure function of (seed, step), so that a resumed run goes on exactly."""
import functools
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing


def positions(seed, first, count, num_examples):
    """int64 [count], which records are the examples from number `first` on (number = step * batch size + row).

    Every epoch visits all records once, in an order of its own that depends on (seed, epoch) alone.
    """
    epochs, places = np.divmod(np.arange(first, first + count), num_examples)
    return np.array([_permutation(seed, epoch, num_examples)[place] for epoch, place in zip(epochs.tolist(), places)])


@functools.lru_cache(maxsize=3)
def _permutation(seed, epoch, num_examples):
    # Sorting raw bits: NumPy promises the bit stream for ever, not the algorithm of permutation().
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(num_examples)
    return np.argsort(bits, kind='stable')


class Batches:
    """An iterable of (images, labels) over a tf.data pipeline (`pipeline`).

    Records that cannot be read, or not be decoded, are counted in dataset.bad. Which batches come is a function of the
    files, not of what was known before. Where bad records are not allowed, or are more than allowed, iterating raises
    ValueErrors that name file and record, where tf.data would bury them. MemoryError: there is not enough of it.

    A subclass says which examples come after `done`, as a tf.data.Dataset of (first number, count) (_ranges), which
    _positions they have (not their numbers), how to _decode one, what comes for a bad one (_candidates, _without).
    """

    def __init__(self, dataset, batch_size, num_threads):
        self._dataset, self._batch_size, self._num_threads = dataset, batch_size, num_threads
        self._error = None  # what the reader raised
        self.pipeline = self._pipeline(0)

    def _pipeline(self, done):
        """The batches after `done` examples."""
        options = tf.data.Options()
        options.deterministic = True
        # Its thread counts what it may change, and at the end of a pipeline is waited for, up to a minute.
        options.autotune.enabled = False
        if self._num_threads:
            options.threading.private_threadpool_size = self._num_threads
        examples = self._ranges(done).map(self._read, num_parallel_calls=2).unbatch()
        # More calls than threads: a thread that is done goes on while its image waits for one before it.
        calls = 4 * (self._num_threads or len(os.sched_getaffinity(0)))
        images = examples.map(lambda encoded, label, number: (self._decode(encoded, number), label), calls)
        return images.batch(self._batch_size).prefetch(2).with_options(options)

    def __iter__(self):
        iterator, done, self._error = iter(self.pipeline), 0, None
        while True:
            try:
                for batch in iterator:
                    done += batch[0].shape[0]
                    yield batch
                break
            except tf.errors.OpError as error:
                # not the error: with this frame it would make a cycle that keeps the iterator
                message, of_memory = error.message, isinstance(error, tf.errors.ResourceExhaustedError)
            iterator = None  # ends its threads now, whoever keeps the error that comes
            if of_memory:  # of Python in _read_examples, or of TensorFlow itself
                raise MemoryError(f'It ran out while records of {self._dataset.folder} were read.')
            self._find_bad(done, message)
            iterator = iter(self._pipeline(done))
        if not done:
            raise ValueError(self._none_left())

    def _read(self, first, count):
        """(encoded images [n], labels [n], numbers [n]) of the good examples of a range, in TensorFlow."""
        images, labels = tf.numpy_function(self._read_examples, [first, count], [tf.string, tf.int64])
        labels = tf.ensure_shape(labels, [None])
        return tf.ensure_shape(images, [None]), labels, first + tf.range(tf.size(labels, tf.int64))

    def _read_examples(self, first, count):
        try:
            examples = self._examples(first, count)
        except ValueError as error:
            self._error = error
            raise
        return np.array([image for image, _ in examples], object), np.array([label for _, label in examples], np.int64)

    def _examples(self, first, count, *, decoding=False):
        """[(encoded image, label)] of the good examples of a range, in Python."""
        examples = [self._good_example(position, number, decoding)
                    for number, position in enumerate(self._positions(int(first), int(count)).tolist(), int(first))]
        return [example for example in examples if example]

    def _good_example(self, position, number, decoding):
        """The example at the position, or what comes in its place.

        Whether an image can be decoded is known for sure only after decoding it, which the pipeline does faster. So
        here only images are decoded that have failed before (another crop of the same image may succeed), or all. No
        tf.function may run here: it would wait for threads of the pool that readers like this one have taken.
        """
        for candidate in self._candidates(position):
            try:
                example = self._dataset.example(candidate)
                if decoding or candidate in self._dataset.bad:
                    self._decode(example[0], tf.constant(np.int64(number)))
                return example
            except ValueError as error:
                self._dataset.bad.add(candidate, error)
            except tf.errors.InvalidArgumentError as error:
                self._dataset.bad.add(candidate, ValueError(
                    f'{self._dataset.index.where(candidate)}: the image cannot be decoded '
                    f'({preprocessing.reason(error)}). Take it out or replace it.'))
        return self._without(position)

    def _find_bad(self, done, message):
        """Adds what is bad in the batch after `done` examples. Raises: ValueError if nothing is, or too much."""
        known, good = len(self._dataset.bad), 0
        for first, count in self._ranges(done):
            good += len(self._examples(first, count, decoding=True))
            if good >= self._batch_size:
                break
        if len(self._dataset.bad) == known:
            raise self._error or ValueError(f'reading {self._dataset.folder} failed: {message}')

    def _none_left(self):
        return (f'none of the {len(self._dataset)} records of split {self._dataset.split!r} in {self._dataset.folder} '
                'is good; fetch the folder again.')


class TrainingBatches(Batches):
    """Batches from start_step on, without end: uint8 [batch_size, image_size, image_size, 3], int64 [batch_size].

    The next good record takes a bad one's place. With `rows` only those rows of each batch are read and come.

    Args:
      seed: order, crops and mirrors depend on it and on the step alone. batch_size: all devices together.
      rows: (first, end), those of this process in the whole batch; None: all.
      resize_side_max, augment, resize_mode: see `preprocessing.training_image`.
      num_threads: threads that decode; None: one per core. It changes nothing but the speed.
    """

    def __init__(self, dataset, *, seed, batch_size, start_step=0, image_size=224, resize_side_max=None, augment=True,
                 resize_mode='shorter_side', num_threads=None, rows=None):
        preprocessing.check_resize_side_max(resize_side_max, image_size)
        self._seed, self._start_step, self._whole = seed, start_step, batch_size
        self._first_row, end = rows or (0, batch_size)
        self._crop = {'size': image_size, 'resize_side_max': resize_side_max, 'augment': augment,
                      'resize_mode': resize_mode}
        super().__init__(dataset, end - self._first_row, num_threads)

    def _ranges(self, done):
        size, whole = self._batch_size, self._whole
        steps = tf.data.Dataset.range(self._start_step + done // size, np.iinfo(np.int64).max // whole)
        return steps.map(lambda step: (step * whole + self._first_row, tf.constant(size, tf.int64)))

    def _positions(self, first, count):
        return positions(self._seed, first, count, len(self._dataset))

    def _decode(self, encoded, number):
        seed = tf.stack([tf.constant(self._seed, tf.int64), number])
        return preprocessing.training_image(encoded, seed, **self._crop)

    def _candidates(self, position):
        for later in range(len(self._dataset)):
            yield (position + later) % len(self._dataset)

    def _without(self, position):
        raise ValueError(self._none_left())


class EvaluationBatches(Batches):
    """Every example once, in the order of the records, bad ones left out; the last batch may be smaller.

    Each is uint8 [b, side, side, 3] and int64 [b], side = square_side(image_size). resize_mode: of
    `preprocessing.resized_square`. part: (first, end), only the records at these positions; None: all.
    """

    def __init__(self, dataset, *, batch_size, image_size=224, resize_mode='shorter_side', num_threads=None, part=None):
        self._square, self._left_out = {'size': image_size, 'resize_mode': resize_mode}, set()  # of positions
        self._part = part or (0, len(dataset))
        super().__init__(dataset, batch_size, num_threads)

    def _ranges(self, done):
        first, end = self._part
        good = np.setdiff1d(np.arange(first, end), sorted(self._left_out))
        starts = tf.data.Dataset.range(good[done] if done < len(good) else end, end, self._batch_size)
        return starts.map(lambda first: (first, tf.minimum(tf.cast(self._batch_size, tf.int64), end - first)))

    def _positions(self, first, count):
        return np.arange(first, first + count)

    def _decode(self, encoded, _):
        return preprocessing.evaluation_image(encoded, **self._square)

    def _candidates(self, position):
        return (position,)

    def _without(self, position):
        self._left_out.add(position)
