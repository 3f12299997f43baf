"""A split in memory, at the size of CIFAR-10's images: 3 kB each. Decoding them again every epoch would take longer."""
import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from alexnet_tf.console.progress import Progress
from alexnet_tf.data import batches
from alexnet_tf.figure_one.networks import SIZE


@dataclasses.dataclass(frozen=True)
class Examples:
    """images: uint8 [n, 32, 32, 3]. labels: int64 [n], 0 to num_classes - 1."""
    images: np.ndarray
    labels: np.ndarray
    num_classes: int

    def __len__(self):
        return len(self.labels)

    @property
    def mean(self):
        """float32 [3], the mean RGB, 0..255."""
        return self.images.mean((0, 1, 2), dtype=np.float64).astype(np.float32)

    def batches(self, *, seed, batch_size, step=0):
        """Yields (images, labels) from a step on, without end; which ones is a function of (seed, step)."""
        for number in itertools.count(step):
            places = batches.positions(seed, number * batch_size, batch_size, len(self))
            yield tf.constant(self.images[places]), tf.constant(self.labels[places])


def read(dataset, log=print):
    """The Examples of a Dataset. Other images than those of 32 x 32 pixels are resized, and their central square kept.

    Raises: ValueError for a bad record.
    """
    images, labels = np.empty([len(dataset), SIZE, SIZE, 3], np.uint8), np.empty(len(dataset), np.int64)
    progress = Progress(len(dataset), 'images', log)
    done = 0
    # 28: of the crops that nobody takes here; 32 is the side of the whole square
    for some, their_labels in batches.EvaluationBatches(dataset, batch_size=500, image_size=28):
        end = done + len(some)
        images[done:end], labels[done:end] = some, their_labels
        done = end
        progress.update(done)
    return Examples(images, labels, dataset.num_classes)
