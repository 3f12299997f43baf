"""One shard of records from images: written by the process itself, or by one of several workers."""
import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
import zipfile

import numpy as np

from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.data import records, tar_members
from alexnet_tf.files import writing


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records that is to be written.

    part: path of what `read_part` needs. images: (path of a file or tar_members.Member, label from 1), in order.
    plan: how the folder is made, as dataset_info.json says.
    """
    path: str
    part: str
    split: str
    images: list
    plan: dict


_counter = None  # of a worker: images done by all of them


def start_worker(counter):
    """Called once in each worker process; counter: a multiprocessing.Value."""
    global _counter
    _counter = counter
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'  # images are decoded by the CPU
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # Ctrl-C goes to all; the parent says the sentence
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    # A killed parent would leave its workers waiting for ever, or writing what the next run writes too.
    multiprocessing.parent_process().join()
    os._exit(1)


def count_in_worker():
    with _counter.get_lock():
        _counter.value += 1


def write_shard(shard, count, partial='.partial'):
    """Writes a Shard's file and part, both under a temporary name until complete; calls count() after each image.

    partial: what ends the temporary name.

    Returns: the part: {'sizes': bytes of each image's file, 'lengths': bytes of each record, 'unreadable': [(path,
      reason)], 'image_sum': float64 [256, 256, 3] and 'product_sum': float64 [3, 3], sums over the central squares and
      over the outer products of their pixels}, all arrays.
    """
    load_tensorflow()  # here, since the parent of workers needs no TensorFlow
    import tensorflow as tf

    from alexnet_tf.data import image_records
    image_sum, product_sum, lengths, unreadable = np.zeros([256, 256, 3]), np.zeros([3, 3]), [], []
    names = list(shard.plan['texts'].items())
    with tf.io.TFRecordWriter(shard.path + partial) as writer, tf.device('/CPU:0'):
        for source, label in shard.images:
            try:
                encoded, square, shape = image_records.read_image(
                    source, shard.plan['resize_shorter_side'], shard.plan['quality'])
            except (OSError, ValueError) as error:
                unreadable.append((str(source), str(error)))
            else:
                record = image_records.make_record(encoded, shape, os.fsencode(os.path.basename(str(source))), label,
                                                   *names[label - 1])
                writer.write(record)
                lengths.append(len(record))
                if shard.split == 'train':  # the statistics are those of the training set
                    pixels = square.reshape(-1, 3).astype(np.float64)
                    image_sum += square
                    product_sum += pixels.T @ pixels
            count()
    os.replace(shard.path + partial, shard.path)
    part = {'sizes': _sizes(shard), 'lengths': np.array(lengths, np.int64), 'unreadable': np.array(unreadable, str),
            'image_sum': image_sum, 'product_sum': product_sum}
    with writing.whole(shard.part) as file:
        np.savez(file, **part)
    return part


def read_part(shard):
    """What `write_shard` returned in an earlier run that finished the shard, or None."""
    if not os.path.exists(shard.path):
        return None
    damaged = OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile
    with contextlib.suppress(*damaged), np.load(shard.part) as stored:
        part = {name: stored[name] for name in ('sizes', 'lengths', 'unreadable', 'image_sum', 'product_sum')}
        whole = records.description(part['lengths'])['bytes'] == os.path.getsize(shard.path)  # not cut off since
        if whole and part['sizes'].tolist() == _sizes(shard):  # no image was replaced
            return part
    return None


def _sizes(shard):
    """Bytes of each image's file; -1 for a link to nowhere (it counts as unreadable)."""
    return [source.length if isinstance(source, tar_members.Member) else
            os.path.getsize(source) if os.path.exists(source) else -1 for source, _ in shard.images]
