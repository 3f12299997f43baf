"""TFRecord files, read at any position: an index of every record, and a checksum at every read.

A TFRecord is: length (8 bytes), checksum of the length (4), data, checksum of the data (4).
"""
import concurrent.futures
import dataclasses
import os

import google_crc32c
import numpy as np

from alexnet_tf.files import reading

MAX_BYTES = 256 << 20  # of a record; a larger one is no photograph but damage or an attack
_HEADER, _FOOTER = 12, 4
_SEARCHED = 1 << 20  # bytes searched at once for the next record


class StorageError(ValueError):
    """A file that is gone or that the system cannot read. It is no fault of a record, so it is never tolerated."""


@dataclasses.dataclass(frozen=True)
class Index:
    """Where the records of some files are; n of them, in the order of the files.

    files: paths. starts: int64 [files + 1], the position of each file's first record, and n.
    offset, length: int64 [n], of the data, in bytes.
    faults: {position: message}: the file has bytes there that are no record. Their length is 0.
    """
    files: tuple
    starts: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    faults: dict

    def __len__(self):
        return len(self.offset)

    def file(self, position):
        return np.searchsorted(self.starts, position, side='right') - 1

    def where(self, position):
        """The file of a record and its number there, from 0, for messages."""
        file = self.file(position)
        return f'{self.files[file]}, record {position - self.starts[file]}'


def index_files(paths, *, tolerant=False):
    """The Index of TFRecord files, of which the lengths of all records are read, not the data.

    tolerant: where bytes are no record, note one fault for all of them, and go on with the next record.

    Raises: StorageError for a file that is missing or cannot be read. Unless tolerant, ValueError with file and record
      for a file that is empty, cut off, compressed or of another kind.
    """
    pool = concurrent.futures.ThreadPoolExecutor(16)  # hides the latency of cold disks
    try:
        places, faults = zip(*pool.map(lambda path: _scan(path, tolerant), paths))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a signal does not wait for storage that stalls
    starts = np.cumsum([0, *map(len, places)])
    offset, length = np.concatenate(places).T
    return Index(tuple(paths), starts, offset, length, {
        int(start) + number: fault for start, found in zip(starts, faults) for number, fault in found.items()})


def _scan(path, tolerant):
    """(int64 [n, 2], offset and length of each record and fault; {number within the file: message}) of one file."""
    places, faults, at = [], {}, 0
    try:
        reading.check_regular(path)
        with open(path, 'rb', buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            while at < size or not places:  # an empty file has one fault
                header = os.pread(file.fileno(), _HEADER, at)
                message = _fault(header, at, len(places), path, size)
                if message and not tolerant:
                    raise ValueError(message)
                if message:
                    end = _next_header(file.fileno(), at + 1, size)
                    faults[len(places)] = f'{message} Bytes {at} to {end} of {size} are left out.'
                    places.append((at, 0))
                else:
                    end = _end(header, at)
                    places.append((at + _HEADER, end - at - _HEADER - _FOOTER))
                at = end
    except OSError as error:
        raise StorageError(f'cannot read the shard {path}: {error.strerror}.') from error
    return np.array(places, np.int64), faults


def _fault(header, at, number, path, size):
    """Why no record begins with this header at byte `at`; None if one does."""
    if not size:
        return f'the shard {path} is empty (0 bytes); write it again or fetch it again.'
    where = f'{path}, record {number} at byte {at}'
    if len(header) == _HEADER and not _is_intact(header):
        kind = 'a gzip file' if header[:2] == b'\x1f\x8b' else 'damaged, or no TFRecord file'
        return f'{where}: the checksum of its length is wrong; the file is {kind}. Unpack it, or write it again.'
    if len(header) < _HEADER or _end(header, at) > size:
        return (f'{where} is cut off: the file has {size} bytes and the record goes on; it was written or copied only '
                'in part.')
    return None


def _end(header, at):
    return at + _HEADER + int.from_bytes(header[:8], 'little') + _FOOTER


def _next_header(descriptor, at, size):
    """The first byte from `at` on where a record begins that fits into the file; size if there is none."""
    while at < size:
        searched = os.pread(descriptor, _SEARCHED + _HEADER - 1, at)
        zero = np.frombuffer(searched, np.uint8) == 0
        zeros = zero[:-3] & zero[1:-2] & zero[2:-1] & zero[3:]  # of four bytes from each on
        starts = max(0, len(searched) - _HEADER + 1)
        # the length of a record of 1 byte to 4 GiB has four zeros at its end
        for start in np.flatnonzero(zeros[4:4 + starts] & ~zeros[:starts]).tolist():  # NumPy's would overflow
            header = searched[start:start + _HEADER]
            if _is_intact(header) and _end(header, at + start) <= size:
                return at + start
        at += _SEARCHED
    return size


def read_record(index, position):
    """The bytes of one record.

    Raises: StorageError when its file cannot be read; ValueError, naming file and record, for a fault of the index, a
      record of more than MAX_BYTES (which is not read then) and one that is not intact.
    """
    length = int(index.length[position])
    if int(position) in index.faults:
        raise ValueError(index.faults[int(position)])
    if length > MAX_BYTES:
        raise ValueError(f'{index.where(position)} (byte {index.offset[position]}) has {length} bytes; at most '
                         f'{MAX_BYTES} are read. Take it out: no image is so large.')
    try:
        with open(index.files[index.file(position)], 'rb', buffering=0) as file:
            data = os.pread(file.fileno(), length + _FOOTER, int(index.offset[position]))
    except OSError as error:
        raise StorageError(f'{index.where(position)}: {error.strerror}.') from error
    if len(data) != length + _FOOTER or not _is_intact(data):
        raise ValueError(f'{index.where(position)} (byte {index.offset[position]}): its checksum is wrong; '
                         'the file is damaged or was changed. Write it again or fetch it again.')
    return data[:-4]


def description(lengths):
    """What tells one file of whole records from others, without reading its data; lengths: int [records], bytes."""
    lengths = np.asarray(lengths, '<i8')
    return {'records': len(lengths), 'bytes': int(lengths.sum()) + (_HEADER + _FOOTER) * len(lengths),
            'lengths_crc32c': google_crc32c.value(lengths.tobytes())}


def _is_intact(stored):
    """Whether the last four bytes are the masked checksum of those before."""
    crc = google_crc32c.value(stored[:-4])
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff == int.from_bytes(stored[-4:], 'little')
