"""Scoring: every example counted exactly once, whatever the batch size."""
import dataclasses

import numpy as np
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.console.progress import Progress
from alexnet_tf.data import preprocessing
from nets import normalization


@dataclasses.dataclass(frozen=True)
class Result:
    """accuracy (top-1), recall_5 (top-5): shares 0..1; loss: mean cross entropy, nats."""
    num_examples: int
    accuracy: float
    recall_5: float
    loss: float


def make_eval_step(networks, *, num_views=1):
    """A function from (uint8 squares [b, side, side, 3], labels [b]) to (scores, top-1, top-5, loss).

    Args:
      networks: (model, mean, image size) of each network; several: their probabilities are averaged. All sizes
        have one square_side.
      num_views: see `preprocessing.views`.

    scores: float32 [b, classes]: logits, or for several views or networks the logarithm of their mean
    probability. top-1, top-5: int32 counts; loss: sum over the batch. Equal scores rank by label.
    """
    side = preprocessing.square_side(networks[0][2])

    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8),
                                  tf.TensorSpec([None], tf.int64)])
    def eval_step(images, labels):
        with normalization.compiled():
            each = [scores(images, *network, num_views) for network in networks]
        mean = each[0] if len(each) == 1 else log_mean_probability(tf.stack(each))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, mean)
        ranked = tf.math.top_k(mean, min(5, mean.shape[1])).indices
        hits = tf.cast(tf.equal(tf.cast(ranked, tf.int64), labels[:, tf.newaxis]), tf.int32)
        return mean, tf.reduce_sum(hits[:, 0]), tf.reduce_sum(hits), tf.reduce_sum(losses)
    return eval_step


def scores(squares, model, mean, size, num_views=1):
    """float32 [b, classes] of one network for uint8 squares [b, side, side, 3]; arguments as of make_eval_step."""
    if num_views == 1:
        return outputs(preprocessing.central_crop(squares, size), model, mean)
    # one view after another: ten at once would take ten times the memory
    stacked = tf.stack(preprocessing.views(squares, size, num_views))
    return log_mean_probability(tf.map_fn(
        lambda images: outputs(images, model, mean), stacked, fn_output_signature=tf.float32, parallel_iterations=1))


def outputs(images, model, mean):
    """What a model makes of crops (RGB 0..255, [b, size, size, 3]), as float32. mean: see subtract_mean."""
    return tf.cast(model(preprocessing.subtract_mean(images, mean), training=False), tf.float32)


def log_mean_probability(logits):
    """The logarithm of the mean over the first axis of softmax(logits [n, batch, classes])."""
    return tf.reduce_logsumexp(tf.nn.log_softmax(logits), 0) - tf.math.log(float(len(logits)))


def probabilities(scores):
    """float64 [examples, classes] of the scores of an eval step; they depend on an example's own scores alone."""
    exponentials = np.exp(np.float64(scores - scores.max(1, keepdims=True)))
    return exponentials / exponentials.sum(1, keepdims=True)


def evaluate(eval_step, batches, num_examples, *, max_num_batches=None, log=None, keep_scores=False, between=None):
    """Runs over `batches` (data.EvaluationBatches) once.

    Args:
      max_num_batches: stop after so many; None: all.
      log: prints progress lines; None: silent. keep_scores: return the scores too.
      between: called before each batch, and once a second while one is awaited; what it raises ends the scoring.

    Returns: (Result, scores float32 [examples, classes] or None, labels int64 [examples]).
    """
    seen = top_1 = top_5 = 0
    loss = 0.0
    kept, all_labels = [], []
    progress = Progress(num_examples, 'images', log) if log else None
    for number, (images, labels) in enumerate(signals.interruptible(batches, between) if between else batches):
        if number == max_num_batches:
            break
        if between:
            between()
        scores, hits_1, hits_5, losses = eval_step(images, labels)
        seen += len(labels)
        top_1 += int(hits_1)
        top_5 += int(hits_5)
        loss += float(losses)
        all_labels.append(labels.numpy())
        if keep_scores:
            kept.append(scores.numpy())
        if progress:
            progress.update(seen)
    if progress:
        progress.finish()
    result = Result(seen, top_1 / seen, top_5 / seen, loss / seen)
    return result, np.concatenate(kept) if keep_scores else None, np.concatenate(all_labels)
