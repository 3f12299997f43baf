"""What the processes of one run agree on. Alone, a process agrees with itself.

Every worker calls the methods of a Team in the same order: each is an exchange in which all take part.
"""
import contextlib
import json

import numpy as np
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.model.evaluation import Result


class Alone:
    """A run of one process."""
    index, count, is_chief = 0, 1, True

    def together(self):
        """A context: inside it, errors that come from other workers end the process with a sentence."""
        return contextlib.nullcontext()

    def share(self, number):
        """(first, end) of this worker's part of so many things."""
        return number * self.index // self.count, number * (self.index + 1) // self.count

    def compare(self, values):
        """Raises ValueError on all workers when {what: value} is not the same on all."""

    def decide(self, function):
        """What function() gives on the chief, on all workers. A ValueError that it raises there is raised on all."""
        return function()

    def vote(self, loss, notice, is_late):
        """Called after every step: (loss of the whole batch, whether it is time to save, as the chief sees it)."""
        return loss, is_late

    def asked(self, notice):
        """The number of the signal by which the run shall stop now; None: there is none."""
        return notice.number

    def total(self, evaluate):
        """The evaluation.Result over all workers' examples; evaluate: makes that over this one's, None if it has none.

        Raises: signals.Stopped on all workers when it is raised on one.
        """
        return evaluate()

    def meet(self):
        """Returns when all workers are here."""


ALONE = Alone()


class Idle:
    """What the chief alone does, for the others: nothing."""

    def __getattr__(self, name):
        return lambda *_, **__: None


class Team(Alone):
    """The workers of a cluster.Cluster, joined by a MultiWorkerMirroredStrategy.

    watch: a watch.Watch over the other workers.
    """

    def __init__(self, strategy, cluster, watch):
        self.strategy, self._cluster, self._watch = strategy, cluster, watch
        self.index, self.count, self.is_chief = cluster.index, len(cluster.addresses), cluster.index == 0
        self._agreed, self._adders = None, {}

    @contextlib.contextmanager
    def together(self):
        self._watch.start()
        try:
            yield
        except tf.errors.OpError:
            self._watch.end_if_others_have_gone()
            raise
        finally:
            self._watch.stop()

    def compare(self, values):
        texts = self._exchange(json.dumps({what: str(value) for what, value in values.items()}))
        chiefs = json.loads(texts[0])
        for index, text in enumerate(texts):
            its = json.loads(text)
            for what in chiefs | its:
                if its.get(what) != chiefs.get(what):
                    raise ValueError(
                        f'{self._cluster.name(index)} has {what} {its.get(what)}, {self._cluster.name(0)} has '
                        f'{chiefs.get(what)}; start all workers with the same flags, data and software.')

    def decide(self, function):
        answer, error = {}, None
        if self.is_chief:
            try:
                answer['value'] = function()
            except ValueError as raised:
                error, answer['error'] = raised, str(raised)
        decided = json.loads(self._exchange(json.dumps(answer))[0])
        if error:
            raise error
        if 'error' in decided:
            raise ValueError(decided['error'])
        return answer['value'] if self.is_chief else decided['value']

    def vote(self, loss, notice, is_late):
        """loss: of this worker's share of the batch."""
        total, is_late, *signs = self._sum([float(loss), self.is_chief and is_late, *_signs(notice.number)])
        self._agree(signs, notice)
        return total, bool(is_late)

    def asked(self, notice):
        return self._agreed

    def total(self, evaluate):
        sums, stopped = np.zeros(4), signals.Notice()
        try:
            result = evaluate()
            if result:
                seen = result.num_examples
                sums = seen * np.array([1, result.accuracy, result.recall_5, result.loss])
        except signals.Stopped as raised:
            stopped.number = raised.number
        seen, top_1, top_5, loss, *signs = self._sum([*sums, *_signs(stopped.number)])
        self._agree(signs, stopped)
        stopped.check()
        return Result(round(seen), round(top_1) / seen, round(top_5) / seen, loss / seen)

    def meet(self):
        self._sum([0])

    def _agree(self, signs, notice):
        for number, sign in zip(signals.SIGNALS, signs):
            if sign:
                self._agreed = notice.number = number
                return

    def _sum(self, values):
        """The sums over all workers of as many numbers, in float64."""
        values = np.array(values, np.float64)
        if values.shape not in self._adders:  # each that is traced keeps its keys, and memory for them, for ever
            self._adders[values.shape] = tf.function(lambda values: self.strategy.reduce(
                tf.distribute.ReduceOp.SUM, values, axis=None), autograph=False).get_concrete_function(
                    tf.TensorSpec(values.shape, tf.float64))
        return self._adders[values.shape](tf.constant(values)).numpy()

    def _exchange(self, text):
        """[text of every worker]."""
        data = np.frombuffer(text.encode(), np.uint8)
        lengths = np.zeros(self.count)
        lengths[self.index] = len(data)
        lengths = self._sum(lengths).astype(int)
        rows = np.zeros([self.count, 1 << int(lengths.max()).bit_length()])  # of few lengths: each is traced
        rows[self.index, :len(data)] = data
        rows = self._sum(rows).astype(np.uint8)
        return [row[:length].tobytes().decode() for row, length in zip(rows, lengths)]


def _signs(number):
    """A 1 at the place of a signal among signals.SIGNALS."""
    return [each == number for each in signals.SIGNALS]
