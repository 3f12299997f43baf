"""Commands in the test's own process: what their flags do, without the seconds that TensorFlow takes to load.

Flags for devices (--clone_on_cpu) and another number of threads want a process of their own: TensorFlow takes them only
before its first operation.
"""
import contextlib
import importlib
import io
import subprocess
import sys
import traceback
from unittest import mock

from absl import flags

from alexnet_tf.console import command, flag_table, signals


@contextlib.contextmanager
def flags_of(rows):
    """Inside a `with`, absl knows the flags of a table. They are global: two commands have some of the same names."""
    flag_table.define(rows)
    flags.FLAGS.mark_as_parsed()
    try:
        yield flags.FLAGS
    finally:
        for row in rows:
            delattr(flags.FLAGS, row.name)


def call(module, *arguments, positional=None, check=False):
    """Runs a command ('alexnet_tf.export'). Returns a CompletedProcess; returncode -1: it raised, stderr has how.

    positional: as of command.run. check: whether another exit status than 0 fails the test.
    """
    module = importlib.import_module(module) if isinstance(module, str) else module
    with flags_of(module.ROWS):
        result = call_once(module, *arguments, positional=positional)
    assert not (check and result.returncode), f'{arguments} ended with {result.returncode}:\n{result.stderr}'
    return result


def _end(status, sentence):
    """signals.end ends the process at once, and with it the tests."""
    print(sentence, file=sys.stderr)
    sys.exit(status)


def call_once(module, *arguments, positional=None):
    """`call`, inside of flags_of(module.ROWS); the flags get their defaults first."""
    for row in module.ROWS:
        flags.FLAGS[row.name].unparse()
    printed, status, message = io.StringIO(), 0, ''
    with contextlib.redirect_stdout(printed), mock.patch.object(signals, 'end', _end):
        try:
            rest = command.parse('x', ['x', *map(str, arguments)], module.ROWS, positional)
            command.guarded('x', module.main, rest, module.ROWS, positional)
        except SystemExit as end:
            status, message = (1, end.code) if isinstance(end.code, str) else (end.code, '')
        except BaseException:
            status, message = -1, traceback.format_exc()
    return subprocess.CompletedProcess(arguments, status, printed.getvalue(), message)


def messages_of(module, cases):
    """What a command says to each list of flags: its error, or '' for none."""
    module = importlib.import_module(module)
    with flags_of(module.ROWS):
        return [call_once(module, *case).stderr for case in cases]
