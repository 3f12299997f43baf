"""The checkpoints of a training folder: slim's variable names, the newest five, and the best.

Each has a manifest, `model.ckpt-<step>.manifest.json`, with size and checksum of its files. It is written last, when
they are on the disk: a checkpoint without one was cut off, one that differs from it is damaged.
"""
import contextlib
import glob
import json
import os
import re
import shutil
import time

import tensorflow as tf

from alexnet_tf.console import terminal
from alexnet_tf.files import places, reading, writing
from nets import slim_checkpoints

PREFIX = 'model.ckpt'
BEST_DIR = places.BEST_DIR
MANIFEST = '.manifest.json'
KEPT = 5  # as slim
# The names of files that are written here. No other file of a folder is ever removed.
_PART = r'\.(index|data-\d{5}-of-\d{5}|manifest\.json)'
_UNFINISHED = r'\.(index|data-\d{5}-of-\d{5})\.tempstate\d+|\.manifest\.json\.\d+\.partial'
_OTHER_UNFINISHED = r'(checkpoint|metrics\.jsonl|(flags|model)\.json|.+\.npy)\.\d+\.partial'


def save(folder, step, tensors):
    """Writes {name: tensor} as folder/model.ckpt-<step>, then removes all but the newest five.

    If it is killed or fails, at any moment, older checkpoints stay as they were.

    Returns: the path. Raises: ValueError when it can't be written.
    """
    path = os.path.join(folder, f'{PREFIX}-{step}')
    try:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path + MANIFEST)
        slim_checkpoints.save(tensors, path)
        files = _files(path)
        for file in files:
            writing.sync(file)
        writing.write_json(path + MANIFEST, {os.path.basename(file): reading.fingerprint(file) for file in files})
    except (OSError, ValueError) as error:
        _remove(path)
        what = error if isinstance(error, ValueError) else f'cannot write the checkpoint {path}: {error}.'
        raise ValueError(f'{what} Older checkpoints are as they were; free space or mend the permissions, and the same '
                         'command goes on from the last.') from error
    try:
        _forget_older(folder, path, KEPT)
    except OSError as error:
        raise ValueError(f'{path} is written, but not what belongs to it in {folder}: {error}. Free space or mend '
                         'the permissions, and the same command goes on from it.') from error
    return path


def save_best(folder, path):
    """Makes folder/best hold the checkpoint `path` and no other, without writing the data again."""
    best = os.path.join(folder, BEST_DIR)
    os.makedirs(best, exist_ok=True)
    sources = _files(path) + [path + MANIFEST]
    targets = [os.path.join(best, os.path.basename(source)) for source in sources]
    for target in reversed(targets):  # the manifest goes first and comes last
        with contextlib.suppress(FileNotFoundError):
            os.remove(target)
    for source, target in zip(sources, targets):
        try:
            os.link(source, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)
    _forget_older(best, targets[-1].removesuffix(MANIFEST), 1)


def keep_best(folder, best_step):
    """Links the best checkpoint into folder/best where a kill came between writing and linking it.

    A later one there stays: it is of a validation that ended after its checkpoint was written.
    """
    path = os.path.join(folder, f'{PREFIX}-{best_step}')
    there = find(os.path.join(folder, BEST_DIR))
    if best_step >= 0 and find(path) and (there is None or step_of(there) < best_step):
        save_best(folder, path)


def find(path):
    """The checkpoint that `path` names: a file (with or without .index) or the latest complete one in a folder.

    Returns: a path for tf.train.load_checkpoint, or None if there is none.
    """
    path = places.prefix(path)
    if os.path.isdir(path):
        complete = _complete(path)
        return complete[-1] if complete else None
    return path if os.path.exists(path + '.index') else None


def find_intact(path, log=print):
    """`find`, but in a folder the latest whose files are as they were written.

    log: called with a sentence for each damaged one that is passed over.

    Raises: ValueError when the file named, or every checkpoint of a folder, is damaged.
    """
    latest = find(path)
    if latest is None:
        return None
    candidates = _complete(path) if os.path.isdir(path) else [latest]
    for newer in _all(path)[::-1] if os.path.isdir(path) else []:
        if newer in candidates:
            break
        log(f'{newer} has no manifest: it was not written to its end, or is being written; it is passed over.')
    for candidate in reversed(candidates):
        reason = damage(candidate)
        if reason is None:
            return candidate
        if candidate != candidates[0]:
            log(f'{candidate} is damaged ({reason}); going back to the one before it.')
    there = 'and there is no other checkpoint' if os.path.isdir(path) else 'which was asked for by name'
    raise ValueError(f'{candidates[0]} is damaged ({reason}), {there}; fetch a copy, give another one, or begin again '
                     'in another folder.')


