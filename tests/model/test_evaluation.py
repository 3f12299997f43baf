"""Scoring, against NumPy, where it goes wrong easily: ties, remainders, few classes, ten views, other types."""
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.model import evaluation

MEAN = np.array([120, 110, 100], np.float32)


def lookup_model(table, dtype='float32'):
    """A network of 8-pixel images whose logits are table[row], row being the image's red less the mean's."""
    table = tf.constant(table, tf.float32)
    images = tf_keras.Input([8, 8, 3], name='images')
    rows = tf_keras.layers.GlobalMaxPool2D(dtype='float32')(images)[:, 0]
    logits = tf_keras.layers.Lambda(lambda rows: tf.cast(tf.gather(table, tf.cast(tf.round(rows), tf.int32)), dtype),
                                    name='lookup', dtype='float32')(rows)
    return tf_keras.Model(images, logits, name='lookup')


def run(table, labels, *, batch_size=4, dtype='float32', **kwargs):
    """Evaluates a model that gives table[i] for image i."""
    squares = np.zeros([len(labels), 9, 9, 3], np.uint8)  # square_side(8) is 9
    squares[..., 0] = np.arange(len(labels))[:, None, None] + 50
    batches = tf.data.Dataset.from_tensor_slices((squares, np.array(labels, np.int64))).batch(batch_size)
    step = evaluation.make_eval_step([(lookup_model(table, dtype), np.array([50, 0, 0], np.float32), 8)])
    return evaluation.evaluate(step, batches, len(labels), keep_scores=True, **kwargs)


def rank(row, label):
    """How many classes come before `label`: all larger scores, and equal ones of smaller label."""
    return sum(score > row[label] or (score == row[label] and other < label) for other, score in enumerate(row))


@pytest.mark.parametrize('batch_size', [1, 3, 7, 100])
def test_ties_rank_by_label_and_every_example_counts_once(batch_size):
    random = np.random.default_rng(3)
    table = random.integers(0, 3, [10, 8]).astype(np.float32)  # whole numbers: full of ties
    labels = random.integers(0, 8, 10)
    ranks = np.array([rank(row, label) for row, label in zip(table, labels)])
    top_without_ties = np.mean([row[label] == row.max() for row, label in zip(table, labels)])
    assert (ranks < 1).mean() != top_without_ties  # this table tells the two rules apart
    result, scores, seen = run(table, labels, batch_size=batch_size)
    assert (result.num_examples, result.accuracy, result.recall_5) == (10, (ranks < 1).mean(), (ranks < 5).mean())
    np.testing.assert_array_equal(scores, table)
    np.testing.assert_array_equal(seen, labels)
    losses = np.log(np.exp(table.astype(np.float64)).sum(1)) - table[np.arange(10), labels]
    assert result.loss == pytest.approx(losses.mean(), rel=1e-6)


@pytest.mark.parametrize('classes', [1, 2, 4, 5, 6])
def test_five_are_right_for_certain_among_up_to_five_classes(classes):
    labels = np.arange(12) % classes
    table = np.tile(-np.arange(classes, dtype=np.float32), [12, 1])  # class 0 first, class 1 second, …
    result, _, _ = run(table, labels)
    assert result.recall_5 == pytest.approx((labels < 5).mean()) and (result.recall_5 == 1) == (classes <= 5)
    assert result.accuracy == pytest.approx((labels == 0).mean())


@pytest.mark.parametrize('score, loss', [(np.nan, np.nan), (0.0, np.log(10))])
def test_a_broken_network_is_no_better_than_chance(score, loss):
    result, _, _ = run(np.full([20, 10], score), np.arange(20) % 10)
    assert (result.accuracy, result.recall_5) == (0.1, 0.5)
    assert result.loss == pytest.approx(loss, nan_ok=True)


def test_scores_are_float32_of_a_bfloat16_network():
    table = np.array([[0, 1, 2], [3, 1, 0.5]], np.float32)
    result, scores, _ = run(table, [2, 0], dtype='bfloat16')
    assert scores.dtype == np.float32 and result.accuracy == 1
    # In bfloat16 the sum of the losses would be off by 1 in 256.
    losses = np.log(np.exp(table.astype(np.float64)).sum(1)) - table.max(1)
    assert result.loss == pytest.approx(losses.mean(), rel=1e-6)


