"""A resumed run goes on with what it was begun with: what `flags.json` of a training folder is compared with."""
import os

from alexnet_tf.data import records
from alexnet_tf.data.batches import MAX_THREADS
from alexnet_tf.files import reading
from alexnet_tf.training import optimizers

FLAGS_FILE = 'flags.json'
# A run that is allowed another batch size counts epochs as if all its steps had had it.
# What changes the examples, the arithmetic or the rule of a step. Schedules and lengths may change, and are named.
COMPARED = ('batch_size', 'seed', 'precision', 'dataset', 'dataset_split_name', 'optimizer', 'resize_side_max',
            'color_noise', 'color_noise_kind', 'dropout_keep_prob', 'weight_decay', 'label_smoothing',
            'trainable_scopes', 'intra_op_threads', 'bias_learning_rate_factor', *optimizers.make.__kwdefaults__)
UNIMPORTANT = ('train_dir', 'allow_changes', 'num_preprocessing_threads')
# What says with which values a run begins; flags.json keeps what they were then.
BEGINNING = ('hidden_bias', 'initial_values', 'checkpoint_path', 'checkpoint_exclude_scopes', 'ignore_missing_vars')


def describe(dataset):
    """What tells one training set from another, whatever its folder is called: records, bytes, checksum of lengths."""
    known = records.description(dataset.index.length)
    return f'{known["records"]} records of {known["bytes"]} bytes, checksum of their lengths {known["lengths_crc32c"]}'


def check_allowed(allowed):
    """Raises ValueError for names in --allow_changes that are not compared."""
    unknown = sorted(set(allowed) - set(COMPARED))
    if unknown:
        raise ValueError(f'--allow_changes={",".join(unknown)}: known are {", ".join(COMPARED)}.')


def _said(name):
    return 'a training set of ' if name == 'dataset' else f'--{name}='


def choose_threads(train_dir, given):
    """(threads of an operation, why): as --intra_op_threads says, else as the run in train_dir began, else one a core.

    Sums are split among the threads, so the weights' last bits depend on their number; on how many cores there are to
    run them they do not.

    Raises: ValueError when flags.json holds no such number.
    """
    if given:
        return given, '--intra_op_threads'
    before = (reading.read_json(os.path.join(train_dir, FLAGS_FILE)) or {}).get('intra_op_threads')
    if before is None:
        on_linux = hasattr(os, 'sched_getaffinity')
        cores = len(os.sched_getaffinity(0)) if on_linux else os.cpu_count()
        return min(MAX_THREADS, cores or 1), 'one a core'
    if type(before) is not int or not 1 <= before <= MAX_THREADS:
        raise ValueError(f'{os.path.join(train_dir, FLAGS_FILE)} has intra_op_threads {before!r}; it must be a whole '
                         f'number from 1 to {MAX_THREADS}. Say it with --intra_op_threads.')
    return before, 'as the run was begun'


def check(train_dir, now, allowed, log=print):
    """Compares a run with what the one in train_dir was begun with, and says what else has changed.

    Args:
      now: {name: value}, with COMPARED among the names.
      allowed: names that may differ (--allow_changes).

    Returns: now, with what the run was begun with under the names of BEGINNING.

    Raises: ValueError, with both values of each, when something of COMPARED differs.
    """
    path = os.path.join(train_dir, FLAGS_FILE)
    before = reading.read_json(path)
    if before is None:
        log(f'There is no {path}: whether the run was begun with the same flags cannot be known.')
        return now
    begun = {name: before[name] for name in BEGINNING if name in before}
    for name in ('hidden_bias', 'initial_values'):  # restoring speaks of the others
        if name in begun and now[name] not in (None, begun[name]):
            was = 'its default' if begun[name] is None else begun[name]
            log(f'--{name}={now[name]} has no effect now: the run was begun with {was}.')
    changed = [name for name in now if name in before and before[name] != now[name]
               and name not in (*UNIMPORTANT, *BEGINNING)]
    other = [name for name in changed if name in COMPARED and name not in allowed]
    if other:
        differences = ', '.join(f'{_said(name)}{before[name]}, not {now[name]}' for name in other)
        raise ValueError(f'--train_dir={train_dir} was begun with {differences}; resume with that, allow the change '
                         f'with --allow_changes={",".join([*allowed, *other])}, or begin another --train_dir with '
                         '--checkpoint_path.')
    if changed:
        changes = ', '.join(f'{_said(name)}{now[name]} (was {before[name]})' for name in changed)
        log(f'Other than before: {changes}.')
    return now | begun
