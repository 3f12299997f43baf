"""The progress line of long work: how far, how fast, how long still."""
import datetime
import time


class Progress:
    """Prints `done/total`, rate and ETA at most once in `seconds`, and a summary at the end."""

    def __init__(self, total, unit, log=print, seconds=10):
        self._total, self._unit, self._log, self._seconds = total, unit, log, seconds
        self._start = self._printed = time.monotonic()
        self._done = 0

    def update(self, done):
        """done: units finished so far."""
        self._done = done
        now = time.monotonic()
        if done and now - self._printed >= self._seconds:
            self._printed = now
            rate = done / (now - self._start)
            self._log(f'{done}/{self._total} {self._unit}, {rate:.1f}/s, '
                      f'ETA {duration((self._total - done) / rate)}')

    def finish(self):
        seconds = time.monotonic() - self._start
        self._log(f'{self._done} {self._unit} in {duration(seconds)} ({self._done / max(seconds, 1e-9):.1f}/s)')


def duration(seconds):
    """h:mm:ss."""
    return str(datetime.timedelta(seconds=round(seconds)))
