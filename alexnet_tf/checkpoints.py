"""The checkpoints of a training folder: slim's variable names, rolling, plus the best."""
import contextlib
import glob
import json
import os
import re
import shutil

import tensorflow as tf

from nets import checkpoints as named

PREFIX = 'model.ckpt'
BEST_DIR = 'best'
KEPT = 5  # as slim


def save(folder, step, tensors):
    """Writes {name: tensor} as folder/model.ckpt-<step>, then removes all but the newest five.

    Returns: the path. Raises: ValueError when it can't be written.
    """
    path = named.save(tensors, os.path.join(folder, f'{PREFIX}-{step}'))
    _forget_older(folder, path, KEPT)
    return path


def save_best(folder, path):
    """Makes folder/best hold the checkpoint `path` and no other, without writing the data again."""
    best = os.path.join(folder, BEST_DIR)
    os.makedirs(best, exist_ok=True)
    for source in glob.glob(glob.escape(path) + '.*'):
        target = os.path.join(best, os.path.basename(source))
        with contextlib.suppress(FileNotFoundError):
            os.remove(target)
        try:
            os.link(source, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)
    _forget_older(best, os.path.join(best, os.path.basename(path)), 1)


def find(path):
    """The checkpoint that `path` names: a file (with or without .index) or the latest in a folder.

    Returns: a path for tf.train.load_checkpoint, or None if there is none.
    """
    if set('*?[]\\') & set(path):  # TensorFlow opens checkpoints by pattern: it would write, but never find them
        raise ValueError(f'{path!r} has one of * ? [ ] \\ in it, which TensorFlow cannot read checkpoints from; choose '
                         'another folder.')
    if os.path.isdir(path):
        state = tf.train.latest_checkpoint(path)
        numbered = _all(path)
        return state or (numbered[-1] if numbered else None)
    path = re.sub(r'\.(index|data-\d{5}-of-\d{5})$', '', path)
    return path if os.path.exists(path + '.index') else None


def step_of(path):
    """The training step of a checkpoint: its global_step, else the number in its name, else 0."""
    step = {'global_step': tf.Variable(0, dtype=tf.int64)}
    if named.read(path).has_tensor('global_step'):
        named.load(step, path)
        return int(step['global_step'])
    number = re.search(r'-(\d+)$', path)
    return int(number[1]) if number else 0


def _all(folder):
    """Paths of the checkpoints in a folder, oldest first."""
    found = [(int(match[1]), name) for name in glob.glob(os.path.join(glob.escape(folder), PREFIX + '-*.index'))
             if (match := re.search(r'-(\d+)\.index$', name))]
    return [name[:-len('.index')] for _, name in sorted(found)]


def _forget_older(folder, newest, kept):
    """Lets the `kept` checkpoints up to `newest` stand and names them in TensorFlow's `checkpoint` file."""
    others = [path for path in _all(folder) if path != newest]
    keep = others[max(0, len(others) - (kept - 1)):] + [newest]
    names = [json.dumps(os.path.basename(path)) for path in keep]
    state = os.path.join(folder, 'checkpoint')
    with open(state + '.partial', 'w', encoding='utf-8') as file:  # the text form of a CheckpointState
        file.write(f'model_checkpoint_path: {names[-1]}\n')
        file.writelines(f'all_model_checkpoint_paths: {name}\n' for name in names)
    os.replace(state + '.partial', state)
    for path in set(others) - set(keep):
        for file in glob.glob(glob.escape(path) + '.*'):
            os.remove(file)
