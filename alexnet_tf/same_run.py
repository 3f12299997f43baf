"""A resumed run goes on with what it was begun with: what `flags.json` of a training folder is compared with."""
import os

from alexnet_tf import json_files

FLAGS_FILE = 'flags.json'
# What changes the examples, the arithmetic or the rule of a step. Schedules and lengths may change.
COMPARED = ('batch_size', 'seed', 'precision', 'dataset', 'dataset_split_name', 'optimizer', 'resize_side_max',
            'color_noise', 'color_noise_kind', 'dropout_keep_prob', 'weight_decay', 'label_smoothing',
            'trainable_scopes')


def describe(dataset):
    """What tells one training set from another: 'records, bytes', whatever its folder is called."""
    return f'{len(dataset)} records, {int(dataset.index.length.sum())} bytes'


def check_allowed(allowed):
    """Raises ValueError for names in --allow_changes that are not compared."""
    unknown = sorted(set(allowed) - set(COMPARED))
    if unknown:
        raise ValueError(f'--allow_changes={",".join(unknown)}: known are {", ".join(COMPARED)}.')


def check(train_dir, now, allowed):
    """Raises ValueError, with both values, when the run in train_dir was begun with something else.

    Args:
      now: {name: value}, with COMPARED among the names.
      allowed: names that may differ (--allow_changes).
    """
    before = json_files.read(os.path.join(train_dir, FLAGS_FILE)) or {}
    for name in COMPARED:
        if name in before and before[name] != now[name] and name not in allowed:
            raise ValueError(f'--train_dir={train_dir} was begun with --{name}={before[name]}, not {now[name]}; resume '
                             f'with that, allow the change with --allow_changes={name}, or begin another --train_dir '
                             'with --checkpoint_path.')
