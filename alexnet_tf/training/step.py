"""One training step: a function of (seed, step), the batch and the variables alone, so that a run which goes on from a
checkpoint is bit for bit the run that was never interrupted.
"""
import tensorflow as tf

from alexnet_tf.data import preprocessing
from nets import normalization, ops


def make_train_step(state, strategy, *, batch_size, mean, seed, noise=None,
                    weight_decay=0.0005, label_smoothing=0.0):
    """A function from (uint8 images, labels, step) of the whole batch to its mean loss (before the update).

    Each replica of `strategy` works on its share of the rows; the sum of their gradients is that of the
    mean loss over the whole batch. `weight_decay * w` is added to the gradients of weights, not biases.
    """
    replicas = strategy.num_replicas_in_sync
    share = batch_size // replicas
    classes = state.model.output_shape[-1]

    def losses(logits, labels):
        if not label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        targets = tf.one_hot(labels, classes, 1 - label_smoothing) + label_smoothing / classes
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def replica_step(images, labels, step):
        first_row = tf.distribute.get_replica_context().replica_id_in_sync_group * share
        rows = {'first_row': first_row, 'rows': batch_size}
        seeds = tf.stack([tf.constant(seed, tf.int64), step])
        images = preprocessing.training_batch(images, mean, seeds, noise=noise, noise_on=state.noise_on, **rows)
        with (ops.dropout_draws(preprocessing.stream(seeds, 4), **rows), normalization.compiled(),
              tf.GradientTape() as tape):
            logits = tf.cast(state.model(images, training=True), tf.float32)
            loss = tf.reduce_sum(losses(logits, labels)) / batch_size
        gradients = tape.gradient(loss, state.trainable)
        gradients = [gradient + weight_decay / replicas * variable
                     if weight_decay and variable.name.endswith('weights:0') else gradient
                     for gradient, variable in zip(gradients, state.trainable)]
        if state.rate_factors is not None:
            gradients = [gradient * factor for gradient, factor in
                         zip(gradients, tf.unstack(state.rate_factors, len(state.trainable)))]
        state.optimizer.apply_gradients(zip(gradients, state.trainable))
        return loss

    def split(tensor):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.split(tensor, replicas)[context.replica_id_in_sync_group])

    @tf.function(autograph=False)
    def distributed_step(images, labels, step):
        per_replica = strategy.run(replica_step, (images, labels, step))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)

    def split_step(images, labels, step):
        return distributed_step(split(images), split(labels), step)

    if replicas == 1:
        return tf.function(replica_step, autograph=False)
    split_step.experimental_get_tracing_count = distributed_step.experimental_get_tracing_count  # as a tf.function has
    return split_step
