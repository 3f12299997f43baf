"""One network that learns at one rate, an epoch at a time."""
import functools

import numpy as np
import tensorflow as tf
import tf_keras

from alexnet_tf.console.progress import Progress
from alexnet_tf.data import batches
from alexnet_tf.figure_one.networks import SIZE, TABLES
from alexnet_tf.model import evaluation
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.training import finite, loop, optimizers, run
from alexnet_tf.training.pace import Pace
from alexnet_tf.training.schedules import Decay
from alexnet_tf.training.step import make_train_step
from nets import alexnet

EXAMINED = 10_000  # training images on which the error is measured; a standard error of 0.4 points at 25 %
BATCH = 500  # images, of that


class Trial:
    """A network in training; it goes on from the checkpoint in its folder.

    The rate is constant, momentum 0.9, and there is nothing that regularizes: no weight decay, dropout, crops, mirrors.

    Args:
      activation: of TABLES. rate: float. examples: an examples.Examples. folder: of the checkpoints.
      seed: of initial weights and order; the same for all trials.
    """

    def __init__(self, activation, rate, examples, *, folder, batch_size, seed):
        tf_keras.utils.set_random_seed(seed)
        model = alexnet.from_table(TABLES[activation], examples.num_classes, input_shape=(SIZE, SIZE, 3),
                                   dtype='float32', name=activation)
        self._examples, self._folder, self._batch_size, self._seed = examples, folder, batch_size, seed
        self._rates, self._mean = Decay('fixed', rate), examples.mean
        self._state = run.begin(model, train_dir=folder, optimizer=optimizers.make('momentum'),
                                log=print if checkpoints.find(folder) else _silent)
        self._step = make_train_step(self._state, batch_size=batch_size, mean=self._mean, seed=seed, weight_decay=0)
        self._count_errors = tf.function(self._errors, autograph=False, reduce_retracing=True)

    def train_to(self, epoch, notice=None):
        """Trains until so many epochs are over. Returns: the training error in percent, None if the loss is not finite.

        notice: a signals.Notice; after a signal the network is saved and signals.Stopped raised.

        Raises: ValueError for a checkpoint of a later step.
        """
        images = len(self._examples)
        pace = Pace(max(1, round(epoch * images / self._batch_size)), self._batch_size, images, log_every=50)
        step = int(self._state.step.numpy())
        if step > pace.max_steps:
            raise ValueError(f'{self._folder} has a checkpoint of step {step}, which is after epoch {epoch}, the next '
                             'of this run. Delete that folder, or choose another --output_dir.')
        try:
            loop.train(self._state, self._step, functools.partial(self._batches, end=pace.max_steps), notice=notice,
                       train_dir=self._folder, rates=self._rates, pace=pace, log=_silent)
        except finite.NotFinite:
            return None
        return self._error()

    def _batches(self, step, end):
        """What comes from a step on, with progress lines until the end of the epoch."""
        size = self._batch_size
        progress = Progress((end - step) * size, 'images of this epoch')
        for done, batch in enumerate(self._examples.batches(seed=self._seed, batch_size=size, step=step)):
            progress.update(done * size)
            yield batch

    def _error(self):
        images = len(self._examples)
        chosen = batches.positions(self._seed, 0, min(images, EXAMINED), images)
        wrong = sum(int(self._count_errors(tf.constant(self._examples.images[some]),
                                           tf.constant(self._examples.labels[some])))
                    for some in np.split(chosen, range(BATCH, len(chosen), BATCH)))
        return 100 * wrong / len(chosen)

    def _errors(self, images, labels):
        answers = tf.argmax(evaluation.outputs(images, self._state.model, self._mean), 1)
        return tf.reduce_sum(tf.cast(tf.not_equal(answers, labels), tf.int32))


def _silent(_):
    """For the lines of a new run and of the loop: the command says what an epoch gave."""
