"""SIGTERM, SIGINT and SIGHUP: noted, so that the training loop can save and end; a second one ends at once."""
import concurrent.futures
import contextlib
import os
import signal
import sys

from alexnet_tf.console import loading

SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


class Stopped(BaseException):  # no `except Exception` of a library may swallow it
    """A signal asked the process to end. number: the signal's; the exit status is 128 + number."""

    def __init__(self, number, message):
        super().__init__(message)
        self.number = number


class Notice:
    """number: of the first signal that came; None: none yet.

    is_watched: whether somebody looks; before, where there is nothing to save, a signal ends the process at once.
    """
    number, is_watched = None, False

    def check(self):
        """Raises Stopped after a signal."""
        if self.number:
            raise Stopped(self.number, f'stopped by {signal.Signals(self.number).name}')


@contextlib.contextmanager
def noted(name):
    """Inside a `with`, signals are noted in the Notice that it gives; SIGHUP not where it is ignored, as by nohup.

    name: of the command, for its last line.
    """
    notice, before = Notice(), {}

    def note(number, _):
        notice.number = number
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        if not notice.is_watched:  # an exception, raised inside TensorFlow's C++ code, would be printed or swallowed
            end(128 + number, f'{name}: stopped by {signal.Signals(number).name} outside of training; the same command '
                              'goes on from what is saved.')
    for each in SIGNALS:
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            before[each] = signal.signal(each, note)
    try:
        yield notice
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def interruptible(iterable, between):
    """The items of an iterable, each fetched by another thread; `between` is called once a second while one is awaited.

    Python runs a handler of signals only when its main thread is not waiting inside TensorFlow, as it would be for
    storage that stalls. What `between` raises ends the iteration; the thread may then be waiting still (see `end`).
    """
    iterator, end = iter(iterable), object()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        while True:
            fetched = pool.submit(next, iterator, end)
            while not concurrent.futures.wait([fetched], timeout=1).done:
                between()
            if fetched.result() is end:
                return
            yield fetched.result()
    finally:
        pool.shutdown(wait=False)


def end(status, sentence):
    """Says a sentence on stderr and ends the process now, without waiting for a thread that waits for storage."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, RuntimeError):  # nobody reads it any more; a signal came while it was written
            stream.flush()
    loading.release()
    with contextlib.suppress(OSError):
        os.write(2, (sentence + '\n').encode())
    os._exit(status)
