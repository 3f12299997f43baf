"""Small runs in processes of their own, forked from one that has imported TensorFlow, which takes three seconds."""
import contextlib
import ctypes
import importlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading

CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['tests.helpers.small_run', 'tests.helpers.narrow'])


class Started:
    """A small run that was started; used as a subprocess.Popen. stdout: what it prints, errors too.

    arguments: of the main() of a module of tests.helpers: small_run, or narrow for commands with narrow networks.
    environment: variables to add; NETWORK: the network namespace to run in.
    """

    def __init__(self, *arguments, module='small_run', environment=()):
        reading, writing = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=_run, daemon=True,
                                        args=(writing, module, list(map(str, arguments)), dict(environment)))
        self._process.start()
        writing.close()
        self.stdout = os.fdopen(os.dup(reading.fileno()), encoding='utf-8')
        reading.close()
        self.pid = self._process.pid
        self.kill = self._process.kill

    @property
    def returncode(self):
        """The exit status, of a signal that killed it -number; None: it lives."""
        return self._process.exitcode

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, number)

    def wait(self, timeout):
        """The exit status. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired('small_run', timeout)
        return self.returncode

    def communicate(self, timeout=300):
        """What it prints up to its end; a process that lives longer than the timeout is killed."""
        timer = threading.Timer(timeout, self.kill)
        timer.start()
        try:
            printed = self.stdout.read()
            self._process.join()
        finally:
            timer.cancel()
        return printed

    def wait_for(self, text):
        """Reads what it prints up to a line with the text."""
        said = []
        for line in self.stdout:
            said.append(line)
            if text in line:
                return
        raise AssertionError(f'the process ended before it said {text!r}:\n{"".join(said)}')


def finish(folder, *arguments):
    """What a run that goes to its end prints; its exit status must be 0."""
    process = Started(folder, *arguments)
    printed = process.communicate()
    assert process.returncode == 0, printed
    return printed


def hash_in(printed):
    return re.search(r'^hash (\w{64})$', printed, re.M)[1]


def _run(printed, module, arguments, environment):
    if 'NETWORK' in environment:  # a name that `ip netns` gave
        with open(f'/run/netns/{environment["NETWORK"]}', 'rb') as network:
            ctypes.CDLL(None, use_errno=True).setns(network.fileno(), 0)
    os.environ |= environment
    module = importlib.import_module(f'tests.helpers.{module}')
    for name, number in (('stdout', 1), ('stderr', 2)):
        os.dup2(printed.fileno(), number)
        setattr(sys, name, open(number, 'w', encoding='utf-8', closefd=False))
    printed.close()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup would have it ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as would a shell's &
    module.main(arguments)
