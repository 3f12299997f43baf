"""Plain files in tar archives, by their positions: nothing is unpacked, and what is no plain file is refused."""
import os
import re
import tarfile
from typing import NamedTuple

from alexnet_tf.files import reading

_REMEDY = 'It is not as ImageNet gave it; nothing of it was used. Download it again.'
_BLOCK = 512
_END = bytes(_BLOCK)
_MAX_EXTENSION = 1 << 16  # bytes of a pax header; that of a file's times has a hundred
_CHANGING = re.compile(rb'\d+ (path|size|GNU\.sparse[.\w]*)=')  # pax fields that say what the file is


class Member(NamedTuple):
    """A file in an archive. path: for messages, where it would be unpacked to. offset, length: bytes of the archive."""
    path: str
    archive: str
    offset: int
    length: int

    def __str__(self):
        return self.path

    def read(self):
        """Its bytes. Raises: OSError; ValueError when the archive has become shorter."""
        with open(self.archive, 'rb', buffering=0) as file:
            content = os.pread(file.fileno(), self.length, self.offset)
        if len(content) != self.length:
            raise ValueError(f'{self.archive} has become shorter since it was indexed')
        return content


def index(archive, *, outer=None, name='', folder=''):
    """{name: Member} of a tar archive, in its order; only headers are read.

    Args:
      archive: path of the tar file.
      outer: the Member that the archive is, where it is in another one; name: its name, for messages.
      folder: where it would be unpacked to, for the Members' paths.

    Raises: ValueError for what is cut off or damaged, has a name twice, or holds anything but plain files directly in
      it: a name with a folder, a link, a device.
    """
    said = f'{archive}: {name}' if name else archive
    reading.check_regular(archive)
    found = {}
    try:
        with open(archive, 'rb', buffering=0) as file:
            start, end = (outer.offset, outer.offset + outer.length) if outer else (0, os.fstat(file.fileno()).st_size)

            def read(length, at):
                return os.pread(file.fileno(), length, at)
            for info, at in headers(read, start, end, said):
                if info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
                    _check_extension(read, at, info, said)
                    continue
                if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not reading.is_file_name(info.name):
                    raise ValueError(f'{said} has {_kind(info)} {info.name!r}; only plain files directly in it are '
                                     f'read. {_REMEDY}')
                if info.name in found:
                    raise ValueError(f'{said} has the name {info.name!r} twice. {_REMEDY}')
                found[info.name] = Member(f'{folder}/{info.name}', archive, at, info.size)
    except OSError as error:
        raise ValueError(f'cannot read {archive}: {error.strerror}.') from error
    return found


def headers(read, start, end, said):
    """Yields (TarInfo, first byte of what it describes) of everything in an archive, as its headers have it.

    tarfile.open would read a name of any length into memory, and follow what it says.

    Args:
      read: function of (length, first byte) that gives bytes. start, end: bytes of the archive. said: its name.

    Raises: ValueError where it is cut off or damaged.
    """
    at = start
    while True:
        header = read(_BLOCK, at) if at + _BLOCK <= end else b''
        if len(header) < _BLOCK:
            raise ValueError(f'{said} is cut off: it ends without the mark of its end. Download it again.')
        if header == _END:
            return
        try:
            info = tarfile.TarInfo.frombuf(header, 'utf-8', 'surrogateescape')
        except tarfile.HeaderError as error:
            raise ValueError(f'{said} has no tar header at byte {at} ({error}); it is damaged or no tar archive. '
                             'Download it again.') from error
        content = at + _BLOCK
        if not 0 <= info.size <= end - content:
            raise ValueError(f'{said} says that {info.name!r} has {info.size} bytes; {max(0, end - content)} are left. '
                             'It is cut off or damaged. Download it again.')
        yield info, content
        at = content + -(-info.size // _BLOCK) * _BLOCK


def _check_extension(read, at, info, said):
    """Lets through what Python's tarfile writes about times and owners of a file."""
    if info.size > _MAX_EXTENSION or _CHANGING.search(read(info.size, at)):
        raise ValueError(f'{said} has a header {info.name!r} that gives the next file another name or size. {_REMEDY}')


def _kind(info):
    kinds = {'isdir': 'the folder', 'issym': 'the symbolic link', 'islnk': 'the hard link', 'isfifo': 'the pipe',
             'isdev': 'the device', 'isreg': 'the file'}
    return next((kind for test, kind in kinds.items() if getattr(info, test)()), f'type {info.type!r} under the name')
