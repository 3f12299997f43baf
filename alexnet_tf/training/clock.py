"""How fast a run trains, and how long it waits for its input."""
import contextlib
import time


class Clock:
    """Measures from one line of progress to the next."""

    def __init__(self, step):
        self.restart(step)

    def restart(self, step):
        """Begins to measure at a step."""
        self._since, self._step, self._waited = time.monotonic(), step, 0.0

    @contextlib.contextmanager
    def waiting(self):
        """Time inside a `with` counts as waiting for input."""
        asked = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - asked

    @contextlib.contextmanager
    def paused(self):
        """Time inside a `with` does not count: the speed is that of training alone."""
        began = time.monotonic()
        yield
        self._since += time.monotonic() - began

    def read(self, step):
        """(steps a second, share of the time spent waiting for input) since the last restart."""
        passed = time.monotonic() - self._since
        return (step - self._step) / passed, self._waited / passed
