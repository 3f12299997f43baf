"""What a run is made of: its state, what it starts from, a step, the devices. `loop` runs it.

A step depends on (seed, step), the batch and the variables alone, so a run that goes on from a
checkpoint is bit for bit the run that was never interrupted.
"""
import os

import numpy as np
import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.model import specs
from alexnet_tf.run_folder import checkpoints
from nets import normalization, ops, slim_checkpoints


class State:
    """All that changes during training: weights, optimizer, step, plateau, the best accuracy and its step, the step of
    the last validation.

    trainable: variables; trainable_names: 'conv1/weights', … of each. rate_factors: float32 [variables], what each
    one's gradient is multiplied by; None: no schedule has rates of single variables. noise_on: float32 [].
    """

    def __init__(self, model, optimizer, *, trainable_scopes=(), plateau=None, own_rates=False):
        self.model, self.optimizer = model, optimizer
        self.weights = slim_checkpoints.named_variables(model)
        names = {variable.ref(): name for name, whole in self.weights.items()
                 for variable in getattr(whole, 'parts', [whole])}
        self.trainable = [
            variable for variable in model.trainable_variables
            if not trainable_scopes or any(
                slim_checkpoints.in_scope(names[variable.ref()], scope) for scope in trainable_scopes)]
        self.trainable_names = ['/'.join(names[variable.ref()].split('/')[-2:]) for variable in self.trainable]
        _check_scopes('trainable_scopes', trainable_scopes, self.weights)
        optimizer.build(self.trainable)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name='global_step')
        self.best_accuracy = tf.Variable(-1.0, dtype=tf.float64, trainable=False, name='best_accuracy')
        self.best_step = tf.Variable(-1, dtype=tf.int64, trainable=False, name='best_step')
        self.validated = tf.Variable(0, dtype=tf.int64, trainable=False, name='validated_step')
        self.plateau = plateau
        self.rate_factors = tf.Variable(tf.ones([len(self.trainable)]), trainable=False) if own_rates else None
        self.noise_on = tf.Variable(1.0, trainable=False)
        self._frozen = set()

    def follow(self, settings):
        """Takes over a schedules.Settings."""
        self.optimizer.learning_rate.assign(np.float32(settings.rate))  # see loop.py, of Python's numbers
        self.noise_on.assign(float(settings.color_noise))
        if self.rate_factors is None:
            return
        self.rate_factors.assign(settings.factors)
        for number, (velocity, factor) in enumerate(zip(getattr(self.optimizer, 'momentums', ()), settings.factors)):
            if factor == 0 and number not in self._frozen:  # it would move on by its velocity
                velocity.assign(tf.zeros_like(velocity))
        self._frozen = {number for number, factor in enumerate(settings.factors) if factor == 0}

    def learned(self):
        """{name in the checkpoint: variable} of weights and optimizer, which must be finite."""
        return self.weights | slim_checkpoints.joined({f'optimizer/{variable.name.split(":")[0]}': variable
                                            for variable in self.optimizer.variables})

    def tensors(self):
        """{name in the checkpoint: variable}."""
        plateau = self.plateau.variables if self.plateau else {}
        return self.learned() | plateau | {
            'global_step': self.step, 'best_accuracy': self.best_accuracy, 'best_step': self.best_step,
            'validated_step': self.validated}


def restore(state, train_dir, *, checkpoint_path=None, spec=None, exclude_scopes=(), ignore_missing=False, log=print):
    """Decides what the run starts from, and loads it.

    Args:
      spec: the specs.Spec of the run; a warm start from a network that computes otherwise is refused.

    Returns: the step to start at. Raises: ValueError when a checkpoint does not fit.
    """
    _check_scopes('checkpoint_exclude_scopes', exclude_scopes, state.weights)
    # 1. Resume: a checkpoint in train_dir goes before everything else, and all of it is loaded.
    latest = checkpoints.find_intact(train_dir, log)
    if latest:
        _check_names(state.tensors(), latest)
        slim_checkpoints.load(state.tensors(), latest)
        log(f'Resuming from {latest}' + (f'; --checkpoint_path={checkpoint_path} is not used, since train_dir '
                                         'has a checkpoint.' if checkpoint_path else '.'))
        return int(state.step.numpy())
    best = os.path.join(train_dir, checkpoints.BEST_DIR)
    if checkpoints.find(best):
        raise ValueError(f'{train_dir} has no checkpoint, but {best} has one, which a new run would replace. Move it '
                         f'away, or choose another --train_dir (--checkpoint_path={best} begins with its weights).')
    # 2. Warm start: the weights of checkpoint_path, less the excluded scopes; step and optimizer are new.
    if checkpoint_path:
        source = checkpoints.find_intact(checkpoint_path, log)
        if not source:
            raise ValueError(f'no checkpoint at --checkpoint_path={checkpoint_path}; give a file such as '
                             'model.ckpt-1000 or a folder that has one.')
        _check_same_network(spec, specs.read_spec(os.path.dirname(os.path.abspath(source))), source)
        loaded, left = slim_checkpoints.load(state.weights, source, exclude_scopes=exclude_scopes,
                                  ignore_missing=ignore_missing)
        _check_trained(state, left)
        log(f'Warm start: {len(loaded)} variables from {source}'
            + (f', initial values for {", ".join(left)}.' if left else '.'))
        return 0
    # 3. Fresh start.
    log(f'Fresh start: no checkpoint in {train_dir}.')
    return 0


