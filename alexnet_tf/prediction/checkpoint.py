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
        self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
        self._computing = threading.Lock()  # two batches at once would take twice the memory

    def __call__(self, images):
        decoded = list(self._pool.map(self._square, images))
        squares = [square for square in decoded if not isinstance(square, str)]
        given = iter(self._probabilities(squares) if squares else [])
        return [square if isinstance(square, str) else answers.best(next(given), self._names) for square in decoded]

    def _square(self, encoded):
        """What the step takes of one image, or why it cannot be decoded."""
        try:
            return self._decode(encoded)
        except tf.errors.InvalidArgumentError as error:
            return preprocessing.reason(error)

    def _probabilities(self, squares):
        with self._computing:
            scores = self._step(tf.stack(squares), tf.zeros(len(squares), tf.int64))[0]
        return evaluation.probabilities(scores.numpy())
