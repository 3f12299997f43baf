"""Predictions by a checkpoint, in this process: the numbers of the evaluation."""
import concurrent.futures
import os
import threading

import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.model import evaluation
from alexnet_tf.prediction import answers


class Network:
    """A source of predictions (see `answers`) by a loading.Loaded; images are decoded by a thread a core.

    num_views: see preprocessing.views.
    """

    def __init__(self, loaded, *, num_views=1):
        spec = loaded.spec
        self._names = spec.class_names
        self._step = evaluation.make_eval_step([(loaded.model, loaded.mean, spec.image_size)], num_views=num_views)
        self._decode = tf.function(
            lambda encoded: preprocessing.evaluation_image(encoded, size=spec.image_size, resize_mode=spec.resize_mode),
            input_signature=[tf.TensorSpec([], tf.string)])
        self._pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        self._computing = threading.Lock()  # two batches at once would take twice the memory

    def __call__(self, images):
        squares = list(self._pool.map(self.square, images))
        given = iter(self.of_squares([square for square in squares if not isinstance(square, str)]))
        return [square if isinstance(square, str) else next(given) for square in squares]

    def square(self, encoded):
        """What `of_squares` takes of one encoded image, or why it cannot be decoded."""
        try:
            return self._decode(encoded)
        except tf.errors.InvalidArgumentError as error:
            return preprocessing.reason(error)

    def of_squares(self, squares):
        """The Answers for decoded images, as of preprocessing.evaluation_image: uint8 [side, side, 3] each."""
        if not squares:
            return []
        with self._computing:
            scores = self._step(tf.stack(squares), tf.zeros(len(squares), tf.int64))[0]
        return [answers.best(row, self._names) for row in evaluation.probabilities(scores.numpy())]
