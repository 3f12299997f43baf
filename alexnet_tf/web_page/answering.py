"""From the file that a visitor gave to what the page shows of it."""
import dataclasses

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.files import reading
from alexnet_tf.model import building, features
from alexnet_tf.pictures import activations, kernels
from alexnet_tf.prediction import answers, checkpoint

FIRST = 'conv1'
NEAREST = 6  # images of an index
THUMBNAIL = 96  # pixels a side of those


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel of conv1 and its answer. weights: float32 [height, width, 3], 0..1, as of kernels.scaled.
    patch: uint8 [height, width, 3], the pixels on which its largest value depends.
    """
    weights: np.ndarray
    answer: activations.Answer
    patch: np.ndarray


@dataclasses.dataclass(frozen=True)
class Neighbor:
    """One image of the index. image: uint8 [THUMBNAIL, THUMBNAIL, 3]. class_name: of its label. distance: Euclidean, of
    its features from those of the visitor's image.
    """
    image: np.ndarray
    class_name: str
    distance: float


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the page shows of one image.

    best: its classes, as answers.Answer. image: uint8 [size, size, 3], what the network saw. kernels: [Kernel], that
    with the largest value first. neighbors: [Neighbor], the nearest first; [] without an index.
    """
    best: list
    image: np.ndarray
    kernels: list
    neighbors: list


class Answering:
    """A function of an image file that gives a Shown, or a text: why it cannot be read. The answers are predict's.

    loaded: a loading.Loaded. index: a neighbors.index.Index of the same network; None: no neighbors are shown.
    Raises: ValueError for an index of another network.
    """

    def __init__(self, loaded, index=None):
        if index is not None:
            index.check_network(loaded)
        self._loaded, self._index, self._network = loaded, index, checkpoint.Network(loaded)
        self._features = features.of_squares(loaded)
        self._table = building.table(loaded.spec)
        self._weights = kernels.scaled(loaded.model.get_layer(FIRST).kernel)
        blank = tf.io.encode_jpeg(tf.zeros([8, 8, 3], tf.uint8)).numpy()
        self._shown(self._network.square(blank))  # else the first visitor would wait for TensorFlow's start

    def __call__(self, path):
        try:
            encoded = reading.read_bytes(path, answers.MAX_FILE_BYTES)
        except (OSError, ValueError) as error:
            return getattr(error, 'strerror', None) or str(error)
        square = self._network.square(encoded)
        return square if isinstance(square, str) else self._shown(square)

    def _shown(self, square):
        image = preprocessing.central_crop(square, self._loaded.spec.image_size).numpy()
        strongest = activations.answers(self._loaded.model, self._table, image, self._loaded.mean)[FIRST]
        return Shown(self._network.of_squares([square])[0], image, [
            Kernel(self._weights[answer.number], answer, image[top:bottom, left:right])
            for answer in strongest for top, bottom, left, right in [answer.patch]], self._neighbors(square))

    def _neighbors(self, square):
        index, found = self._index, []
        if index is None:
            return found
        positions, distances = index.nearest(self._features(square[tf.newaxis]).numpy(), min(NEAREST, len(index)))
        for position, distance in zip(positions[0], distances[0]):
            encoded, label = index.example(position)
            found.append(Neighbor(preprocessing.decoded_square(encoded, THUMBNAIL).numpy(), index.class_names[label],
                                  float(distance)))
        return found