@pytest.mark.parametrize('max_num_batches, seen', [(1, 3), (2, 6), (3, 7), (9, 7), (None, 7)])
def test_a_limit_divides_by_what_was_seen(max_num_batches, seen):
    labels = np.array([0, 0, 1, 1, 0, 1, 0])
    result, scores, all_labels = run(np.tile([1.0, 0.0], [7, 1]), labels, batch_size=3,
                                     max_num_batches=max_num_batches)
    assert result.num_examples == len(scores) == len(all_labels) == seen
    assert result.accuracy == (labels[:seen] == 0).mean()
    assert result.loss == pytest.approx(np.log(1 + np.exp(-1)) + (labels[:seen] == 1).mean(), rel=1e-6)


def test_scores_are_kept_only_when_asked_and_progress_counts_examples():
    lines = []
    step = evaluation.make_eval_step([(lookup_model([[1.0, 0.0]] * 5), np.zeros(3, np.float32), 8)])
    batches = tf.data.Dataset.from_tensor_slices((np.zeros([5, 9, 9, 3], np.uint8), np.zeros(5, np.int64))).batch(2)
    result, scores, labels = evaluation.evaluate(step, batches, 5, log=lines.append)
    assert scores is None and labels.tolist() == [0] * 5 and result.accuracy == 1
    assert lines[-1].startswith('5 images in 0:00:')


def pooled_model(classes=6):
    """Some network that sees where things are: its logits differ between corners and between mirrors."""
    tf_keras.utils.set_random_seed(4)
    images = tf_keras.Input([224, 224, 3], name='images')
    pooled = tf_keras.layers.Flatten()(tf_keras.layers.AveragePooling2D(56)(images / 50))  # for logits about 1
    return tf_keras.Model(images, tf_keras.layers.Dense(classes, name='fc8')(pooled), name='pooled')


def test_ten_views_average_probabilities_with_a_mean_image():
    random = np.random.default_rng(5)
    squares = random.integers(0, 256, [3, 256, 256, 3], np.uint8)
    squares[:, :128] //= 3  # the parts differ
    mean_image = random.uniform(0, 255, [256, 256, 3]).astype(np.float32)
    model = pooled_model()
    views = [squares[:, top:top + 224, left:left + 224] for top in (0, 32) for left in (0, 32)]
    views += [squares[:, 16:240, 16:240]]
    views += [view[:, :, ::-1] for view in views]
    # The mean image's central part, not mirrored, is subtracted from each view, as in the original program.
    logits = np.stack([model(view - mean_image[16:240, 16:240]).numpy() for view in views]).astype(np.float64)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares = (shares / shares.sum(-1, keepdims=True)).mean(0)
    labels = np.array([0, 1, 2], np.int64)
    batches = tf.data.Dataset.from_tensor_slices((squares, labels)).batch(2)
    result, scores, seen = evaluation.evaluate(
        evaluation.make_eval_step([(model, mean_image, 224)], num_views=10), batches, 3, keep_scores=True)
    assert 0.01 < shares.max(1).min() < 0.99
    np.testing.assert_allclose(np.exp(scores), shares, rtol=1e-4)
    assert result.loss == pytest.approx(-np.log(shares[labels, labels]).mean(), rel=1e-4)
    assert result.accuracy == (shares.argmax(1) == labels).mean() and seen.tolist() == [0, 1, 2]
    center, _, _, _ = evaluation.make_eval_step([(model, mean_image, 224)])(squares, np.array([0, 1, 2], np.int64))
    np.testing.assert_allclose(center, logits[4], rtol=1e-4, atol=1e-3)
    softmax_of_mean_logits = np.exp(logits.mean(0)) / np.exp(logits.mean(0)).sum(1, keepdims=True)
    assert np.abs(softmax_of_mean_logits - shares).max() > 1e-3  # another rule, which this tells apart
