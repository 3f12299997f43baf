"""A command's main() in this process: the flags parsed as from a command line, without a start of Python."""
import contextlib

from absl import flags

from alexnet_tf.console import flag_table


@contextlib.contextmanager
def flags_of(command, *arguments):
    """Inside a `with`, absl's flags are those of a command's ROWS, with these arguments."""
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [delattr(flags.FLAGS, row.name) for row in command.ROWS if row.name in flags.FLAGS])
        flag_table.define(command.ROWS)
        flags.FLAGS([command.__name__, *arguments])
        flag_table.check_values(command.ROWS)
        yield


def run_main(command, *arguments):
    """What a command does once its flags are parsed; errors are raised as they are."""
    with flags_of(command, *arguments):
        command.main()
