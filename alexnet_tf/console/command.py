"""How every command begins and ends: flags from its table, and for an error that users can mend a sentence."""
import logging
import os
import sys

from absl import app, flags

from alexnet_tf.console import flag_table, signals, terminal

SMALLER = 'lower --batch_size where there is one'


def run(name, main, rows, positional=None):
    """Defines and parses flags, calls main(), and turns its errors into `name: sentence` and exit status 1.

    TensorFlow is not imported here: main() does so (load_tensorflow) once the flags are known to be
    right.

    Args:
      rows: the command's flag_table.Flags.
      positional: the flag that may also be given without its name, as a lone argument; if it is a list, as several.
        None: there is none.
    """
    flag_table.define(rows)
    sys.modules['__main__'].__doc__ = sys.modules[main.__module__].__doc__  # of --help; pip's stub has none
    terminal.guard_terminal()
    logging.getLogger('tensorflow').setLevel(logging.WARNING)  # else a line for every variable that clones reduce
    app.run(lambda arguments: guarded(name, main, arguments, rows, positional),
            flags_parser=lambda arguments: parse(name, arguments, rows, positional))


def parse(name, arguments, rows, positional=None):
    """Parses the flags of a table; a wrong one ends the process with a sentence. Returns: what is no flag."""
    flags.FLAGS.set_gnu_getopt(True)  # flags may stand behind other arguments
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        file = next((argument for argument in arguments if argument[:1] == '-' and os.path.lexists(argument)), None)
        hint = f' The file {file} is given as ./{file}.' if file and positional else ''
        sys.exit(f'{name}: {terminal.printable(flag_table.sentence_of(error, rows) + hint)}')
    except BrokenPipeError:  # of --help | head
        os._exit(1)  # else Python would try to write the rest, and fail again


def guarded(name, main, arguments, rows=(), positional=None):
    """What `run` does once flags are parsed. arguments: the program's name and what is no flag."""
    several = any(row.name == positional and row.kind is list for row in rows)
    if positional and not flags.FLAGS[positional].present:
        if several and len(arguments) > 1:
            arguments, flags.FLAGS[positional].value = arguments[:1], arguments[1:]
        elif len(arguments) == 2:
            flags.FLAGS[positional].value = arguments.pop()
    try:
        if len(arguments) > 1:
            takes = f'{"" if several else "one "}{positional} and flags' if positional else 'flags alone'
            raise ValueError(f'not understood: {" ".join(arguments[1:])}; it takes {takes}, as --flag=value (--noflag '
                             'for a false one).')
        flag_table.check_values(rows)
        main()
    except BrokenPipeError:
        signals.end(1, f'{name}: what it prints cannot be written any more (the program behind | has ended).')
    except (ValueError, OSError) as error:
        sys.exit(f'{name}: {terminal.sentence(error)}')
    except MemoryError as error:
        sys.exit(f'{name}: out of memory; free some, or {SMALLER}. {terminal.sentence(error)}')
    except signals.Stopped as stopped:
        signals.end(128 + stopped.number, terminal.printable(f'{name}: {stopped}'))
    except KeyboardInterrupt:
        signals.end(130, f'{name}: interrupted; the same command can be given again.')
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
