"""One shard of records from images: written by the process itself, or by one of several workers."""
import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
import zipfile

import numpy as np

from alexnet_tf.data import records


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records that is to be written.

    path: of the file. part: path of what `read_part` needs. images: (path, label from 1), in order.
    class_names, texts: folder and readable name of each class.
    resize_shorter_side, quality: see `folder_builder.build`.
    """
    path: str
    part: str
    split: str
    images: tuple
    class_names: tuple
    texts: tuple
    resize_shorter_side: int | None
    quality: int


@dataclasses.dataclass
class Part:
    """What a finished shard leaves: records, unreadable images, sums over the central 256x256 squares."""
    lengths: list  # bytes of each record
    unreadable: list
    image_sum: np.ndarray  # float64 [256, 256, 3]
    product_sum: np.ndarray  # float64 [3, 3], sum of the outer products of all pixels

    def description(self):
        return records.description(self.lengths)


_counter = None  # of a worker: images done by all of them


def start_worker(counter):
    """Called once in each worker process; counter: a multiprocessing.Value."""
    global _counter
    _counter = counter
    hide_gpus()
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # Ctrl-C goes to all; the parent says the sentence
    threading.Thread(target=_end_with_parent, daemon=True).start()


def hide_gpus():
    """Keeps TensorFlow, before it is imported, from taking GPUs: images are decoded by the CPU."""
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'


def _end_with_parent():
    # A killed parent would leave its workers waiting for ever, or writing what the next run writes too.
    multiprocessing.parent_process().join()
    os._exit(1)


def write_in_worker(shard):
    """`write_shard` in a process that `start_worker` began."""
    return write_shard(shard, _count)


def _count():
    with _counter.get_lock():
        _counter.value += 1


def write_shard(shard, count):
    """Writes a Shard's file and part, both under a temporary name until complete. Returns the Part.

    count: function without arguments, called after each image.
    """
    from alexnet_tf.data import image_records  # here, since the parent of workers needs no TensorFlow
    part = Part([], [], np.zeros([256, 256, 3]), np.zeros([3, 3]))
    temporary = shard.path + '.partial'
    with image_records.open_writer(temporary) as writer:
        for path, label in shard.images:
            try:
                encoded, square, shape = image_records.read_image(path, shard.resize_shorter_side, shard.quality)
            except (OSError, ValueError) as error:
                part.unreadable.append((path, str(error)))
            else:
                record = image_records.make_record(
                    encoded, shape, os.fsencode(os.path.basename(path)), label=label,
                    class_name=shard.class_names[label - 1], text=shard.texts[label - 1])
                writer.write(record)
                _add(part, record, square, shard.split)
            count()
    os.replace(temporary, shard.path)
    _write_part(shard, part)
    return part


def read_part(shard):
    """The Part of a shard that an earlier run finished, or None."""
    if not os.path.exists(shard.path):
        return None
    damaged = OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile
    with contextlib.suppress(*damaged), np.load(shard.part) as stored:
        if stored['sizes'].tolist() != _sizes(shard):  # an image was replaced
            return None
        part = Part(stored['lengths'].tolist(), [tuple(pair) for pair in stored['unreadable'].tolist()],
                    stored['image_sum'], stored['product_sum'])
        if part.description()['bytes'] == os.path.getsize(shard.path):  # it was not cut off since
            return part
    return None


def _write_part(shard, part):
    temporary = shard.part + '.partial'
    with open(temporary, 'wb') as file:
        np.savez(file, sizes=_sizes(shard), lengths=np.array(part.lengths, np.int64),
                 unreadable=np.array(part.unreadable, str), image_sum=part.image_sum, product_sum=part.product_sum)
    os.replace(temporary, shard.part)


def _sizes(shard):
    """Bytes of each image's file; -1 for a link to nowhere (it counts as unreadable)."""
    return [os.path.getsize(path) if os.path.exists(path) else -1 for path, _ in shard.images]


def _add(part, record, square, split):
    part.lengths.append(len(record))
    if split == 'train':  # the statistics are those of the training set
        part.image_sum += square
        pixels = square.reshape(-1, 3).astype(np.float64)
        part.product_sum += pixels.T @ pixels
