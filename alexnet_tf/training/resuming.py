"""A resumed run goes on with the settings that it was started with, which flags.json holds."""
import os

from alexnet_tf.console import terminal
from alexnet_tf.console.flag_table import KEEP, NAME, REFUSE
from alexnet_tf.data import records
from alexnet_tf.run_folder import settings

DATASET = 'dataset'  # what the comparison calls the training set
WORKERS = 'workers'  # what it calls their number
ONEDNN = 'oneDNN'  # what it calls whether TensorFlow uses it, on which the last bits depend
MAX_THREADS = 1024  # of one pool; beyond it threads take memory and do nothing


def describe(dataset):
    """What tells one training set from another, whatever its folder is called: records, bytes, checksum of lengths."""
    known = records.description(dataset.index.length)
    return f'{known["records"]} records of {known["bytes"]} bytes, checksum of their lengths {known["lengths_crc32c"]}'


def choose_threads(train_dir, given):
    """(threads per operation, why): as --intra_op_threads says, else as the run in train_dir began, else one per core.

    Sums are split among the threads, so the weights' last bits depend on their number; on how many cores there are to
    run them they do not.

    Raises: ValueError when flags.json holds no such number.
    """
    if given:
        return given, '--intra_op_threads'
    before = (settings.read(train_dir) or {}).get('intra_op_threads')
    if before is None:
        return min(MAX_THREADS, len(os.sched_getaffinity(0))), 'one per core'
    if type(before) is not int or not 1 <= before <= MAX_THREADS:
        raise ValueError(f'{settings.path(train_dir)} has intra_op_threads {before!r}; it must be a whole number from '
                         f'1 to {MAX_THREADS}. Set it with --intra_op_threads.')
    return before, 'as the run was started'


def check_allowed(allowed, rules):
    """Raises ValueError for names in --allow_changes that no rule refuses."""
    refused = [name for name, rule in rules.items() if rule == REFUSE]
    unknown = sorted(set(allowed) - set(refused))
    if unknown:
        raise ValueError(f'--allow_changes={",".join(unknown)}: known are {", ".join(refused)}.')


def check(train_dir, now, rules, allowed=(), log=print):
    """Compares a run with what the one in train_dir was started with, and says what else has changed.

    Args:
      now: {name: value}.
      rules: {name: what to do about another value}: 'refuse' it, 'name' it, 'keep' the old one, which says how a run
        begins, or 'ignore' the difference.
      allowed: names that may differ although they are refused (--allow_changes). A run that is allowed another batch
        size counts epochs as if all its steps had had it.

    Returns: now, with the kept values in their place.

    Raises: ValueError, with both values of each, when something that is refused differs.
    """
    def said(name):
        return {DATASET: 'a training set of ', WORKERS: 'workers: ', ONEDNN: 'oneDNN: '}.get(name, f'--{name}=')
    before = settings.read(train_dir)
    if before is None:
        log(f'There is no {settings.path(train_dir)}: whether the run was started with the same flags cannot be known.')
        return now
    kept = {name: before[name] for name, rule in rules.items() if rule == KEEP and name in before}
    for name in ('hidden_bias', 'initial_values'):  # restoring speaks of the others
        if name in kept and now[name] not in (None, kept[name]):
            was = 'its default' if kept[name] is None else kept[name]
            log(terminal.sentence(f'--{name}={now[name]} has no effect now: the run was started with {was}.'))
    changed = [name for name, rule in rules.items() if rule in (REFUSE, NAME) and name in before
               and before[name] != now[name]]
    other = [name for name in changed if rules[name] == REFUSE and name not in allowed]
    if other:
        differences = ', '.join(f'{said(name)}{before[name]}, not {now[name]}' for name in other)
        raise ValueError(f'--train_dir={train_dir} was started with {differences}; choose another --train_dir for '
                         'another run, resume with what it was started with, or allow the change with '
                         f'--allow_changes={",".join([*allowed, *other])}.')
    if changed:
        changes = ', '.join(f'{said(name)}{now[name]} (was {before[name]})' for name in changed)
        log(terminal.sentence(f'Changed since the run was started: {changes}.'))
    return now | kept
