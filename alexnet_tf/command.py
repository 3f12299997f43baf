"""How every command ends: a sentence for what a user can mend, never a stack trace."""
import sys

import tensorflow as tf
from absl import app


def run(name, main):
    """Parses flags, calls main() and turns its errors into `name: sentence` and exit status 1."""
    def guarded(arguments):
        sys.stdout.reconfigure(line_buffering=True)  # so that a log file shows progress
        if len(arguments) > 1:
            sys.exit(f'{name}: not understood: {" ".join(arguments[1:])}; it takes flags alone, as --flag=value '
                     '(--noflag for a false one).')
        try:
            main()
        except (ValueError, OSError) as error:
            sys.exit(f'{name}: {error}')
        except tf.errors.ResourceExhaustedError as error:
            sys.exit(f'{name}: out of memory or disk space; lower --batch_size or free space. {error.message}')
        except tf.errors.OpError as error:
            sys.exit(f'{name}: {error.message}')
        except KeyboardInterrupt:
            print(f'{name}: interrupted; the same command goes on from what is saved.', file=sys.stderr)
            sys.exit(130)
    app.run(guarded)
