"""Learning rates: pure functions of the step; Plateau's state is its own, kept in the checkpoint."""
import tensorflow as tf

DECAY_TYPES = ('plateau', 'fixed', 'exponential', 'polynomial', 'piecewise')


def learning_rate(step, *, decay_type, base, steps_per_epoch, decay_factor=0.1,
                  epochs_per_decay=30.0, end=0.0001, boundaries=(), warmup_epochs=0.0, divisions=0):
    """The learning rate of one step.

    Args:
      step: from 0. steps_per_epoch: examples / batch size.
      decay_type: 'fixed'; 'exponential' (times decay_factor after every epochs_per_decay epochs, which
        slim rounds down to whole steps); 'polynomial' (a straight line from base to `end` at epochs_per_decay epochs,
        constant after, as slim); 'piecewise' (times decay_factor at each of `boundaries`, epochs);
        'plateau' (times decay_factor ** divisions, which Plateau counts).
      warmup_epochs: epochs during which the rate is at most a line from 0 to base, as slim.
    """
    epoch = step / steps_per_epoch
    if decay_type == 'exponential':
        rate = base * decay_factor ** int(epoch / epochs_per_decay)
    elif decay_type == 'polynomial':
        rate = end + (base - end) * (1 - min(epoch / epochs_per_decay, 1))
    elif decay_type == 'piecewise':
        rate = base * decay_factor ** sum(epoch >= boundary for boundary in boundaries)
    elif decay_type == 'plateau':
        rate = base * decay_factor ** divisions
    elif decay_type == 'fixed':
        rate = base
    else:
        raise ValueError(f'learning_rate_decay_type is {decay_type!r}; known are {", ".join(DECAY_TYPES)}.')
    return min(rate, base * epoch / warmup_epochs) if epoch < warmup_epochs else rate


class Plateau:
    """Counts a division of the learning rate whenever the validation error stops improving.

    The paper (section 5) divided by 10 "when the validation error rate stopped improving", three times.
    Here: after `patience` validations in a row that set no new minimum.
    """

    def __init__(self, patience=5, max_divisions=3):
        self._patience, self._max_divisions = patience, max_divisions
        # float64, as the errors are: rounded to float32, an equal error could pass for an improvement
        self.best = tf.Variable(float('inf'), dtype=tf.float64, trainable=False, name='best')
        self.waited = tf.Variable(0, trainable=False, name='waited')
        self.divisions = tf.Variable(0, trainable=False, name='divisions')

    @property
    def variables(self):
        """{name: variable}, for the checkpoint."""
        return {'plateau/best': self.best, 'plateau/waited': self.waited,
                'plateau/divisions': self.divisions}

    def update(self, error):
        """error: share of validation images that are wrong. Returns whether the rate is now divided."""
        if error < float(self.best.numpy()):
            self.best.assign(error)
            self.waited.assign(0)
            return False
        self.waited.assign_add(1)
        if int(self.waited.numpy()) < self._patience or int(self.divisions.numpy()) >= self._max_divisions:
            return False
        self.waited.assign(0)
        self.divisions.assign_add(1)
        return True
