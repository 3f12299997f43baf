"""Whether the other workers are there: a thread that asks them, and ends this process when one has gone.

A worker that waits inside TensorFlow for one that does not answer would wait for ever.
"""
import threading
import time

import tensorflow as tf
from tensorflow.python.eager import context  # the only way to ask a worker of a cluster whether it is there

from alexnet_tf.console import signals

EVERY = 3  # seconds between two rounds
ANSWER = 2  # seconds in which a worker must answer
PATIENCE, MISSES = 35, 3  # seconds, and rounds, without an answer after which it counts as gone


class Watch:
    """Over the other workers of a cluster.Cluster. name: of the command, for its last line."""

    def __init__(self, cluster, name):
        self._cluster, self._name = cluster, name
        self._others = [index for index in range(len(cluster.addresses)) if index != cluster.index]
        self._ended, self._thread = threading.Event(), None

    def wait_for_all(self, timeout_secs, log):
        """Returns when all workers answer. Raises: ValueError naming those that do not within timeout_secs."""
        deadline, said, missing = time.monotonic() + timeout_secs, time.monotonic(), list(self._others)
        while missing := [index for index in missing if self._fault(index)]:
            names = ', '.join(map(self._cluster.name, missing))
            if time.monotonic() > deadline:
                raise ValueError(f'{names} did not come within --cluster_timeout_secs={timeout_secs:g}; start it, or '
                                 'correct its address.')
            if time.monotonic() - said > 10:
                log(f'Waiting for {names}.')
                said = time.monotonic()
            time.sleep(0.2)

    def start(self):
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self):
        self._ended.set()
        self._thread.join()

    def end_if_others_have_gone(self):
        """After an error of TensorFlow's: ends the process with a sentence if a worker does not answer."""
        until = time.monotonic() + 2 * EVERY
        while time.monotonic() < until:
            gone = [index for index in self._others if self._fault(index)]
            if gone:
                self._end(gone)
            time.sleep(0.5)

    def _watch(self):
        seen, misses = dict.fromkeys(self._others, time.monotonic()), dict.fromkeys(self._others, 0)
        while not self._ended.wait(EVERY):
            for index in self._others:
                fault = self._fault(index)
                if fault is None:
                    seen[index], misses[index] = time.monotonic(), 0
                    continue
                misses[index] += 1
                # Not by the clock alone: this process itself may have been stopped for a while.
                silent = time.monotonic() - seen[index] > PATIENCE and misses[index] >= MISSES
                if silent or isinstance(fault, tf.errors.FailedPreconditionError):  # which says: it was started anew
                    self._end([index])
                if self._ended.is_set():
                    return

    def _fault(self, index):
        """Why a worker does not answer; None: it does."""
        try:
            context.context().check_collective_ops_peer_health(
                f'/job:worker/replica:0/task:{index}', timeout_in_ms=1000 * ANSWER)
        except tf.errors.OpError as error:
            return error
        return None

    def _end(self, gone):
        names = ', '.join(map(self._cluster.name, gone))
        signals.end(1, f'{self._name}: {names} does not answer any more; what it said last says why. This worker ends, '
                       'too. What is saved stays: start all workers again with the same commands.')
