"""SIGTERM and SIGINT: noted, so that the training loop can save and end; a second one ends at once."""
import contextlib
import signal


class Stopped(Exception):
    """A signal asked the process to end. number: the signal's; the exit status is 128 + number."""

    def __init__(self, number, message):
        super().__init__(message)
        self.number = number


class Notice:
    """number: of the first signal that came; None: none yet."""
    number = None

    def check(self):
        """Raises Stopped after a signal."""
        if self.number:
            raise Stopped(self.number, f'stopped by {signal.Signals(self.number).name}')


@contextlib.contextmanager
def noted():
    """Inside a `with`, SIGTERM and SIGINT are noted in the Notice that it gives."""
    notice, before = Notice(), {}

    def note(number, _):
        notice.number = number
        for each, handler in before.items():
            signal.signal(each, handler)
    for each in (signal.SIGTERM, signal.SIGINT):
        before[each] = signal.signal(each, note)
    try:
        yield notice
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
