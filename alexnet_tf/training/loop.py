"""The training loop: batches -> step -> log -> validation -> checkpoint; stopping in between, and going back."""
import dataclasses
import math
import os
import time

import numpy as np
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.console.progress import duration
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.run_folder.metrics_log import MetricsLog
from alexnet_tf.training.saver import Saver
from nets import slim_checkpoints


class NotFinite(ValueError):
    """The loss or a weight is NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class Pace:
    """max_steps: where training ends. batch_size, num_examples: for epochs and images/s.

    validate_every: steps between validations; one is made at the end too. log_every: steps between progress lines and
    rows of metrics.jsonl (input_wait: share of the time that the loop waited for a batch). save_secs: seconds between
    checkpoints; one is written after each validation and at the end too. summary_secs: until summaries are on disk.
    max_rollbacks: how often a loss that is not finite sends the run back to its last checkpoint.
    """
    max_steps: int
    batch_size: int
    num_examples: int
    validate_every: int = 0
    log_every: int = 10
    save_secs: float = 600
    summary_secs: int = 30
    max_rollbacks: int = 0


def train(state, train_step, make_batches, *, train_dir, schedule, pace, validate=None, notice=None, log=print):
    """Trains from state.step to pace.max_steps.

    Args:
      make_batches: step -> iterable of (images, labels), beginning with that batch.
      schedule: step -> schedules.Settings.
      validate: () -> evaluation.Result; or None.
      notice: a signals.Notice; after a signal the run is saved and signals.Stopped raised.

    Returns: the last evaluation.Result, or None.

    Raises: ValueError when a checkpoint can't be written, NotFinite after too many rollbacks.
    """
    rollbacks = 0
    while True:
        run = _Run(state, train_step, train_dir=train_dir, schedule=schedule, pace=pace, validate=validate,
                   notice=notice or signals.Notice(), log=log)
        try:
            return run.go(make_batches)
        except NotFinite as error:
            run.saver.wait()
            last = checkpoints.find_intact(train_dir, log)
            rollbacks += 1
            if rollbacks > pace.max_rollbacks or last is None:
                raise NotFinite(
                    f'{error} No checkpoint holds it; {"the last is " + last if last else "there is none yet"}. Lower '
                    '--learning_rate (a tenth, when fine-tuning) or use --warmup_epochs'
                    + (f'; it came again after {rollbacks - 1} rollbacks.' if rollbacks > 1 else '.')) from None
            slim_checkpoints.load(state.tensors(), last)
            log(f'{error} Back to {last} (rollback {rollbacks} of --max_rollbacks={pace.max_rollbacks}).')
        finally:
            run.close()


class _Run:
    """One pass of `train` from a state to the end, a signal, or a number that is not finite."""

    def __init__(self, state, train_step, *, train_dir, schedule, pace, validate, notice, log):
        self.state, self.train_step, self.schedule, self.pace = state, train_step, schedule, pace
        self.validate, self.notice, self.log = validate, notice, log
        self.step = int(state.step.numpy())
        self.metrics = MetricsLog(train_dir, self.step, pace.summary_secs, int(state.validated.numpy()))
        self.saver = Saver(train_dir)
        self.saved_step, self.saved = self.step, time.monotonic()
        self.loss, self.result = None, None

    def close(self):
        self.saver.close()
        self.metrics.close()

    def go(self, make_batches):
        self.notice.is_watched = True
        try:
            return self._go(make_batches)
        except OSError:  # lines that cannot be written, as when the program behind | has ended
            self._stop_if_asked()
            self._finish_saving()
            raise
        finally:
            self.notice.is_watched = False

    def _go(self, make_batches):
        pace = self.pace
        self._restart_clock()
        if self._validation_is_due() and int(self.state.validated.numpy()) < self.step:
            self._validate_and_save()  # a signal came during it
        batches = signals.interruptible(make_batches(self.step), self._stop_if_asked) if (
            self.step < pace.max_steps) else None
        self._stop_if_asked()
        self._restart_clock()
        while self.step < pace.max_steps:
            images, labels = self._next(batches)
            settings = self.schedule(self.step)
            self.state.follow(settings)
            # NumPy's numbers: TensorFlow keeps a copy of every Python number that it is ever given, 0.7 KB each.
            self.loss = self.train_step(images, labels, tf.constant(np.int64(self.step)))
            self.step += 1
            self.state.step.assign(np.int64(self.step))
            if self.step % pace.log_every == 0 or self.step == pace.max_steps:
                self._log(settings.rate)
            self._save_if_due()
        self.saver.wait()
        return self.result

    def _next(self, batches):
        asked = time.monotonic()
        try:
            return next(batches)
        except ValueError:  # a bad record; what was learned before it stays
            self._finish_saving()
            raise
        finally:
            self.waited += time.monotonic() - asked

    def _is_scheduled(self):
        """Whether a validation is made at this step however long the run is."""
        return bool(self.pace.validate_every) and self.step % self.pace.validate_every == 0

    def _validation_is_due(self):
        return self.validate and self.step > 0 and (self._is_scheduled() or self.step == self.pace.max_steps)

    def _save_if_due(self):
        self.saver.check()
        if self._validation_is_due():
            self._validate_and_save()
        elif self.step == self.pace.max_steps or time.monotonic() - self.saved > self.pace.save_secs:
            self._save()
        self._stop_if_asked()

    def _validate_and_save(self):
        pause = time.monotonic()
        self._check_finite()
        try:
            self.result = self.validate()
        except signals.Stopped:
            self._save_and_stop()
        if not math.isfinite(self.result.loss):
            raise NotFinite(f'The validation loss is {self.result.loss} at step {self.step}.')
        self._save(best=self._learn_from(self.result))
        self.logged += time.monotonic() - pause  # images/s is the speed of training alone

    def _finish_saving(self):
        if self.step > self.saved_step:
            self._save()
        self.saver.wait()

    def _stop_if_asked(self):
        if self.notice.number:
            self._save_and_stop()

    def _save_and_stop(self):
        self._finish_saving()
        try:
            self.notice.check()
        except signals.Stopped as stopped:
            where = 'before the first step' if self.step == 0 else f'at step {self.step}, which is saved'
            raise signals.Stopped(stopped.number, f'{stopped} {where}; the same command goes on from there.') from None

    def _save(self, best=False):
        self._check_finite()
        if self.step == self.saved_step:  # before this validation, which is made again if the process ends here
            if best:
                self.saver.save_best(self.step)
            return
        for name, tensor in self.state.learned().items():
            for part in getattr(tensor, 'parts', [tensor]):
                if part.dtype.is_floating and not _all_finite(tf.convert_to_tensor(part)):
                    raise NotFinite(f'{name} is not finite at step {self.step}.')
        self.saver.save(self.step, self.state.tensors(), best)
        self.saved_step, self.saved = self.step, time.monotonic()

    def _check_finite(self):
        loss = 0.0 if self.loss is None else float(self.loss)
        if not math.isfinite(loss):
            raise NotFinite(f'The loss is {loss} at step {self.step}.')
        return loss

    def _restart_clock(self):
        self.logged, self.logged_step, self.waited = time.monotonic(), self.step, 0.0

    def _log(self, rate):
        loss, passed, pace = self._check_finite(), time.monotonic() - self.logged, self.pace
        speed = (self.step - self.logged_step) * pace.batch_size / passed
        self.metrics.write('train', self.step, loss=loss, learning_rate=rate, examples_per_sec=speed,
                           input_wait=self.waited / passed)
        self.log(f'step {self.step}/{pace.max_steps}, epoch {self.step * pace.batch_size / pace.num_examples:.2f}: '
                 f'loss {loss:.4f}, learning rate {rate:g}, {speed:.1f} images/s, '
                 f'ETA {duration((pace.max_steps - self.step) * pace.batch_size / speed)}')
        self._restart_clock()

    def _learn_from(self, result):
        """Logs a validation's result; updates best and plateau. Returns whether it is the best so far.

        The plateau learns from scheduled validations alone: a run that is made longer later is then the run that was
        long from the beginning.
        """
        state = self.state
        self.metrics.write('validation', self.step, accuracy=result.accuracy, recall_5=result.recall_5,
                           loss=result.loss)
        self.log(f'validation at step {self.step}: top-1 {result.accuracy:.2%}, top-5 {result.recall_5:.2%}, '
                 f'loss {result.loss:.4f} over {result.num_examples} images')
        state.validated.assign(self.step)
        is_best = result.accuracy > float(state.best_accuracy.numpy())
        if is_best:
            state.best_accuracy.assign(result.accuracy)
            state.best_step.assign(self.step)
        if self._is_scheduled() and state.plateau and state.plateau.update(1 - result.accuracy):
            self.log('The validation error stopped improving: the learning rate is divided.')
        return is_best


@tf.function(reduce_retracing=True)
def _all_finite(tensor):
    return tf.reduce_all(tf.math.is_finite(tensor))


def keep_best(state, train_dir):
    """Makes train_dir/best hold the best checkpoint where a kill came between writing it and linking it there.

    A later one stays: of a validation that ended after its checkpoint was written.
    """
    best = int(state.best_step.numpy())
    path = os.path.join(train_dir, f'{checkpoints.PREFIX}-{best}')
    there = checkpoints.find(os.path.join(train_dir, checkpoints.BEST_DIR))
    if best >= 0 and checkpoints.find(path) and (there is None or checkpoints.step_of(there) < best):
        checkpoints.save_best(train_dir, path)
