"""Batches that other machines decode (tf.data service), bit for bit those of TrainingBatches and in their order.

The service gives each step to one of its workers, and promises neither order nor that a step arrives: what a worker had
in hand when it died is lost. Here that changes nothing. Batches carry their numbers, come out in order, and one that
does not arrive is decoded here.
"""
import contextlib
import hashlib
import json
import queue
import re
import threading

import tensorflow as tf

from alexnet_tf.data import preprocessing, service_reader
from alexnet_tf.data.batches import TrainingBatches

WINDOW = 24  # batches that wait for an earlier one; when there are so many, it is lost or late
AGAIN = 2  # seconds until a service is asked again that has forgotten a run


class ServiceBatches(TrainingBatches):
    """TrainingBatches that the workers of a service_address.Service decode.

    Workers read the records themselves, under the same paths. No bad record is allowed.

    Iterating raises ValueErrors when the service gives nothing in time, or a worker refuses or finds a bad record.
    """

    def __init__(self, dataset, *, service, log=print, **options):
        super().__init__(dataset, **options)
        self._service, self._log, self._made, self._make_at = service, log, 0, None
        self._request = service_reader.request_for(dataset, self._seed)
        # A dispatcher without a journal that is started again counts its tasks from the beginning, and a worker that
        # lived on takes the first new one for its own old one: batches say whose they are.
        asked = json.dumps([self._request, self._batch_size, self._crop])
        self._mark = int.from_bytes(hashlib.sha256(asked.encode()).digest()[:8], 'big', signed=True)

    def __iter__(self):
        step, waiting = self._start_step, {}
        with contextlib.closing(_Fetched(lambda: self._distributed(step), self._say_forgotten)) as fetched:
            while True:
                while step not in waiting and len(waiting) < WINDOW:
                    images, labels, number = yield from self._next(fetched, step)
                    if number >= step:  # else it came late
                        waiting[number] = images, labels
                if step not in waiting:
                    self._say_made(step)
                yield waiting.pop(step, None) or self._make(step)
                step += 1

    def _next(self, fetched, step):
        """(images, labels, step) of a batch from the service, whichever comes first."""
        service = self._service
        try:
            return fetched.next(service.timeout_secs)
        except queue.Empty:
            said = f' It said: {_said(fetched.refused)}' if fetched.refused else ''
            raise ValueError(f'the data service at {service.address} gave no batch within {service.timeout_secs:g} s; '
                             'are its dispatcher and workers running? Start them, and the same command goes on from '
                             f'what is saved.{said}') from None
        except tf.errors.OpError as error:
            failed = error
        said = re.search(r'ValueError: (.*?)\s*\nTraceback', failed.message, re.S)
        if said:
            raise ValueError(f'the data service at {service.address}: {said[1]}')
        if isinstance(failed, tf.errors.InvalidArgumentError):
            # An image that cannot be decoded has no name there. It is in one of the batches that workers had in hand.
            for later in range(step, step + WINDOW):
                yield self._make(later)
        raise ValueError(f'the data service at {service.address} failed; when it runs again, the same command goes on '
                         f'from what is saved. It said: {_said(failed)}')

    def _distributed(self, step):
        """Yields (images, labels, step) from a step on, in the order in which the service gives them.

        Raises: tf.errors.NotFoundError when the service has forgotten what it was asked.
        """
        options = tf.data.Options()
        options.autotune.enabled = False  # as in Batches
        service = tf.data.experimental.service
        batches = self._numbered(self._ranges((step - self._start_step) * self._batch_size), self._ask)
        batches = batches.map(lambda *batch: (*batch, self._mark)).prefetch(2).with_options(options)
        for images, labels, numbers, mark in batches.apply(service.distribute(
                service.ShardingPolicy.DYNAMIC, self._service.address, compression=None)).with_options(options):
            if int(mark) != self._mark:
                raise tf.errors.NotFoundError(None, None, 'a worker gave a batch of another run')
            yield images, labels, int(numbers[0]) // self._batch_size

    def _numbered(self, ranges, read):
        """Batches of (image, label, number of the example)."""
        examples = ranges.map(read, num_parallel_calls=2).unbatch()
        images = examples.map(
            lambda encoded, label, number: (self._decode(encoded, number), label, number),
            2 * self._batch_size, deterministic=True)  # on however many cores a worker has
        return images.batch(self._batch_size)

    def _ask(self, first, count):
        """`_read`, by the worker."""
        images, labels = tf.raw_ops.PyFunc(input=[self._request, first, count], token=service_reader.TOKEN,
                                           Tout=[tf.string, tf.int64])
        labels = tf.ensure_shape(labels, [None])
        return tf.ensure_shape(images, [None]), labels, first + tf.range(tf.size(labels, tf.int64))

    def _make(self, step):
        """(images, labels) of a step, decoded here. Raises: ValueError naming file and record of a bad one."""
        if self._make_at is None:
            self._make_at = tf.function(self._single, input_signature=[tf.TensorSpec([], tf.int64)])
        try:
            return self._make_at(step * self._batch_size)
        except tf.errors.OpError as error:
            message = error.message
        self._find_bad((step - self._start_step) * self._batch_size, message)  # raises: no bad record is allowed

    def _single(self, first):
        """The batch from example number `first` on, as a graph: making a pipeline anew takes longer than decoding."""
        ranges = tf.data.Dataset.from_tensors((first, tf.constant(self._batch_size, tf.int64)))
        return self._numbered(ranges, self._read).get_single_element()[:2]

    def _say_made(self, step):
        self._made += 1
        if self._made in (1, 10, 100) or self._made % 1000 == 0:
            self._log(f'The batch of step {step} was lost by the data service or came {WINDOW} batches late, and was '
                      f'decoded here; so far {self._made}. The run stays the same.')

    def _say_forgotten(self):
        self._log(f'The data service at {self._service.address} has forgotten this run, as a dispatcher does that is '
                  'started again without its --work_dir; asking it anew. The run stays the same.')


def _said(error):
    return ' '.join(preprocessing.reason(error).split())


class _Fetched:
    """The items of function()'s iterable, fetched by a thread of its own, so that waiting for one can end.

    A service that has forgotten what it was asked is asked again, after a call of say_forgotten, until `next` has
    waited long enough. refused: the NotFoundError that it takes for this; None: an item came after it. TensorFlow gives
    other errors the same type, as that of an operation which a worker does not know.
    """

    def __init__(self, function, say_forgotten):
        self._items, self._is_over, self.refused = queue.Queue(1), threading.Event(), None
        # A daemon: nothing ends TensorFlow's waiting for a service that is gone, and the process must not wait, too.
        threading.Thread(target=self._fetch, args=(function, say_forgotten), daemon=True).start()

    def next(self, timeout_secs):
        """Raises: queue.Empty when none came in time; what fetching raised."""
        item = self._items.get(timeout=timeout_secs)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self._is_over.set()

    def _fetch(self, function, say_forgotten):
        while not self._is_over.is_set():
            try:
                for item in function():
                    self.refused = None
                    self._put(item)
                    if self._is_over.is_set():
                        return
            except tf.errors.NotFoundError as error:
                if not self.refused:
                    say_forgotten()
                self.refused = error
                self._is_over.wait(AGAIN)
            except tf.errors.OpError as error:
                return self._put(error)

    def _put(self, item):
        while not self._is_over.is_set():
            with contextlib.suppress(queue.Full):
                return self._items.put(item, timeout=0.2)
