"""The image files that a command line names: files, and folders with all that is in them."""
import os

from alexnet_tf.console import terminal

SUFFIXES = '.jpg', '.jpeg', '.png'


def find(arguments, log):
    """[(path, None, or why it cannot be read)] for files and folders, in their order; folders sorted by name.

    Of a folder, and the folders in it, the files with one of SUFFIXES are taken. Hidden ones are left out. log: is told
    which others there are. Named files are taken whatever their names.
    """
    found = []
    for argument in arguments:
        if not os.path.isdir(argument):
            found.append((argument, None if os.path.lexists(argument) else 'there is no such file'))
            continue
        inside, others = [], []
        _look_into(argument, (), inside, others)
        if others:
            folder, first = map(terminal.printable, (argument, others[0]))
            log(f'Note: files in {folder} whose names do not end in {", ".join(SUFFIXES)} are not read: {len(others)}; '
                f'the first is {first}.')
        found += inside or [(argument, f'the folder has no files that end in {", ".join(SUFFIXES)}')]
    return found


def _look_into(folder, above, found, others):
    """Adds to two lists: images, and files that are none by their names. above: what tells the folders above it."""
    try:
        status = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.append((folder, error.strerror))
        return
    this = status.st_dev, status.st_ino
    if this in above:
        found.append((folder, 'it is a link to a folder that it is in'))
        return
    for entry in entries:
        if entry.name[0] == '.':
            continue
        if entry.is_dir():
            _look_into(entry.path, (*above, this), found, others)
        elif entry.name.lower().endswith(SUFFIXES):
            found.append((entry.path, None))
        else:
            others.append(entry.path)
