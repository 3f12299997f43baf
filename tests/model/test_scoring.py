"""Several networks scored together: their probabilities are averaged, and only those of networks that fit."""
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import preprocessing
from alexnet_tf.model import evaluation, loading, scoring, specs


def test_networks_probabilities_are_averaged():
    def network(seed):
        tf_keras.utils.set_random_seed(seed)
        images = tf_keras.Input([8, 8, 3])
        return tf_keras.Model(images, tf_keras.layers.Dense(4)(
            tf_keras.layers.Rescaling(0.02)(tf_keras.layers.GlobalMaxPool2D()(images))))
    networks = [(network(seed), np.full(3, 100 + seed, np.float32), 8) for seed in range(3)]
    squares = np.random.default_rng(3).integers(0, 256, [5, 9, 9, 3], np.uint8)
    labels = np.array([0, 1, 2, 3, 0], np.int64)
    for views in (1, 10):
        probabilities = []
        for model, mean, size in networks:
            probabilities += [tf.nn.softmax(model(tf.cast(crop, tf.float32) - mean)).numpy()
                              for crop in preprocessing.views(squares, size, views)]
        scores, hits, _, loss = evaluation.make_eval_step(networks, num_views=views)(squares, labels)
        expected = np.mean(probabilities, 0)
        np.testing.assert_allclose(np.exp(scores), expected, rtol=1e-4, atol=1e-7)
        assert int(hits) == np.sum(expected.argmax(1) == labels)
        assert float(loss) == pytest.approx(-np.log(expected[np.arange(5), labels]).sum(), rel=1e-4)


def test_networks_that_cannot_be_averaged():
    spec = specs.Spec('alexnet', 224, ('a', 'b'), (1.0, 2.0, 3.0))
    first = loading.Loaded(None, spec, None, 'one', 0)
    scoring.check_together([first, dataclasses.replace(first, spec=dataclasses.replace(
        spec, variant='caffe', image_size=227))])
    for change, what in (({'class_names': ('a', 'c')}, 'classes'), ({'labels_offset': 1}, 'labels_offset'),
                         ({'image_size': 300}, 'side of the resized image')):
        other = loading.Loaded(None, dataclasses.replace(spec, **change), None, 'two', 0)
        with pytest.raises(ValueError, match=f'one and two differ in their {what}'):
            scoring.check_together([first, other])
