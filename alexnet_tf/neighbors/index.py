"""The features of all images of a split, and which of them are nearest to others.

A folder holds features.npy (float16 [images, width]), labels.npy (int64 [images]) and, written last, index.json, which
says of which network and of which records they are. `building` writes it.
"""
import dataclasses
import functools
import logging
import os
import tokenize

import numpy as np

from alexnet_tf.data import datasets, records
from alexnet_tf.files import reading
from alexnet_tf.model import features as network_features
from alexnet_tf.neighbors import description

FEATURES, LABELS = 'features.npy', 'labels.npy'
BLOCK = 16_384  # images whose features are float32 in memory at once: 256 MiB
LARGEST = np.finfo(np.float16).max
MARGIN = 8  # more candidates than asked for: the library's sums are rounded, so that its order of close ones is luck
AGAIN = 'build it again with python -m alexnet_tf.retrieval build'


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """folder: its own. vectors: float16 [images, width], mapped into memory. labels: int64 [images], too."""
    folder: str
    about: description.Description
    vectors: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    @property
    def class_names(self):
        return self.about.class_names

    @functools.cached_property
    def dataset(self):
        """The Dataset that the index is of. Raises: ValueError where it is not there any more, or is another one."""
        about = self.about
        if not os.path.isdir(about.dataset_dir):
            raise ValueError(f'the records that {self.folder} is of are not in {about.dataset_dir} any more; say where '
                             'they are with --dataset_dir.')
        dataset = self.open_split(about.split)
        if lengths_crc32c(dataset) != about.lengths_crc32c or dataset.class_names != about.class_names:
            raise ValueError(f'split {about.split!r} of {about.dataset_dir} has other records than those that '
                             f'{self.folder} is of; say where they are with --dataset_dir, or {AGAIN}.')
        return dataset

    def check_records(self):
        """Raises ValueError, see `dataset`: before long work, not after it."""
        _ = self.dataset

    def open_split(self, split):
        """A Dataset beside that of the index, or that itself. Raises: ValueError."""
        return datasets.open_dataset(self.about.dataset_dir, split, labels_offset=self.about.labels_offset,
                                     default_num_classes=len(self.about.class_names))

    def example(self, position):
        """(encoded image, label) of an image of the index. Raises: ValueError, see `dataset`."""
        return self.dataset.example(int(position))

    def check_network(self, loaded):
        """Refuses features of another network than the index's. loaded: a loading.Loaded. Raises: ValueError."""
        if network_features.fingerprint(loaded) != self.about.network:
            raise ValueError(f'{loaded.checkpoint} is another network than that of {self.folder}, which is '
                             f'{self.about.checkpoint} (step {self.about.step}); give that one with --checkpoint_path, '
                             f'or {AGAIN}.')

    def nearest(self, features, count):
        """The `count` images of the index whose features are nearest, by exact Euclidean distance.

        features: float32 [n, width].

        Returns: (positions int64 [n, count], distances float32 [n, count]), nearest first. Of images at one distance
          any may be left out. Raises: ValueError.
        """
        features = np.ascontiguousarray(features, np.float32)
        if features.ndim != 2 or features.shape[1] != self.about.width:
            raise ValueError(f'features of the shape {list(features.shape)}; {self.folder} has {self.about.width} an '
                             'image.')
        check_count(count, len(self))
        if not (np.abs(features) <= LARGEST).all():  # the library gives no positions for NaN and what overflows
            raise ValueError(f'the features of an image are no numbers, or beyond {LARGEST:g}, which those of an index '
                             'cannot be; is the checkpoint of a training that went well?')
        found = [start + library().knn(features, block, min(count + MARGIN, len(block)))[1]
                 for start, block in self.blocks()]
        return nearest_of(features, self.vectors, np.concatenate(found, 1), count)

    def blocks(self):
        """Yields (first position, float32 [<= BLOCK, width]), so that the memory need not hold all."""
        for start in range(0, len(self), BLOCK):
            yield start, self.vectors[start:start + BLOCK].astype(np.float32)


def nearest_of(features, vectors, candidates, count):
    """(positions, distances) of the nearest among candidates (int [n, m], rows of vectors); see Index.nearest."""
    positions = np.empty([len(features), count], np.int64)
    distances = np.empty([len(features), count], np.float32)
    for row, (feature, near) in enumerate(zip(features, candidates)):
        near = np.sort(near)
        exact = np.linalg.norm(vectors[near].astype(np.float64) - feature, axis=1)
        order = np.argsort(exact, kind='stable')[:count]
        positions[row], distances[row] = near[order], exact[order]
    return positions, distances


def check_count(count, images):
    """Raises ValueError for more neighbors than there are images."""
    if not 0 < count <= images:
        raise ValueError(f'{count} neighbors of {images} images; ask for 1 to {images}.')


def library():
    """faiss, which is optional. Raises: ValueError where it is not installed."""
    logging.getLogger('faiss.loader').setLevel(logging.WARNING)  # else it tells of the processor at every start
    try:
        import faiss
    except ImportError:
        raise ValueError("the search needs faiss, which is not installed; pip install 'faiss-cpu>=1.9'") from None
    return faiss


def lengths_crc32c(dataset):
    """A checksum of the lengths of all records, which tells a data set from another without reading it."""
    return records.description(dataset.index.length)['lengths_crc32c']


def open_index(folder, *, dataset_dir=None):
    """The Index in a folder. dataset_dir: where its records are; None: where they were when it was built.

    Raises: ValueError for a folder without one, an unfinished one, and a damaged one.
    """
    about = description.of_folder(folder)
    for name in FEATURES, LABELS:
        check_file(folder, name, about.files.get(name))
    vectors = read_array(folder, FEATURES, np.float16, (about.images, about.width))
    labels = read_array(folder, LABELS, np.int64, (about.images,))
    _check_finite(vectors, os.path.join(folder, FEATURES))
    if labels.min() < 0 or labels.max() >= len(about.class_names):
        raise ValueError(f'{os.path.join(folder, LABELS)} has labels without a class name; {AGAIN}.')
    if dataset_dir:
        about = dataclasses.replace(about, dataset_dir=dataset_dir)
    return Index(folder, about, vectors, labels)


def _check_finite(vectors, path):
    """Raises ValueError for infinite features and those that are no numbers: they are near to nothing."""
    for start in range(0, len(vectors), 1024):
        exponents = vectors[start:start + 1024].view(np.uint16) & 0x7C00  # np.isfinite takes five times as long
        if exponents.max() == 0x7C00:
            row = start + int(np.argmax(exponents.max(1)))
            raise ValueError(f'{path} has features of image {row} that are infinite or no numbers; {AGAIN}.')


def check_file(folder, name, expected):
    """Raises ValueError for a file that is not as it was written. expected: its reading.fingerprint."""
    path = os.path.join(folder, name)
    try:
        found = reading.fingerprint(path)
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror}; {AGAIN}.') from error
    if found != expected:
        raise ValueError(f'{path} is not as it was written ({found["bytes"]} bytes); {AGAIN}.')


def read_array(folder, name, dtype, shape):
    """The array in a file, mapped into memory, read-only. Raises: ValueError for one of another type or shape."""
    path = os.path.join(folder, name)
    try:
        array = np.lib.format.open_memmap(path, mode='r')
        good = array.dtype == dtype and array.shape == shape
    except (ValueError, OSError, OverflowError, MemoryError, RecursionError, tokenize.TokenError) as error:
        raise ValueError(f'cannot read {path}: {error}; {AGAIN}.') from error
    if not good:
        raise ValueError(f'{path} holds {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} {list(shape)}; '
                         f'{AGAIN}.')
    return array
