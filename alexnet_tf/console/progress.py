"""The progress line of long work: how far, how fast, how long still."""
import datetime
import time

SECONDS = 10  # between two lines


class Progress:
    """Prints `done/total`, rate and ETA every SECONDS at most, and a summary at the end."""

    def __init__(self, total, unit, log=print):
        self._total, self._unit, self._log = total, unit, log
        self._start = self._printed = time.monotonic()
        self._done, self._first = 0, None

    def update(self, done):
        """done: units finished so far."""
        self._done = done
        now = time.monotonic()
        if done and not self._first:
            self._first = done, now  # what comes before, such as loading TensorFlow, comes once
        elif done and now - self._printed >= SECONDS:
            self._printed = now
            rate = (done - self._first[0]) / max(now - self._first[1], 1e-9) or done / (now - self._start)
            self._log(f'{done}/{self._total} {self._unit}, {rate:.1f}/s, '
                      f'ETA {duration((self._total - done) / rate)}')

    def finish(self):
        seconds = time.monotonic() - self._start
        self._log(f'{self._done} {self._unit} in {duration(seconds)} ({self._done / max(seconds, 1e-9):.1f}/s)')


def duration(seconds):
    """h:mm:ss."""
    return str(datetime.timedelta(seconds=round(seconds)))
