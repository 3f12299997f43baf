"""Ways to look for like images, compared: features, codes, random bits, pixels."""
import csv
import dataclasses
import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from alexnet_tf.console.progress import Progress
from alexnet_tf.data import preprocessing
from alexnet_tf.data.batches import EvaluationBatches
from alexnet_tf.neighbors import building, codes, index, measures

FIRST = 10  # neighbors whose precision counts, and for which searches are timed
PIXELS = 32  # the side of the images whose pixels are compared
CHUNK = 100  # queries at once
ROUNDS = 3  # of timing, of which the median counts


@dataclasses.dataclass(frozen=True)
class Way:
    """One way. bytes: an image takes. rows: of the queries, [queries, …]. distances: function of some rows that gives
    [rows, images]; their order counts, not their size. search: function of rows that gives the FIRST nearest.
    """
    name: str
    bytes: int
    rows: np.ndarray
    distances: Callable
    search: Callable


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of a Way. mean_average_precision, precision: means over the queries, 0..1. by_class: the mean
    average precision of the queries of each class, NaN without any. per_second: queries.
    """
    name: str
    bytes: int
    mean_average_precision: float
    precision: float
    per_second: float
    by_class: tuple


def compare(found, loaded, dataset, *, count, lengths, seed, batch_size, log=print):
    """([Result] of all ways, the precision of a random order): images of a Dataset searched for in an index.Index.

    Args:
      loaded: the network of the index; its classes may be others than those of the records. count: the first so many
        images of the Dataset. lengths: bits of the codes, which must be there, and of random projections.

    Raises: ValueError.
    """
    if dataset.split == found.about.split:
        raise ValueError(f'{found.folder} is of split {dataset.split!r} itself, where each image would find itself '
                         'first; choose another --dataset_split_name.')
    if len(found) < FIRST:
        raise ValueError(f'{found.folder} has {len(found)} images; the precision of the first {FIRST} needs as many.')
    stored = {bits: codes.read(found, bits) for bits in lengths}
    new = [name for name in found.class_names if name not in loaded.spec.class_names]
    if new:
        log(f'The network was trained on {loaded.spec.num_classes} classes; of those of the records {len(new)} are new '
            f'to it: {", ".join(new[:10])}{" …" if len(new) > 10 else ""}')
    features, small, labels = queries(loaded, dataset, count, batch_size=batch_size, log=log)
    if not np.isin(labels, found.labels).any():
        raise ValueError(f'no image of split {dataset.split!r} has a class that is in {found.folder}.')
    small_found = pixels(loaded, found.dataset, batch_size=batch_size, log=log)
    results = [measure(way, labels, found, log) for way in ways(
        found, features, small, small_found, stored=stored, seed=seed)]
    return results, by_chance(labels, found)


def queries(loaded, dataset, count, *, batch_size, log=print):
    """(features float32 [n, width], pixels uint8 [n, 3072], labels int64 [n]) of the first images of a Dataset."""
    step = building.compiled(loaded)
    return _read(loaded, dataset, count, batch_size, log, lambda squares: (step(squares), _pixels(loaded, squares)))


def pixels(loaded, dataset, *, batch_size, log=print):
    """uint8 [images, 3072] of a Dataset: what the network sees, shrunk to PIXELS."""
    return _read(loaded, dataset, len(dataset), batch_size, log, lambda squares: (_pixels(loaded, squares),))[0]


def _read(loaded, dataset, count, batch_size, log, function):
    count = min(count, len(dataset))
    batches = EvaluationBatches(dataset, batch_size=batch_size, image_size=loaded.spec.image_size,
                                resize_mode=loaded.spec.resize_mode, part=(0, count))
    progress, kept, done = Progress(count, f'images of {dataset.split}', log), [], 0
    for squares, labels in batches:
        kept.append([each.numpy() for each in (*function(squares), labels)])
        done += len(labels)
        progress.update(done)
    progress.finish()
    return [np.concatenate(each) for each in zip(*kept)]


def _pixels(loaded, squares):
    crops = preprocessing.central_crop(squares, loaded.spec.image_size)
    small = tf.image.resize(tf.cast(crops, tf.float32), [PIXELS, PIXELS], 'area')
    return tf.reshape(tf.cast(tf.round(small), tf.uint8), [-1, PIXELS * PIXELS * 3])


def ways(found, features, small, small_found, *, stored, seed):
    """The Ways of an index.Index: fc7, codes and random bits of each length, pixels.

    features: of the queries, float32 [n, width]. small, small_found: the pixels of queries and of the index. stored:
    {bits: (Encoder, codes)}.
    """
    yield Way('fc7', 2 * found.about.width, features, lambda rows: np.concatenate(
        [_squared(rows, block) for _, block in found.blocks()], 1), lambda rows: found.nearest(rows, FIRST))
    for bits, (encoder, of_images) in stored.items():
        yield _of_bits(f'codes of {bits} bits', encoder.encode(features), of_images)
    mean = sum(block.sum(0, dtype=np.float64) for _, block in found.blocks()) / len(found)
    for bits in stored:
        directions = np.random.default_rng(seed).standard_normal([found.about.width, bits], np.float32)
        query, of_images = (np.concatenate([np.packbits((block - np.float32(mean)) @ directions > 0, axis=1)
                                            for block in blocks])
                            for blocks in ([features], (block for _, block in found.blocks())))
        yield _of_bits(f'random projection, {bits} bits', query, of_images)
    small, small_found = np.float32(small), np.float32(small_found)
    yield Way(f'pixels, {PIXELS}×{PIXELS}', small.shape[1], small, lambda rows: _squared(rows, small_found),
              lambda rows: index.library().knn(rows, small_found, FIRST))


def _of_bits(name, query, stored):
    signs = _signs(stored)
    return Way(name, stored.shape[1], query, lambda rows: -(_signs(rows) @ signs.T),
               lambda rows: codes.nearest(rows, stored, FIRST))


def _signs(packed):
    """float32, -1 or 1, of bits: the product of two rows is the shorter, the more bits differ."""
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _squared(rows, others):
    """float32 [rows, others], squared Euclidean distances less what is the same for all of a row."""
    return np.square(others).sum(1) - 2 * rows @ others.T


def measure(way, labels, found, log=print):
    """The Result of a Way. labels: int [queries], at least one of a class of the index; others are left out."""
    precisions, first = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    present = np.isin(labels, found.labels)
    for start in range(0, len(labels), CHUNK):
        part = range(start, min(start + CHUNK, len(labels)))
        for query, distances in zip(part, way.distances(way.rows[start:start + CHUNK])):
            if present[query]:
                relevant = found.labels == labels[query]
                precisions[query] = measures.average_precision(distances, relevant)
                first[query] = measures.precision_at(FIRST, distances, relevant)
    by_class = tuple(precisions[present & (labels == number)].mean() if (present & (labels == number)).any() else
                     float('nan') for number in range(len(found.class_names)))
    result = Result(way.name, way.bytes, precisions[present].mean(), first[present].mean(), per_second(way), by_class)
    log(f'{way.name}: mean average precision {result.mean_average_precision:.3f}, precision at {FIRST} '
        f'{result.precision:.3f}, {result.per_second:,.0f} queries/s, {way.bytes:,} bytes an image')
    return result


def per_second(way):
    """Queries a second, CHUNK of them at once: the median of some rounds."""
    rows, seconds = way.rows[:CHUNK], []
    for _ in range(ROUNDS + 1):  # the first warms up
        start = time.perf_counter()
        way.search(rows)
        seconds.append(time.perf_counter() - start)
    return len(rows) / statistics.median(seconds[1:])


def by_chance(labels, found):
    """The precision of a random order: the mean share of the query's class in the index."""
    shares = np.bincount(found.labels, minlength=len(found.class_names)) / len(found)
    return shares[labels[np.isin(labels, found.labels)]].mean()


def markdown(results, chance):
    """A table for a page."""
    lines = [f'| searched by | bytes an image | mean average precision | precision at {FIRST} | queries/s |',
             '|---|---|---|---|---|']
    lines += [f'| {each.name} | {each.bytes:,} | {each.mean_average_precision:.3f} | {each.precision:.3f} | '
              f'{each.per_second:,.0f} |' for each in results]
    return '\n'.join([*lines, f'| chance | | {chance:.3f} | {chance:.3f} | |']) + '\n'


def table(results, class_names):
    """CSV: the same, and the mean average precision of the queries of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['searched by', 'bytes an image', 'mean average precision', f'precision at {FIRST}', 'queries/s',
                     *(f'mean average precision of {name}' for name in class_names)])
    for each in results:
        figures = each.mean_average_precision, each.precision, *each.by_class
        first, second, *others = ('' if np.isnan(value) else f'{value:.4f}' for value in figures)
        writer.writerow([each.name, each.bytes, first, second, f'{each.per_second:.1f}', *others])
    return text.getvalue()
