"""Files that others wrote: checked before they are read, and what they say before it is used."""
import json
import os

import google_crc32c

MAX_TEXT_BYTES = 1 << 26  # of a file that is read as a whole; names of 22,000 classes are half a megabyte


def check_regular(path):
    """Raises ValueError for a device, a named pipe or a folder: they would be read without end, or waited for."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f'{path!r} is a device, a pipe or a folder, not a file; give a file, or remove it.')


def read_bytes(path, most):
    """The contents of a file of at most so many bytes. Raises: OSError, or ValueError for another or an empty file."""
    check_regular(path)
    with open(path, 'rb') as file:
        content = file.read(most + 1)
    if not content:
        raise ValueError('the file is empty')
    if len(content) > most:
        raise ValueError(f'the file has {os.path.getsize(path)} bytes; at most {most} are read')
    return content


def fingerprint(path):
    """{'bytes': size, 'crc32c': checksum} of a file, which tell it from a damaged one. Raises: OSError, ValueError."""
    check_regular(path)
    checksum, size = google_crc32c.Checksum(), 0
    with open(path, 'rb') as opened:
        while block := opened.read(1 << 22):
            checksum.update(block)
            size += len(block)
    return {'bytes': size, 'crc32c': checksum.hexdigest().decode()}


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


def read_json(path):
    """The dictionary in a file; None when there is no such file.

    Raises: ValueError for a file that is damaged or holds something else.
    """
    try:
        text = read_text(path)
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
            raise ValueError(f'cannot read {path}: {name} is {short(content[name])}; it must be {wanted}. Restore it.')


def short(value):
    """The value for a message, cut off where it is long."""
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
    return (isinstance(value, str) and value not in ('', '.', '..') and value.isprintable()
            and not {'/', os.sep, os.altsep or '/'} & set(value))
