"""How every command ends: a sentence for what a user can mend, never a stack trace."""
import math
import sys

import tensorflow as tf
from absl import app, flags

from alexnet_tf import stopping


def run(name, main, positional=None):
    """Parses flags, calls main() and turns its errors into `name: sentence` and exit status 1.

    positional: the flag that may also be given as a lone argument, without its name; None: there is none.
    """
    def guarded(arguments):
        sys.stdout.reconfigure(line_buffering=True)  # so that a log file shows progress
        if positional and len(arguments) == 2 and not flags.FLAGS[positional].present:
            flags.FLAGS[positional].value = arguments.pop()
        if len(arguments) > 1:
            takes = f'one {positional} and flags' if positional else 'flags alone'
            sys.exit(f'{name}: not understood: {" ".join(arguments[1:])}; it takes {takes}, as --flag=value '
                     '(--noflag for a false one).')
        infinite = [name for name in flags.FLAGS if isinstance(flags.FLAGS[name].value, float)
                    and not math.isfinite(flags.FLAGS[name].value)]
        if infinite:
            sys.exit(f'{name}: --{infinite[0]}={flags.FLAGS[infinite[0]].value}; it must be a finite number.')
        try:
            main()
        except (ValueError, OSError) as error:
            sys.exit(f'{name}: {error}')
        except tf.errors.ResourceExhaustedError as error:
            sys.exit(f'{name}: out of memory or disk space; lower --batch_size or free space. {error.message}')
        except tf.errors.OpError as error:
            sys.exit(f'{name}: {error.message}')
        except stopping.Stopped as stopped:
            print(f'{name}: {stopped}', file=sys.stderr)
            sys.exit(128 + stopped.number)
        except KeyboardInterrupt:
            print(f'{name}: interrupted; the same command goes on from what is saved.', file=sys.stderr)
            sys.exit(130)
    app.run(guarded)
