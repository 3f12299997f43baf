"""Numbered versions in a folder that a server watches: each appears there as a whole, or not at all."""
import contextlib
import fcntl
import os
import re
import shutil
import uuid

from alexnet_tf.files import writing

PREFIX = '.publishing-'  # TensorFlow Serving sees only names that are numbers


def publish(folder, write):
    """Makes what write(place), place an empty folder, writes there the next version of a folder.

    If the process is killed or fails, at any moment, the folder gets a whole version or none; what was left is removed
    by the next one. Several processes may publish at once.

    Returns: (the version's path, what `write` returned). Raises: OSError when it cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    remove_leftovers(folder)
    place, descriptor = _new_place(folder)
    try:
        written = write(place)
        _sync_all(place)
        path = _move(place, folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)
    writing.sync(folder)
    return path, written


def remove_leftovers(folder):
    """Removes what processes that were killed left in a folder. Where the file system cannot lock, it stays."""
    for name in os.listdir(folder):
        if name.startswith(PREFIX):
            place = os.path.join(folder, name)
            with contextlib.suppress(OSError), _opened(place) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its process lives
                shutil.rmtree(place)


def _new_place(folder):
    """(path of a new folder, descriptor that locks it until it is closed or the process ends)."""
    while True:
        place = os.path.join(folder, PREFIX + uuid.uuid4().hex)
        os.mkdir(place)
        with contextlib.suppress(FileNotFoundError):  # another process took it for a leftover
            descriptor = os.open(place, os.O_RDONLY)
            with contextlib.suppress(OSError):  # the file system cannot lock
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.exists(place):
                return place, descriptor
            os.close(descriptor)


@contextlib.contextmanager
def _opened(place):
    descriptor = os.open(place, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_all(folder):
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            writing.sync(os.path.join(place, name))
        writing.sync(place)


def _move(place, folder):
    """Renames a folder to the number above all others; one that holds something is not replaced. Returns: its path."""
    while True:
        numbers = [int(name) for name in os.listdir(folder) if re.fullmatch(r'\d+', name, re.ASCII)]
        path = os.path.join(folder, str(max(numbers, default=0) + 1))
        try:
            os.rename(place, path)
            return path
        except OSError:
            if not os.path.lexists(path):  # else another process was faster
                raise
