"""The training loop: batch -> step -> log -> validation -> checkpoint; stopping in between, and going back."""
import time

import numpy as np
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.console.progress import duration
from alexnet_tf.run_folder.metrics_log import MetricsLog
from alexnet_tf.training import finite
from alexnet_tf.training.clock import Clock
from alexnet_tf.training.saver import Saver
from alexnet_tf.training.start import newest
from alexnet_tf.training.team import ALONE, Idle
from alexnet_tf.training.validation import Validation
from nets import slim_checkpoints


def train(state, train_step, batches_from, *, train_dir, rates, pace, validate=None, pictures=None, notice=None,
          team=ALONE, log=print):
    """Trains from state.step to pace.max_steps.

    Args:
      batches_from: step -> iterable of (images, labels), beginning with the batch of that step.
      rates: a schedules.Decay or schedules.Steps.
      validate: (function to call before each batch) -> evaluation.Result; None: no validation.
      pictures: (step, the last batch's images or None) -> arguments of MetricsLog.write_pictures, called after each
        validation; None: no pictures.
      notice: a signals.Notice; after a signal the run is saved and signals.Stopped raised.
      team: a team.Team; its chief alone writes, and all its workers stop, save and go back at the same step.

    Returns: the last evaluation.Result, or None.

    Raises: ValueError when a checkpoint can't be written, NotFinite after too many rollbacks.
    """
    rollbacks = 0
    while True:
        run = _Run(state, train_step, train_dir=train_dir, rates=rates, pace=pace, validate=validate,
                   pictures=pictures, notice=notice or signals.Notice(), team=team, log=log)
        try:
            return run.go(batches_from)
        except finite.NotFinite as error:
            run.saver.wait()
            rollbacks += 1
            _go_back(state, train_dir, rollbacks, pace.max_rollbacks, error=error, team=team, log=log)
        finally:
            run.close()


def _go_back(state, train_dir, rollbacks, allowed, *, error, team, log):
    """Loads the last checkpoint, unless there is none or too many rollbacks came before."""
    last = newest(train_dir, team, log)
    if rollbacks > allowed or last is None:
        raise finite.NotFinite(
            f'{error} No checkpoint holds it; {"the last is " + last if last else "there is none yet"}. Lower '
            '--learning_rate (a tenth, when fine-tuning) or use --warmup_epochs'
            + (f'; it came again after {rollbacks - 1} rollbacks.' if rollbacks > 1 else '.')) from None
    slim_checkpoints.load(state.tensors(), last)
    log(f'{error} Back to {last} (rollback {rollbacks} of --max_rollbacks={allowed}).')


class _Run:
    """One pass of `train` from a state to the end, a signal, or a number that is not finite."""

    def __init__(self, state, train_step, *, train_dir, rates, pace, validate, pictures, notice, team, log):
        self.state, self.train_step, self.rates, self.pace = state, train_step, rates, pace
        self.pictures, self.notice, self.team, self.log = pictures, notice, team, log
        self.step = int(state.step.numpy())
        self.metrics = MetricsLog(train_dir, self.step, pace.summary_secs, int(state.validated.numpy())) if (
            team.is_chief) else Idle()
        self.validation = Validation(validate, state, pace=pace, metrics=self.metrics, log=log)
        self.saver = Saver(train_dir) if team.is_chief else Idle()
        self.saved_step, self.saved = self.step, time.monotonic()
        self.clock, self.loss, self.is_late, self.images = Clock(self.step), None, False, None

    def close(self):
        self.saver.close()
        self.metrics.close()

    def go(self, batches_from):
        self.notice.is_watched = True
        try:
            return self._go(batches_from)
        except OSError:  # lines that cannot be written, as when the program behind | has ended
            self._stop_if_asked()
            self._finish_saving()
            raise
        finally:
            self.notice.is_watched = False

    def _go(self, batches_from):
        if self.validation.is_due(self.step) and int(self.state.validated.numpy()) < self.step:
            self._validate_and_save()  # it was interrupted: its checkpoint knows nothing of it
        self._stop_if_asked()
        if self.step < self.pace.max_steps:
            self._train(signals.interruptible(batches_from(self.step), self._stop_if_asked))
        self.saver.wait()
        self.team.meet()
        return self.validation.result

    def _train(self, batches):
        self.clock.restart(self.step)
        while self.step < self.pace.max_steps:
            images, labels = self._next(batches)
            settings = self.rates.settings(
                self.step / self.pace.steps_per_epoch, self.state.trainable_names, self.state.divisions)
            self.state.follow(settings)
            # NumPy's numbers: TensorFlow keeps a copy of every Python number that it is ever given, 0.7 KB each.
            loss = self.train_step(images, labels, tf.constant(np.int64(self.step)))
            self.images = images
            self.step += 1
            self.state.step.assign(np.int64(self.step))
            self.loss, self.is_late = self.team.vote(
                loss, self.notice, time.monotonic() - self.saved > self.pace.save_secs)
            if self.step % self.pace.log_every == 0 or self.step == self.pace.max_steps:
                self._log(settings.rate)
            self._save_if_due()

    def _next(self, batches):
        try:
            with self.clock.waiting():
                return next(batches)
        except ValueError:  # a bad record; what was learned before it stays
            self._finish_saving()
            raise

    def _log(self, rate):
        self._check_loss()
        steps_per_sec, waited = self.clock.read(self.step)
        loss, speed, pace = float(self.loss), steps_per_sec * self.pace.batch_size, self.pace
        self.metrics.write('train', self.step, loss=loss, learning_rate=rate, examples_per_sec=speed,
                           input_wait=waited)
        self.log(f'step {self.step}/{pace.max_steps}, epoch {self.step / pace.steps_per_epoch:.2f}: '
                 f'loss {loss:.4f}, learning rate {rate:g}, {speed:.1f} images/s, '
                 f'ETA {duration((pace.max_steps - self.step) / steps_per_sec)}')
        self.clock.restart(self.step)

    def _save_if_due(self):
        self.saver.check()
        if self.validation.is_due(self.step):
            with self.clock.paused():
                self._validate_and_save()
        elif self.step == self.pace.max_steps or self.is_late:
            self._save()
        self._stop_if_asked()

    def _validate_and_save(self):
        self._check_loss()
        try:
            is_best = self.validation.make(self.step, self.notice.check)
        except signals.Stopped as stopped:
            self.notice.number = stopped.number  # that another worker may have got
            self._save_and_stop()
        if self.pictures:
            self.metrics.write_pictures(self.step, *self.pictures(self.step, self.images))
        self._save(is_best)

    def _save(self, best=False):
        self._check_loss()
        if self.step == self.saved_step:  # before this validation, which is made again if the process ends here
            if best:
                self.saver.save_best(self.step)
            return
        finite.check_variables(self.state.learned(), self.step)
        self.saver.save(self.step, self.state.tensors(), best)
        self.saved_step, self.saved = self.step, time.monotonic()

    def _check_loss(self):
        if self.loss is not None:
            finite.check_loss(float(self.loss), 'The loss', self.step)

    def _finish_saving(self):
        if self.step > self.saved_step:
            self._save()
        self.saver.wait()

    def _stop_if_asked(self):
        if self.team.asked(self.notice):
            self._save_and_stop()

    def _save_and_stop(self):
        self._finish_saving()
        self.team.meet()
        try:
            self.notice.check()
        except signals.Stopped as stopped:
            where = 'before the first step' if self.step == 0 else f'at step {self.step}, which is saved'
            raise signals.Stopped(stopped.number, f'{stopped} {where}; the same command goes on from there.') from None
