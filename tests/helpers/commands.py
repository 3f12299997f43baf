"""Commands in the test's own process: what their flags do, without the seconds that TensorFlow takes to load."""
import contextlib
import importlib
import io
import subprocess
import traceback

from absl import flags

from alexnet_tf.console import command, flag_table


@contextlib.contextmanager
def flags_of(rows):
    """Inside a `with`, absl knows the flags of a table. They are global: two commands have some of the same names."""
    flag_table.define(rows)
    flags.FLAGS.mark_as_parsed()
    try:
        yield
    finally:
        for row in rows:
            delattr(flags.FLAGS, row.name)


def call(module, *arguments, positional=None):
    """Runs a command ('alexnet_tf.export'). Returns a CompletedProcess; returncode -1: it raised, stderr has how."""
    module = importlib.import_module(module) if isinstance(module, str) else module
    with flags_of(module.ROWS):
        return call_once(module, *arguments, positional=positional)


def call_once(module, *arguments, positional=None):
    """`call`, inside of flags_of(module.ROWS); the flags get their defaults first."""
    for row in module.ROWS:
        flags.FLAGS[row.name].unparse()
    printed, status, message = io.StringIO(), 0, ''
    with contextlib.redirect_stdout(printed):
        try:
            rest = flags.FLAGS(['x', *map(str, arguments)])
            command.guarded('x', module.main, rest, module.ROWS, positional)
        except flags.Error as error:
            status, message = 1, str(error)  # absl prints it and exits with 1
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
