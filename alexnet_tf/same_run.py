"""A resumed run goes on with what it was begun with: what `flags.json` of a training folder is compared with."""
import os

from alexnet_tf import json_files

FLAGS_FILE = 'flags.json'
# What changes the examples, the arithmetic or the rule of a step. Schedules and lengths may change.
COMPARED = ('batch_size', 'seed', 'precision', 'dataset', 'dataset_split_name', 'optimizer', 'resize_side_max',
            'color_noise', 'color_noise_kind', 'dropout_keep_prob', 'weight_decay', 'label_smoothing',
            'trainable_scopes', 'intra_op_threads')
MAX_THREADS = 1024


def describe(dataset):
    """What tells one training set from another: 'records, bytes', whatever its folder is called."""
    return f'{len(dataset)} records, {int(dataset.index.length.sum())} bytes'


def check_allowed(allowed):
    """Raises ValueError for names in --allow_changes that are not compared."""
    unknown = sorted(set(allowed) - set(COMPARED))
    if unknown:
        raise ValueError(f'--allow_changes={",".join(unknown)}: known are {", ".join(COMPARED)}.')


def choose_threads(train_dir, given):
    """(threads of an operation, why): as --intra_op_threads says, else as the run in train_dir began, else one a core.

    Sums are split among the threads, so the weights' last bits depend on their number; on how many cores there are to
    run them they do not.

    Raises: ValueError when flags.json holds no such number.
    """
    if given:
        return given, '--intra_op_threads'
    before = (json_files.read(os.path.join(train_dir, FLAGS_FILE)) or {}).get('intra_op_threads')
    if before is None:
        return min(MAX_THREADS, len(os.sched_getaffinity(0))), 'one a core'
    if type(before) is not int or not 1 <= before <= MAX_THREADS:
        raise ValueError(f'{os.path.join(train_dir, FLAGS_FILE)} has intra_op_threads {before!r}; it must be a whole '
                         f'number from 1 to {MAX_THREADS}. Say it with --intra_op_threads.')
    return before, 'as the run was begun'


def check(train_dir, now, allowed):
    """Raises ValueError, with both values of each, when the run in train_dir was begun with something else.

    Args:
      now: {name: value}, with COMPARED among the names.
      allowed: names that may differ (--allow_changes).
    """
    before = json_files.read(os.path.join(train_dir, FLAGS_FILE)) or {}
    other = [name for name in COMPARED if name in before and before[name] != now[name] and name not in allowed]
    if other:
        differences = ', '.join(f'--{name}={before[name]}, not {now[name]}' for name in other)
        raise ValueError(f'--train_dir={train_dir} was begun with {differences}; resume with that, allow the change '
                         f'with --allow_changes={",".join([*allowed, *other])}, or begin another --train_dir with '
                         '--checkpoint_path.')