def damage(path):
    """What is wrong with a checkpoint's files by its manifest; None: nothing, or it has no manifest (slim's)."""
    try:
        manifest = reading.read_json(path + MANIFEST)
    except ValueError:
        return 'its manifest cannot be read'
    if manifest is None:
        return None
    try:
        there = {os.path.basename(file): reading.fingerprint(file) for file in _files(path)}
    except (OSError, ValueError) as error:
        return getattr(error, 'strerror', None) or str(error)
    for name in sorted(set(manifest) | set(there)):
        if name not in there or name not in manifest:
            return f'{terminal.sentence(name)} is {"missing" if name not in there else "not of it"}'
        if there[name] != manifest[name]:
            return f'{name} is not as it was written'
    return None


def is_whole(path):
    """Whether all files of a checkpoint are there: training removes them one after the other."""
    files = glob.glob(glob.escape(path) + '.data-*-of-*')
    return bool(find(path) and files) and len(files) == int(files[0].rpartition('-')[2])


def follow(folder, timeout_secs):
    """Yields the newest checkpoint of a folder whenever there is a new one; ends when none came for so long."""
    done, since = None, time.monotonic()
    while True:
        latest = find(folder)
        if latest not in (None, done):
            yield latest
            done, since = latest, time.monotonic()
        elif time.monotonic() - since > timeout_secs:
            return
        else:
            time.sleep(min(10, timeout_secs))


def remove_leftovers(folder, log=print):
    """Removes what a killed process left half written in a training folder, which no other process may be using."""
    for parent in (folder, os.path.join(folder, BEST_DIR)):
        names = os.listdir(parent) if os.path.isdir(parent) else []
        whole = {os.path.basename(path) for path in _complete(parent)} if _has_manifests(parent) else None
        strays = [name for name in names if re.fullmatch(f'{_OTHER_UNFINISHED}|{PREFIX}-\\d+({_UNFINISHED})', name)]
        strays += [name for name in names if whole is not None and (
            match := re.fullmatch(rf'({PREFIX}-\d+){_PART}', name)) and match[1] not in whole]
        for name in strays:
            os.remove(os.path.join(parent, name))
        if strays:
            log(f'Removed from {parent} what was left half written: {", ".join(sorted(strays))}.')


def step_of(path):
    """The training step of a checkpoint: its global_step, else the number in its name, else 0."""
    reader = slim_checkpoints.read(path)
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    if 'global_step' in shapes:
        if shapes['global_step'] or not types['global_step'].is_integer:  # before memory is taken for it
            raise ValueError(f'global_step of the checkpoint {path} is not one whole number; give another checkpoint.')
        try:
            return int(reader.get_tensor('global_step'))
        except (tf.errors.OpError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f'the checkpoint {path} is damaged or was removed: {error}') from error
    number = re.search(r'-(\d+)$', path)
    return int(number[1]) if number else 0


def _files(path):
    """The index and data files of a checkpoint."""
    return sorted(file for file in glob.glob(glob.escape(path) + '.*')
                  if re.fullmatch(r'\.(index|data-\d{5}-of-\d{5})', file[len(path):]))


def _all(folder):
    """Paths of the checkpoints in a folder, oldest first."""
    found = [(int(match[1]), name) for name in glob.glob(os.path.join(glob.escape(folder), PREFIX + '-*.index'))
             if (match := re.search(r'-(\d+)\.index$', name))]
    return [name[:-len('.index')] for _, name in sorted(found)]


def _has_manifests(folder):
    return bool(glob.glob(os.path.join(glob.escape(folder), PREFIX + '-*' + MANIFEST)))


def _complete(folder):
    """Paths of the checkpoints in a folder that were written to their end, oldest first; slim's have no manifest."""
    if _has_manifests(folder):
        return [path for path in _all(folder) if os.path.exists(path + MANIFEST)]
    reading.check_regular(os.path.join(folder, 'checkpoint'))
    numbered = _all(folder)
    try:
        state = tf.train.get_checkpoint_state(folder)
    except UnicodeDecodeError:  # one that can be decoded and says nothing is None, too
        return numbered
    state = state and state.model_checkpoint_path
    if not state or not os.path.exists(state + '.index'):
        return numbered
    if state and os.path.realpath(os.path.dirname(state)) != os.path.realpath(folder):
        state = None  # a file `checkpoint` that was copied, or made by others, can name any file anywhere
    return numbered if state is None else [path for path in numbered if path != state] + [state]


def _forget_older(folder, newest, kept):
    """Keeps `newest` and the `kept` - 1 before it, and names them in TensorFlow's `checkpoint` file."""
    others = [path for path in _all(folder) if path != newest]
    keep = others[max(0, len(others) - (kept - 1)):] + [newest]
    names = [json.dumps(os.path.basename(path)) for path in keep]
    lines = [f'model_checkpoint_path: {names[-1]}\n', *(f'all_model_checkpoint_paths: {name}\n' for name in names)]
    writing.write_text(os.path.join(folder, 'checkpoint'), ''.join(lines))  # the text form of a CheckpointState
    for path in set(others) - set(keep):
        _remove(path)


def _remove(path):
    """Removes the files of a checkpoint, its manifest first, and what a failed write left of them."""
    for file in [path + MANIFEST, *glob.glob(glob.escape(path) + '.*')]:
        if re.fullmatch(f'{_PART}|{_UNFINISHED}', file[len(path):]):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.remove(file)
