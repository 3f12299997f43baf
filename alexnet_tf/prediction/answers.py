"""What a source of predictions answers, and how batches of images are given to one.

A source is a function of a list of encoded images (bytes) that returns a list of as many Answers.
"""
import collections
import concurrent.futures
import os

import numpy as np

from alexnet_tf.files import reading

TOP = 5
MAX_FILE_BYTES = 128 << 20  # as build_tfrecords has it; a larger file is no photograph
MAX_BATCH_BYTES = 256 << 20  # of files in one batch
AT_ONCE = 2  # batches: one is read and decoded while the other is computed

# The best classes, at most TOP: (name, probability 0..1), best first. Or why the image cannot be read.
Answer = list[tuple[str, float]] | str


def best(probabilities, class_names):
    """The Answer for the probabilities of all classes of one image; equal ones rank by class, as in evaluation."""
    order = np.argsort(-probabilities, kind='stable')[:TOP]
    return [(class_names[number], float(probabilities[number])) for number in order]


def of_files(found, source, *, batch_size):
    """Yields lists of (path, Answer), in order; of the files only a few batches are in memory at any time.

    Args:
      found: [(path, None, or why it cannot be read)], as of image_files.find.
      batch_size: images a batch; fewer where their files are large.
    """
    pool, pending = concurrent.futures.ThreadPoolExecutor(AT_ONCE), collections.deque()
    try:
        for batch in _batches(found, batch_size):
            pending.append(pool.submit(_of_batch, batch, source))
            if len(pending) == AT_ONCE:
                yield pending.popleft().result()
        for future in pending:
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for a batch


def _batches(found, batch_size):
    batch, total = [], 0
    for path, problem in found:
        size = 0 if problem else _size(path)
        if batch and (len(batch) == batch_size or total + size > MAX_BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append((path, problem))
        total += size
    if batch:
        yield batch


def _size(path):
    try:
        return min(os.path.getsize(path), MAX_FILE_BYTES)
    except OSError:  # reading it will say why
        return 0


def _of_batch(batch, source):
    """[(path, Answer)] of [(path, problem)]."""
    answers, images = [], []
    for path, problem in batch:
        try:
            content = None if problem else reading.read_bytes(path, MAX_FILE_BYTES)
        except (OSError, ValueError) as error:
            problem = getattr(error, 'strerror', None) or str(error)
        answers.append(problem)
        if not problem:
            images.append(content)
    given = iter(source(images) if images else [])
    return [(path, problem or next(given)) for (path, _), problem in zip(batch, answers)]