def _check_trained(state, names):
    """Refuses variables that would keep random values: neither loaded nor trained."""
    trained = {variable.ref() for variable in state.trainable}
    parts = {name: getattr(state.weights[name], 'parts', [state.weights[name]]) for name in names}
    stuck = [name for name in names if not trained.issuperset(part.ref() for part in parts[name])]
    if stuck:
        raise ValueError(f'{", ".join(stuck)} would keep random values: they are not loaded from --checkpoint_path, '
                         'and --trainable_scopes has no scope for them; add one.')


def _check_scopes(flag, scopes, weights):
    """Refuses scopes that name no variable: they would have no effect."""
    for scope in scopes:
        if not any(slim_checkpoints.in_scope(name, scope) for name in weights):
            raise ValueError(f'--{flag} has {scope!r}, which fits no variable; there are {", ".join(sorted(weights))}.')


def _check_same_network(spec, known, source):
    """Refuses weights that would mean something else here: of another network, variant or form of dropout."""
    if spec is None or known is None:
        return
    for flag, field in (('model_name', 'model_name'), ('variant', 'variant'), ('dropout_form', 'unscaled_dropout')):
        before, now = getattr(known, field), getattr(spec, field)
        if before != now:
            raise ValueError(f'{source} is of a network with {field} {before}, this run has {now}; the same weights '
                             f'would compute something else. Give the same --{flag}, or the checkpoint of another run.')


def _check_names(tensors, checkpoint):
    there = set(slim_checkpoints.read(checkpoint).get_variable_to_shape_map())
    differing = sorted(there ^ set(tensors))
    if differing:
        raise ValueError(f'{checkpoint} was written by a run with another network, optimizer, schedule (plateau) or '
                         f'trainable_scopes: it and this run differ in {", ".join(differing[:4])}'
                         f'{" …" if len(differing) > 4 else ""}. Resume with the same flags, or start another '
                         '--train_dir with --checkpoint_path for the weights.')


def make_train_step(state, strategy, *, batch_size, mean, seed, noise_axes=None, noise_divisor=1.0,
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
        images = preprocessing.training_batch(images, mean, seeds, noise_axes=noise_axes, noise_on=state.noise_on,
                                              divisor=noise_divisor, **rows)
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


def make_strategy(num_clones, clone_on_cpu, model_parallel=1):
    """The tf.distribute strategy for local devices, and the two devices of model_parallel=2 (else None).

    Call it before TensorFlow uses any device. clone_on_cpu: make logical CPU devices, for tests.

    Raises: ValueError when there are fewer GPUs.
    """
    gpus = tf.config.list_physical_devices('GPU')
    wanted, flag = max(num_clones, model_parallel), 'model_parallel' if model_parallel > 1 else 'num_clones'
    if num_clones > 1 and model_parallel > 1:
        raise ValueError(f'--num_clones={num_clones} and --model_parallel={model_parallel} do not go together; choose '
                         'one.')
    if clone_on_cpu:
        tf.config.set_visible_devices([], 'GPU')
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * wanted)
    elif wanted > max(1, len(gpus)):
        raise ValueError(f'--{flag}={wanted}, but this machine has {len(gpus)} GPUs, where it needs {wanted}; use '
                         f'--{flag}={max(1, min(wanted, len(gpus)))}, or --clone_on_cpu (which is a test, not faster).')
    names = [f'/{"CPU" if clone_on_cpu else "GPU"}:{number}' for number in range(wanted)]
    if num_clones == 1:
        return tf.distribute.get_strategy(), tuple(names) if model_parallel > 1 else None
    # The collective operations that TensorFlow would choose keep 1.3 KB of every step on CPUs.
    reduce = tf.distribute.ReductionToOneDevice() if clone_on_cpu else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduce), None
