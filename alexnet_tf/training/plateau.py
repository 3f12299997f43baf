"""The paper's schedule: the rate is divided when the validation error stops improving."""
import tensorflow as tf


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
