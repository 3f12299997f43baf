"""What is in one split of a data set: images of each class, their sizes, what is damaged, what is there twice."""
import concurrent.futures
import dataclasses
import hashlib
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.console.progress import Progress
from alexnet_tf.data import preprocessing, records

_AT_ONCE = 256  # records that a thread takes


@dataclasses.dataclass
class Survey:
    """counts: int [num_classes], good images of each class. sizes: int [good images, 2], (height, width) in pixels.
    digests: {hash of an image's bytes: positions that have it}. damaged: a sentence for each record that cannot be
      used, and one for those that the folder describes and no file has.
    """
    dataset: object
    counts: np.ndarray
    sizes: np.ndarray
    digests: dict
    damaged: list


def survey(dataset, *, decode=False, log=print):
    """The Survey of all records of a Dataset, which must allow bad ones.

    decode: whether to decode every image, as training does; else damage within one is not noticed.
    """
    shape = tf.function(preprocessing.image_shape, input_signature=[tf.TensorSpec([], tf.string)])
    counts, sizes, digests, damaged = np.zeros(dataset.num_classes, int), [], {}, []
    progress = Progress(len(dataset), f'records of {dataset.split}', log)

    def look(first):
        return [_look(dataset, position, shape, decode)
                for position in range(first, min(first + _AT_ONCE, len(dataset)))]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        done = 0
        for looks in pool.map(look, range(0, len(dataset), _AT_ONCE)):
            for position, (fault, label, size, digest) in enumerate(looks, done):
                if fault:
                    damaged.append(fault)
                    continue
                counts[label] += 1
                sizes.append(size)
                digests.setdefault(digest, []).append(position)
            done += len(looks)
            progress.update(done)
    if dataset.bad.lost:
        damaged.append(f'{dataset.bad.lost} records that the folder describes are in none of its files.')
    return Survey(dataset, counts, np.array(sizes, int).reshape(-1, 2), digests, damaged)


def _look(dataset, position, shape, decode):
    """(what is wrong or None, label, (height, width), hash of the image)."""
    try:
        encoded, label = dataset.example(position)
        size = tuple(preprocessing.decode(encoded).shape[:2] if decode else shape(encoded).numpy())
    except records.StorageError:
        raise
    except ValueError as error:
        return str(error), None, None, None
    except tf.errors.InvalidArgumentError as error:
        return (f'{dataset.index.where(position)}: the image cannot be decoded ({preprocessing.reason(error)}).',
                None, None, None)
    return None, label, size, hashlib.blake2b(encoded, digest_size=16).digest()


def twice(surveys):
    """Sentences about images that are there more than once, within a split or in two of them."""
    found, lines = {}, []
    for number, one in enumerate(surveys):
        for digest, positions in one.digests.items():
            found.setdefault(digest, []).extend((number, position) for position in positions)
    for first, one in enumerate(surveys):
        for second, other in enumerate(surveys[first:], first):
            pairs = [places for places in found.values() if len(places) > 1 and (
                {first, second} <= {number for number, _ in places} if first != second
                else [number for number, _ in places].count(first) > 1)]
            if pairs:
                where = ' and '.join(
                    surveys[number].dataset.index.where(position) for number, position in pairs[0][:2])
                which = f'twice in {one.dataset.split}' if first == second else (
                    f'in {one.dataset.split} and in {other.dataset.split}, which makes validation look better')
                lines.append(f'{len(pairs)} images are {which}; first {where}.')
    return lines


def describe(surveys, shown=10):
    """Lines for people. shown: damaged records, and of many classes the smallest and the largest, that are listed."""
    dataset = surveys[0].dataset
    lines = [f'{dataset.folder}: {dataset.num_classes} classes, stored as labels {dataset.labels_offset} to '
             f'{dataset.labels_offset + dataset.num_classes - 1}.']
    for one in surveys:
        lines.append(f'{one.dataset.split}: {len(one.sizes)} images, {len(one.damaged)} damaged records.')
        if len(one.sizes):
            lines += _of_sizes(one.sizes)
        lines += [f'  damaged: {fault}' for fault in one.damaged[:shown]]
        lines += [f'  … and {len(one.damaged) - shown} more'] if len(one.damaged) > shown else []
    return [*lines, *twice(surveys), *_of_statistics(dataset.info), '', *_of_classes(surveys, shown)]


def _of_sizes(sizes):
    lines = []
    for name, values in (('height', sizes[:, 0]), ('width', sizes[:, 1]), ('shorter side', sizes.min(1))):
        lines.append(f'  {name}: {values.min()} to {values.max()} pixels, median {np.median(values):g}')
    return lines


def _of_statistics(info):
    if not info:
        return ["No statistics of build_tfrecords: training takes ImageNet's mean RGB and color axes."]
    mean, values = info.get('mean_rgb', ()), info.get('rgb_covariance_eigenvalues', ())
    return [f'Statistics of the training set: mean RGB {", ".join(f"{value:.2f}" for value in mean) or "none"}; color '
            f'axes of eigenvalues {", ".join(f"{value:.1f}" for value in values) or "none"}; mean image '
            f'{info.get("mean_image", "none")}.']


def rows(surveys):
    """[(stored label, class name, images in each split, …)] of each class."""
    dataset = surveys[0].dataset
    return [(label + dataset.labels_offset, name, *(int(one.counts[label]) for one in surveys))
            for label, name in enumerate(dataset.class_names)]


def _of_classes(surveys, shown):
    """The table of classes; of more than four times `shown` the smallest and the largest of the first split."""
    table, title = rows(surveys), ('label', 'class', *(one.dataset.split for one in surveys))
    lines = []
    if len(table) > 4 * shown:
        for one in surveys:
            lines.append(f'images a class in {one.dataset.split}: {one.counts.min()} to {one.counts.max()}, median '
                         f'{np.median(one.counts):g}')
        table = sorted(table, key=lambda row: row[2])
        table = [*table[:shown], ('…', '…', *['…'] * len(surveys)), *table[-shown:]]
    cells = [[str(cell) if len(str(cell)) <= 40 else f'{str(cell)[:39]}…' for cell in row] for row in (title, *table)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return lines + ['  '.join(cell.ljust(width) if number == 1 else cell.rjust(width)
                              for number, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in cells]
