"""One training step: a function of (seed, step), the batch and the variables alone, so that a run which goes on from a
checkpoint is bit for bit the run that was never interrupted.
"""
import tensorflow as tf

from alexnet_tf.data import preprocessing
from nets import normalization, ops


def make_train_step(state, *, batch_size, mean, seed, noise=None, weight_decay=0.0005, label_smoothing=0.0):
    """A function from (uint8 images, labels, step) of the whole batch to its mean loss (before the update).

    Each replica of the state's strategy works on its share of the rows; the sum of their gradients is that of the
    mean loss over the whole batch. A worker of several gives its own rows, and gets its share of the loss.

    Args:
      batch_size: examples per step, all replicas together. mean: see preprocessing.subtract_mean. seed: a whole number.
      noise: a ColorNoise; None: none.
      weight_decay: times each weight it is added to its gradient; biases do not decay.
      label_smoothing: share of the target that is spread over all classes.
    """
    replicas = state.strategy.num_replicas_in_sync
    share = batch_size // replicas

    def replica_step(images, labels, step):
        first_row = tf.distribute.get_replica_context().replica_id_in_sync_group * share
        rows = {'first_row': first_row, 'rows': batch_size}
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        images = preprocessing.training_batch(images, mean, seeds, noise=noise, noise_on=state.noise_on, **rows)
        with (ops.dropout_draws(preprocessing.stream(seeds, 4), **rows), normalization.compiled(),
              tf.GradientTape() as tape):
            logits = tf.cast(state.model(images, training=True), tf.float32)
            loss = tf.reduce_sum(_losses(logits, labels, label_smoothing)) / batch_size
        gradients = _decayed(state, tape.gradient(loss, state.trainable), weight_decay / replicas)
        state.optimizer.apply_gradients(zip(gradients, state.trainable))
        return loss

    if replicas == 1:
        return tf.function(replica_step, autograph=False)
    return _split_among(state.strategy, replica_step)


def _losses(logits, labels, label_smoothing):
    if not label_smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    classes = logits.shape[-1]
    targets = tf.one_hot(labels, classes, 1 - label_smoothing) + label_smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def _decayed(state, gradients, decay):
    """The gradients with the weights' decay, each times its variable's own rate where there are such."""
    gradients = [gradient + decay * variable if decay and variable.name.endswith('weights:0') else gradient
                 for gradient, variable in zip(gradients, state.trainable)]
    if state.rate_factors is None:
        return gradients
    return [gradient * factor for gradient, factor in
            zip(gradients, tf.unstack(state.rate_factors, len(state.trainable)))]


def _split_among(strategy, replica_step):
    """A function of this process's rows, which its devices share; the sum of what replica_step returns for them."""
    local = len(strategy.extended.worker_devices)

    def split(tensor):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.split(tensor, local)[context.replica_id_in_sync_group % local])

    @tf.function(autograph=False)
    def distributed_step(images, labels, step):
        per_replica = strategy.run(replica_step, (images, labels, step))
        if local < strategy.num_replicas_in_sync:
            return tf.add_n(strategy.experimental_local_results(per_replica))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)

    def split_step(images, labels, step):
        return distributed_step(split(images), split(labels), step)

    split_step.experimental_get_tracing_count = distributed_step.experimental_get_tracing_count  # as a tf.function has
    return split_step
