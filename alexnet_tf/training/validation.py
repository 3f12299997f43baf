"""When a run is validated, and what it learns from the result: the best step so far, and the plateau's rate."""
from alexnet_tf.training import finite


class Validation:
    """The validations of one run. result: the last evaluation.Result; None: none yet.

    Args:
      validate: function that makes one; it calls its argument before each batch. None: there are no validations.
    """

    def __init__(self, validate, state, *, pace, metrics, log):
        self._validate, self._state, self._pace = validate, state, pace
        self._metrics, self._log = metrics, log
        self.result = None

    def is_due(self, step):
        """Whether one is made at this step: every validate_every steps, and at the end."""
        return self._validate and step > 0 and (self._is_scheduled(step) or step == self._pace.max_steps)

    def make(self, step, check):
        """Makes one. Returns whether it is the best so far.

        Args:
          check: called before each batch; what it raises ends the validation.

        Raises: NotFinite for a loss that is not finite.
        """
        self.result = self._validate(check)
        finite.check_loss(self.result.loss, 'The validation loss', step)
        return self._learn(step, self.result)

    def _is_scheduled(self, step):
        """Whether one is made at this step however long the run is."""
        return bool(self._pace.validate_every) and step % self._pace.validate_every == 0

    def _learn(self, step, result):
        """The plateau learns from scheduled validations alone: a run that is made longer later is then the run that
        was long from the beginning."""
        state = self._state
        self._metrics.write('validation', step, accuracy=result.accuracy, recall_5=result.recall_5, loss=result.loss)
        self._log(f'validation at step {step}: top-1 {result.accuracy:.2%}, top-5 {result.recall_5:.2%}, '
                  f'loss {result.loss:.4f} over {result.num_examples} images')
        state.validated.assign(step)
        is_best = result.accuracy > float(state.best_accuracy.numpy())
        if is_best:
            state.best_accuracy.assign(result.accuracy)
            state.best_step.assign(step)
        if self._is_scheduled(step) and state.plateau and state.plateau.update(1 - result.accuracy):
            self._log('The validation error stopped improving: the learning rate is divided.')
        return is_best
