"""How every command ends: a sentence for what a user can mend, never a stack trace."""
import contextlib
import math
import sys

import tensorflow as tf
from absl import app, flags

from alexnet_tf.console import signals, terminal

SMALLER = 'lower --batch_size where there is one'
LARGEST = 2 ** 31 - 1  # of whole numbers; more does not fit into TensorFlow's int32


def run(name, main, positional=None, may_be_empty=()):
    """Parses flags, calls main() and turns its errors into `name: sentence` and exit status 1.

    Args:
      positional: the flag that may also be given as a lone argument, without its name; None: there is none.
      may_be_empty: flags for which an empty text means something. For others it is an error: `--dataset_dir=$UNSET`
        would train on the sample.
    """
    terminal.guard_terminal()
    tf.get_logger().setLevel('WARNING')  # else a line for every variable that clones reduce
    app.run(lambda arguments: guarded(name, main, arguments, positional, may_be_empty))


def guarded(name, main, arguments, positional=None, may_be_empty=()):
    """What `run` does once flags are parsed. arguments: the program's name and what is no flag."""
    if positional and len(arguments) == 2 and not flags.FLAGS[positional].present:
        flags.FLAGS[positional].value = arguments.pop()
    try:
        if len(arguments) > 1:
            takes = f'one {positional} and flags' if positional else 'flags alone'
            raise ValueError(f'not understood: {" ".join(arguments[1:])}; it takes {takes}, as --flag=value (--noflag '
                             'for a false one).')
        check_values(may_be_empty)
        main()
    except BrokenPipeError:
        _end(1, f'{name}: what it prints cannot be written any more (the program behind | has ended).')
    except (ValueError, OSError) as error:
        sys.exit(f'{name}: {terminal.printable(str(error))}')
    except MemoryError as error:
        sys.exit(f'{name}: out of memory; free some, or {SMALLER}. {terminal.printable(str(error))}')
    except tf.errors.ResourceExhaustedError as error:
        sys.exit(f'{name}: out of memory or disk space; free some, or {SMALLER}. {_in_one_line(error)}')
    except tf.errors.OpError as error:
        sys.exit(f'{name}: {_in_one_line(error)}')
    except signals.Stopped as stopped:
        _end(128 + stopped.number, f'{name}: {stopped}')
    except KeyboardInterrupt:
        _end(130, f'{name}: interrupted; the same command goes on from what is saved.')


def _end(status, sentence):
    with contextlib.suppress(OSError):  # stderr may be gone, with a terminal or another process
        print(terminal.printable(sentence), file=sys.stderr)
    signals.leave(status)


def check_values(may_be_empty=()):
    """Refuses values that no flag can mean. Raises ValueError naming the flag."""
    for name in flags.FLAGS:
        flag = flags.FLAGS[name]
        if isinstance(flag.value, float) and not math.isfinite(flag.value):
            raise ValueError(f'--{name}={flag.value}; it must be a finite number.')
        unbounded = getattr(flag.parser, 'upper_bound', LARGEST) is None
        if type(flag.value) is int and unbounded and abs(flag.value) > LARGEST:
            raise ValueError(f'--{name}={flag.value}; it must be at most {LARGEST}.')
        if flag.present and flag.value == '' and name not in may_be_empty:
            raise ValueError(f'--{name}= is empty; give a value, or leave the flag out.')


def _in_one_line(error):
    return terminal.printable(' '.join(error.message.split()))
