"""Text on a terminal: what could act on it is shown escaped, since it may come from anybody."""
import io
import logging
import os
import sys
import unicodedata

LONGEST = 2000  # characters of an error


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


def sentence(error):
    """What an error says, printable; the middle of a long text is left out: files may hold names of megabytes."""
    text = str(error)
    if len(text) > LONGEST:
        text = f'{text[:LONGEST * 3 // 4]} … {text[-LONGEST // 4:]}'
    return printable(text)


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
    open_closed_streams()
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


def open_closed_streams():
    """Opens the null device for standard streams that are closed: else the next file opened takes their place."""
    for number, name in enumerate(('stdin', 'stdout', 'stderr')):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, 'w' if number else 'r', encoding='utf-8', closefd=False))
