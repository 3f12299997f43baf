"""The progress line of long work: how far, how fast, how long still."""
import datetime
import time

SECONDS = 10  # between two lines


class Progress:
    """Prints `done/total`, rate and ETA every SECONDS at most, and a summary at the end."""

    def __init__(self, total, unit, log=print, *, done=0):
        """done: units that were finished before; the rate and the summary are without them."""
        self._total, self._unit, self._log, self._before = total, unit, log, done
        self._start = self._printed = time.monotonic()
        self._done, self._first = done, None

    def update(self, done):
        """done: units finished so far."""
        self._done = done
        now = time.monotonic()
        if done > self._before and not self._first:
            self._first = done, now  # what comes before, such as loading TensorFlow, comes once
        elif self._first and now - self._printed >= SECONDS:
            self._printed = now
            seconds = now - self._first[1]
            # Units come in batches: too soon after the first the rate would be that of one batch's units.
            overall = (done - self._before) / (now - self._start)
            rate = (done - self._first[0]) / seconds if seconds >= 1 else overall
            rate = rate or overall
            self._log(f'{done}/{self._total} {self._unit}, {rate:.1f}/s, '
                      f'ETA {duration((self._total - done) / rate)}')

    def finish(self):
        seconds = time.monotonic() - self._start
        done = self._done - self._before
        self._log(f'{done} {self._unit} in {duration(seconds)} ({done / max(seconds, 1e-9):.1f}/s)')


def duration(seconds):
    """h:mm:ss."""
    return str(datetime.timedelta(seconds=round(seconds)))
