"""How many threads share one operation: it decides the last bits of sums, so a run keeps its number."""
import os

from alexnet_tf.run_folder import settings

MAX_THREADS = 1024  # of one pool; beyond it threads take memory and do nothing


def choose(train_dir, given):
    """(threads of an operation, why): as --intra_op_threads says, else as the run in train_dir began, else one a core.

    Sums are split among the threads, so the weights' last bits depend on their number; on how many cores there are to
    run them they do not.

    Raises: ValueError when flags.json holds no such number.
    """
    if given:
        return given, '--intra_op_threads'
    before = (settings.read(train_dir) or {}).get('intra_op_threads')
    if before is None:
        on_linux = hasattr(os, 'sched_getaffinity')
        cores = len(os.sched_getaffinity(0)) if on_linux else os.cpu_count()
        return min(MAX_THREADS, cores or 1), 'one a core'
    if type(before) is not int or not 1 <= before <= MAX_THREADS:
        raise ValueError(f'{settings.path(train_dir)} has intra_op_threads {before!r}; it must be a whole number from '
                         f'1 to {MAX_THREADS}. Say it with --intra_op_threads.')
    return before, 'as the run was begun'
