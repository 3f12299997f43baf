"""What others wrote: text before it reaches a terminal, small files before they are read, JSON before it is used."""
import io
import logging
import os
import sys
import unicodedata

MAX_TEXT_BYTES = 1 << 26  # of a file that is read as a whole; names of 22,000 classes are half a megabyte


# --- text on a terminal ----------------------------------------------------------------------------


def printable(text, keep=''):
    """The text with an escape such as \\x1b for every character that a terminal could act on.

    Those are control characters, marks that turn the direction of writing, and bytes that are no text (half of a
    surrogate pair, as in file names that are not UTF-8). keep: characters to leave as they are.
    """
    if text.isprintable():
        return text
    return ''.join(
        character if character.isprintable() or character in keep or unicodedata.category(character) == 'Zs'
        else character.encode('unicode_escape').decode() for character in text)


class PrintableStream:
    """A text stream that escapes what `printable` escapes, but for line ends and tabs."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        self._stream.write(printable(text, keep='\n\t'))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def guard_terminal():
    """From now on all that Python prints goes through a PrintableStream; TensorFlow's and absl's log lines too."""
    for name in ('stdout', 'stderr'):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that has not the letter gets its number; lines appear when they are written, also in a file
            stream.reconfigure(errors='backslashreplace', line_buffering=True)
        setattr(sys, name, PrintableStream(stream))
    for logger in map(logging.getLogger, ('', 'absl', 'tensorflow')):
        for handler in logger.handlers:
            handler = getattr(handler, 'python_handler', handler)  # absl's handler holds the one that writes
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)


# --- files -----------------------------------------------------------------------------------------


def check_regular(path):
    """Raises ValueError for a device, a named pipe or a folder: they would be read without end, or waited for."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f'{path!r} is a device, a pipe or a folder, not a file; remove it.')


def read_text(path):
    """The text of a small UTF-8 file. Raises: ValueError for another file, FileNotFoundError for none."""
    check_regular(path)
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read(MAX_TEXT_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror}.') from error
    except UnicodeDecodeError as error:
        raise ValueError(f'cannot read {path}: it is not UTF-8 (byte {error.start}: {error.reason}); save it as '
                         'UTF-8.') from error
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(f'cannot read {path}: it has more than {MAX_TEXT_BYTES:,} characters; it is no file of this '
                         'kind.')
    return text


def check_writable(folder, flag):
    """Raises ValueError, before long work, for a folder that cannot be made or written to. Nothing is made here."""
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise ValueError(f'--{flag}={folder} cannot be a folder: {there} is a file or a broken link; choose another.')
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f'--{flag}={folder} cannot be written to: no permission in {there}; choose another.')


# --- JSON ------------------------------------------------------------------------------------------


def check_fields(content, rules, path):
    """Raises ValueError unless each field that is there is as its rule wants it, and the required ones are there.

    Args:
      content: a dictionary from JSON.
      rules: {field: (function of the value, what it must be in words, required)}.
      path: of the file, for the message.
    """
    for name, (is_good, wanted, required) in rules.items():
        if name not in content:
            if required:
                raise ValueError(f'cannot read {path}: it has no {name}, which must be {wanted}. Restore it.')
        elif not is_good(content[name]):
            raise ValueError(f'cannot read {path}: {name} is {_short(content[name])}; it must be {wanted}. Restore it.')


def _short(value):
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + '...'


def is_count(value):
    """Whether it is a whole number from 0 to 2^31 - 1."""
    return type(value) is int and 0 <= value < 1 << 31


def is_number(value):
    """Whether it is a number below 1e9 in size."""
    return type(value) in (int, float) and abs(value) < 1e9  # NaN is not


def is_rgb(value):
    """Whether it is three numbers."""
    return isinstance(value, list | tuple) and len(value) == 3 and all(map(is_number, value))


def are_names(value):
    """Whether it is a list of at least one name."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(name, str) for name in value)


def is_file_name(value):
    """Whether it is the name of a file in the folder itself: with `../x` a copy would be written elsewhere."""
    return (isinstance(value, str) and value not in ('', '.', '..') and '\0' not in value
            and not {'/', os.sep, os.altsep or '/'} & set(value))
