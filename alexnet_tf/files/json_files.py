"""Small files: written whole or not at all; JSON read with errors that name the file."""
import contextlib
import json
import os

from alexnet_tf.files import untrusted


def write(path, content):
    """Writes content to path by way of a temporary name, and makes the folder. Raises OSError."""
    write_text(path, json.dumps(content, indent=1))


def write_text(path, text):
    """Writes text to path, which holds the old or the new whatever happens, and makes the folder. Raises OSError."""
    write_bytes(path, text.encode())


def write_bytes(path, content):
    """As `write_text`, of bytes."""
    folder = os.path.dirname(path) or '.'
    os.makedirs(folder, exist_ok=True)
    try:
        with open(path + '.partial', 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + '.partial', path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(path + '.partial')
        raise
    sync(folder)


def sync(path):
    """Waits until a file, or the names in a folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path):
    """The dictionary in a file; None when there is no such file.

    Raises: ValueError for a file that is damaged or holds something else.
    """
    try:
        text = untrusted.read_text(path)
    except FileNotFoundError:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: of thousands of brackets
        raise ValueError(f'cannot read {path}: {error}. Restore or remove it.') from error
    if not isinstance(content, dict):
        raise ValueError(f'cannot read {path}: it holds a {type(content).__name__}, not an object {{…}}. Restore or '
                         'remove it.')
    return content
