"""Peers that take turns, each in a process of its own that imports only what the peer needs.

torch and TensorFlow in one process abort where both bring an LLVM. The parent says by messages whose turn it is, so
rounds alternate and one peer computes at a time. A peer that fails or dies keeps its reason; the others go on.
"""
import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import signal
import tempfile
import time

LONGEST = 900  # seconds to wait for an answer; torch.compile may take minutes
PAUSE = 0.02  # seconds before a turn, in which the threads of the peer before fall asleep
CONTEXT = multiprocessing.get_context('spawn')


@dataclasses.dataclass
class Outcome:
    """What became of one peer: seconds of every repetition, what its first call gave, the most memory it ever had.

    failure: why it stopped, in one line; '': it did not.
    """
    seconds: list = dataclasses.field(default_factory=list)
    first: object = None
    peak_bytes: int = 0
    failure: str = ''


def measure(makers, *, repetitions, warmup=1, times=1):
    """{name: Outcome} of peers that take turns.

    Args:
      makers: {name: ('module.function', {argument: value})}. The function is called in the peer's process and returns
        the function to time.
      repetitions, warmup: turns of every peer that are kept, and that are not. times: calls in a turn.
    """
    with contextlib.ExitStack() as stack:
        peers = {name: stack.enter_context(contextlib.closing(_Peer(*maker))) for name, maker in makers.items()}
        for number in range(warmup + repetitions):
            for peer in peers.values():
                peer.turn(times, keep=number >= warmup)
        for peer in peers.values():
            peer.end()
        return {name: peer.outcome for name, peer in peers.items()}


class _Peer:
    """A process that has started, and answered for the first time."""

    def __init__(self, function, arguments):
        self.outcome = Outcome()
        self._errors = tempfile.NamedTemporaryFile('r', errors='replace')  # its standard error
        self._connection, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_serve, args=(theirs, self._errors.name, function, arguments),
                                        daemon=True)
        self._process.start()
        theirs.close()  # so that reading ends when the process does
        self.outcome.first = self._answer()

    def turn(self, times, *, keep):
        seconds = self._ask(times)
        if keep and seconds:
            self.outcome.seconds += seconds

    def end(self):
        self.outcome.peak_bytes = self._ask(0)

    def close(self):
        self._connection.close()  # at which it ends, unless it computes
        self._process.join(10)
        self._process.kill()
        self._process.join()
        self._errors.close()

    def _ask(self, times):
        if self.outcome.failure:
            return None
        with contextlib.suppress(OSError):  # it has died, which the answer tells
            self._connection.send(times)
        return self._answer()

    def _answer(self):
        try:
            if not self._connection.poll(LONGEST):
                self.outcome.failure = f'no answer within {LONGEST} seconds'
                self._process.kill()
                return None
            value, self.outcome.failure = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.outcome.failure = self._last_words()
            return None
        return value

    def _last_words(self):
        status = self._process.exitcode
        how = f'killed by {signal.Signals(-status).name}' if status < 0 else f'ended with {status}'
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return _one_line(f'{how}: {lines[-1]}' if lines else how)


def _one_line(text):
    line = ' '.join(text.split()).replace('|', '/')  # it goes into a table
    return line if len(line) <= 160 else f'{line[:159]}…'


def _serve(connection, errors, function, arguments):
    """The peer's process: makes what is to be timed, calls it as often as each message says, at 0 tells its memory."""
    with open(errors, 'wb') as file:
        os.dup2(file.fileno(), 2)
    try:
        module, _, name = function.rpartition('.')
        run = getattr(importlib.import_module(module), name)(**arguments)
        connection.send((run(), ''))
        while times := connection.recv():
            time.sleep(PAUSE)
            connection.send(([_seconds(run) for _ in range(times)], ''))
        connection.send((peak_bytes(), ''))
    except Exception as error:  # whatever it is, it goes into the peer's row
        connection.send((None, _one_line(f'{type(error).__name__}: {error}')))


def _seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_bytes():
    """The most memory that this process ever had; getrusage's peak is inherited from the parent."""
    with open('/proc/self/status', encoding='ascii') as file:
        return 1024 * int(next(line for line in file if line.startswith('VmHWM')).split()[1])
