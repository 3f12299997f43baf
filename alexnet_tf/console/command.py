"""How every command begins and ends: flags from its table, and for an error that users can mend a sentence."""
import contextlib
import logging
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # start-up notes of TensorFlow's C++ code

from absl import app, flags

from alexnet_tf.console import flag_table, signals, terminal

SMALLER = 'lower --batch_size where there is one'


def run(name, main, rows, positional=None):
    """Defines and parses flags, calls main(), and turns its errors into `name: sentence` and exit status 1.

    TensorFlow is not imported here: main() does so once the flags are known to be right.

    Args:
      rows: the command's flag_table.Flags.
      positional: the flag that may also be given as a lone argument, without its name; None: there is none.
    """
    flag_table.define(rows)
    sys.modules['__main__'].__doc__ = sys.modules[main.__module__].__doc__  # of --help; pip's stub has none
    terminal.guard_terminal()
    logging.getLogger('tensorflow').setLevel(logging.WARNING)  # else a line for every variable that clones reduce
    app.run(lambda arguments: guarded(name, main, arguments, rows, positional))


def guarded(name, main, arguments, rows=(), positional=None):
    """What `run` does once flags are parsed. arguments: the program's name and what is no flag."""
    if positional and len(arguments) == 2 and not flags.FLAGS[positional].present:
        flags.FLAGS[positional].value = arguments.pop()
    try:
        if len(arguments) > 1:
            takes = f'one {positional} and flags' if positional else 'flags alone'
            raise ValueError(f'not understood: {" ".join(arguments[1:])}; it takes {takes}, as --flag=value (--noflag '
                             'for a false one).')
        flag_table.check_values(rows)
        main()
    except BrokenPipeError:
        _end(1, f'{name}: what it prints cannot be written any more (the program behind | has ended).')
    except (ValueError, OSError) as error:
        sys.exit(f'{name}: {terminal.sentence(error)}')
    except MemoryError as error:
        sys.exit(f'{name}: out of memory; free some, or {SMALLER}. {terminal.sentence(error)}')
    except signals.Stopped as stopped:
        _end(128 + stopped.number, f'{name}: {stopped}')
    except KeyboardInterrupt:
        _end(130, f'{name}: interrupted; the same command continues from the last checkpoint.')
    except Exception as error:
        sys.exit(f'{name}: {_of_tensorflow(error)}')


def _of_tensorflow(error):
    """The sentence of an error of TensorFlow's; any other is raised again."""
    errors = sys.modules['tensorflow'].errors if 'tensorflow' in sys.modules else None
    if errors is None or not isinstance(error, errors.OpError):
        raise error
    text = terminal.printable(' '.join(error.message.split()))
    if isinstance(error, errors.ResourceExhaustedError):
        return f'out of memory or disk space; free some, or {SMALLER}. {text}'
    return text


def _end(status, sentence):
    with contextlib.suppress(OSError):  # stderr may be gone, with a terminal or another process
        print(terminal.printable(sentence), file=sys.stderr)
    signals.leave(status)
