"""ImageNet's development kit of 2012: the number and name of each class, the class of each validation image."""
import gzip
import io
import re
import struct
import zlib

import numpy as np

from alexnet_tf.data import tar_members
from alexnet_tf.files import reading

CLASSES = 1000  # kit numbers from 1; larger ones are inner nodes of WordNet's tree
_MAX_BYTES = 1 << 26  # of the kit, unpacked; the real one has a few million
_META, _TRUTH = 'data/meta.mat', 'data/ILSVRC2012_validation_ground_truth.txt'
_COMPRESSED = 15  # MATLAB's type of a compressed element


def read(path):
    """({class folder ('n01440764'): readable name}, [class folder of validation image 1, 2, …]) of the kit's .tar.gz.

    Raises: ValueError for a kit that is damaged or says something else, and without scipy.
    """
    files = _files(path)
    folders, names = _read_meta(files[_META], path)
    truth = []
    for number, line in enumerate(files[_TRUTH].split(), 1):
        if line not in folders:
            raise ValueError(f'{path}: {_TRUTH} has {reading.short(line.decode(errors="replace"))} for image {number}; '
                             f'it must be the number of a class, 1 to {CLASSES}. Download the kit again.')
        truth.append(folders[line])
    return names, truth


def _files(path):
    """{_META: bytes, _TRUTH: bytes} of the kit, which is read into memory as a whole."""
    reading.check_regular(path)
    found = {}
    try:
        with gzip.open(path) as file:
            stored = file.read(_MAX_BYTES + 1)
        if len(stored) > _MAX_BYTES:
            raise ValueError(f'it unpacks to more than {_MAX_BYTES:,} bytes')
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}. It is not ImageNet's development kit of 2012 for tasks 1 and "
                         '2; download it again.') from error
    for info, at in tar_members.headers(lambda length, at: stored[at:at + length], 0, len(stored), path):
        wanted = next((name for name in (_META, _TRUTH) if f'/{info.name}'.endswith(f'/{name}')), None)
        if wanted and info.isreg():
            found[wanted] = stored[at:at + info.size]
    missing = [name for name in (_META, _TRUTH) if name not in found]
    if missing:
        raise ValueError(f'{path} has no {" and no ".join(missing)}; download the development kit of 2012 for tasks 1 '
                         'and 2 again.')
    return found


def _read_meta(stored, path):
    """({number in ASCII: class folder}, {class folder: readable name}) of meta.mat."""
    try:
        import scipy.io
    except ImportError as error:
        raise ValueError("reading ImageNet's development kit (meta.mat) needs scipy: pip install scipy, or pip install "
                         "-e '.[imagenet]'.") from error
    try:
        _check_unpacked(stored)
        synsets = np.atleast_1d(scipy.io.loadmat(io.BytesIO(stored), squeeze_me=True)['synsets'])
        rows = [(int(one['ILSVRC2012_ID']), str(one['WNID']), str(one['words'])) for one in synsets]
    except Exception as error:  # scipy does not say what it raises for damaged files
        raise ValueError(f'{path}: cannot read its {_META} ({type(error).__name__}: {error}); download the kit '
                         'again.') from error
    rows = [row for row in rows if row[0] <= CLASSES]
    folders = {b'%d' % number: folder for number, folder, _ in rows}
    names = {folder: name for _, folder, name in rows}
    wrong = [row for row in rows if row[0] < 1 or not re.fullmatch(r'n\d{8}', row[1], re.A) or not row[2].isprintable()]
    if wrong or not len(rows) == len(folders) == len(names) > 0:
        raise ValueError(f'{path}: its {_META} must give every class a number, 1 to {CLASSES}, a name such as '
                         f"'n01440764' and words; {wrong[0] if wrong else 'some are there twice, or none is there'}. "
                         'Download the kit again.')
    return folders, names


def _check_unpacked(stored):
    """Refuses a MATLAB file whose compressed elements would unpack to more than _MAX_BYTES."""
    order, at, left = '<' if stored[126:128] == b'IM' else '>', 128, _MAX_BYTES
    while at + 8 <= len(stored):
        kind, length = struct.unpack_from(f'{order}II', stored, at)
        if kind == _COMPRESSED:
            left -= len(zlib.decompressobj().decompress(stored[at + 8:at + 8 + length], left + 1))
            if left < 0:
                raise ValueError(f'it unpacks to more than {_MAX_BYTES:,} bytes')
        at += 8 + length
