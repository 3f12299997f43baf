"""All that changes during training, and thus all that a checkpoint holds."""
import numpy as np
import tensorflow as tf

from nets import slim_checkpoints


class State:
    """Weights, optimizer, step, plateau, the best accuracy and its step, the step of the last validation.

    Make it inside the scope of a tf.distribute strategy, which it keeps as `strategy`.

    trainable: variables; trainable_names: 'conv1/weights', … of each. rate_factors: float32 [variables], what each
    one's gradient is multiplied by; None: no schedule has rates of single variables. noise_on: float32 [].

    Args:
      trainable_scopes: prefixes of variables to train; empty: all.
      plateau: a Plateau, for rates that depend on it.
      own_rates: whether single variables have rates of their own, which momentum and sgd alone can follow.

    Raises: ValueError for a scope that matches no variable.
    """

    def __init__(self, model, optimizer, *, trainable_scopes=(), plateau=None, own_rates=False):
        self.model, self.optimizer, self.strategy = model, optimizer, tf.distribute.get_strategy()
        self.weights = slim_checkpoints.named_variables(model)
        names = {variable.ref(): name for name, whole in self.weights.items()
                 for variable in getattr(whole, 'parts', [whole])}
        self.trainable = [
            variable for variable in model.trainable_variables
            if not trainable_scopes or any(
                slim_checkpoints.in_scope(names[variable.ref()], scope) for scope in trainable_scopes)]
        self.trainable_names = ['/'.join(names[variable.ref()].split('/')[-2:]) for variable in self.trainable]
        check_scopes('trainable_scopes', trainable_scopes, self.weights)
        optimizer.build(self.trainable)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name='global_step')
        self.best_accuracy = tf.Variable(-1.0, dtype=tf.float64, trainable=False, name='best_accuracy')
        self.best_step = tf.Variable(-1, dtype=tf.int64, trainable=False, name='best_step')
        self.validated = tf.Variable(0, dtype=tf.int64, trainable=False, name='validated_step')
        self.plateau = plateau
        self.rate_factors = tf.Variable(tf.ones([len(self.trainable)]), trainable=False) if own_rates else None
        self.noise_on = tf.Variable(1.0, trainable=False)
        self._frozen = set()

    @property
    def divisions(self):
        """How often the plateau has divided the learning rate."""
        return int(self.plateau.divisions.numpy()) if self.plateau else 0

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
        return self.weights | slim_checkpoints.joined({
            f'optimizer/{variable.name.split(":")[0]}': variable for variable in self.optimizer.variables})

    def tensors(self):
        """{name in the checkpoint: variable}."""
        plateau = self.plateau.variables if self.plateau else {}
        return self.learned() | plateau | {
            'global_step': self.step, 'best_accuracy': self.best_accuracy, 'best_step': self.best_step,
            'validated_step': self.validated}


def check_scopes(flag, scopes, weights):
    """Refuses scopes that name no variable: they would have no effect."""
    for scope in scopes:
        if not any(slim_checkpoints.in_scope(name, scope) for name in weights):
            raise ValueError(f'--{flag} has {scope!r}, which matches no variable; the variables are '
                             f'{", ".join(sorted(weights))}.')
