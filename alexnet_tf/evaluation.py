"""Scoring: every example counted exactly once, whatever the batch size."""
import dataclasses

import numpy as np
import tensorflow as tf

from alexnet_tf import preprocessing
from alexnet_tf.progress import Progress


@dataclasses.dataclass(frozen=True)
class Result:
    """accuracy (top-1), recall_5 (top-5): shares 0..1; loss: mean cross entropy, nats."""
    num_examples: int
    accuracy: float
    recall_5: float
    loss: float


def make_eval_step(model, mean, *, image_size=224, num_views=1):
    """A function from (uint8 squares [b, side, side, 3], labels [b]) to (scores, top-1, top-5, loss).

    scores: float32 [b, classes]: logits, or for ten views the logarithm of the views' mean
    probability. top-1, top-5: int32 counts; loss: sum over the batch. Equal scores rank by label.
    """
    side = preprocessing.square_side(image_size)

    def logits(images):
        return tf.cast(model(preprocessing.subtract_mean(images, mean), training=False), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.uint8),
                                  tf.TensorSpec([None], tf.int64)])
    def eval_step(images, labels):
        if num_views == 1:
            scores = logits(preprocessing.central_crop(images, image_size))
        else:  # one view after another: ten at once would take ten times the memory
            stacked = tf.stack(preprocessing.views(images, image_size, num_views))
            per_view = tf.map_fn(logits, stacked, fn_output_signature=tf.float32, parallel_iterations=1)
            scores = tf.reduce_logsumexp(tf.nn.log_softmax(per_view), 0) - np.log(np.float32(num_views))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
        ranked = tf.math.top_k(scores, min(5, scores.shape[1])).indices
        hits = tf.cast(tf.equal(tf.cast(ranked, tf.int64), labels[:, tf.newaxis]), tf.int32)
        return scores, tf.reduce_sum(hits[:, 0]), tf.reduce_sum(hits), tf.reduce_sum(losses)
    return eval_step


def evaluate(eval_step, batches, num_examples, *, max_num_batches=None, log=None, keep_scores=False):
    """Runs over `batches` (data.evaluation_batches) once.

    Args:
      max_num_batches: stop after so many; None: all.
      log: prints progress lines; None: silent. keep_scores: return the scores too.

    Returns: (Result, scores float32 [examples, classes] or None, labels int64 [examples]).
    """
    seen = top_1 = top_5 = 0
    loss = 0.0
    kept, all_labels = [], []
    progress = Progress(num_examples, 'images', log) if log else None
    for number, (images, labels) in enumerate(batches):
        if number == max_num_batches:
            break
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
