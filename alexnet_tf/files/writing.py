"""Small files, written whole or not at all."""
import contextlib
import json
import os
import tempfile


def write_json(path, content):
    """Writes content to path by way of a temporary name, and makes the folder. Raises OSError."""
    write_text(path, json.dumps(content, indent=1))


def write_text(path, text):
    """Writes text to path, which holds the old or the new whatever happens, and makes the folder. Raises OSError."""
    with whole(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def whole(path):
    """Gives a binary file to write to inside a `with`; at its end that takes the place of path. Raises OSError."""
    folder = os.path.dirname(path) or '.'
    os.makedirs(folder, exist_ok=True)
    partial = f'{path}.{os.getpid()}.partial'  # two processes may write the same, as two evaluations of a run
    try:
        with open(partial, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise
    sync(folder)


def sync(path):
    """Waits until a file, or the names in a folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(folder, flag):
    """Raises ValueError, before long work, for a folder that cannot be made or written to. What is made is removed."""
    there, made = os.path.abspath(folder), []
    while not os.path.lexists(there):
        made.append(there)
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise ValueError(f'--{flag}={folder} cannot be a folder: {there} is a file or a broken link; choose another.')
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f'--{flag}={folder} cannot be made or written to ({error.strerror}); choose another folder, '
                         f'or see to {there}.') from error
    finally:
        for each in made:
            with contextlib.suppress(OSError):
                os.rmdir(each)
