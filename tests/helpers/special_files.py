"""Paths at which reading would not end, would wait, or fail."""
import os

KINDS = 'device', 'pipe', 'folder'
MESSAGE = 'is a device, a pipe or a folder, not a file'


def make(kind, path):
    if kind == 'device':
        path.symlink_to('/dev/zero')
    elif kind == 'pipe':
        os.mkfifo(path)
    else:
        path.mkdir()
    return path
