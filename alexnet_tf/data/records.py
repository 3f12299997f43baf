"""TFRecord files, read at any position: an index of every record, and a checksum at every read.

A TFRecord is: length (8 bytes), checksum of the length (4), data, checksum of the data (4).
"""
import concurrent.futures
import dataclasses
import functools
import os
import struct
import threading

import google_crc32c
import numpy as np

from alexnet_tf.files import reading

MAX_BYTES = 256 << 20  # of a record; more is no photograph, but damage or an attack
_HEADER, _FOOTER = 12, 4
_SEARCHED = 1 << 20  # bytes that are searched at once for the next record


class StorageError(ValueError):
    """A file that is gone or that the system cannot read: no fault of a record, so never tolerated."""


class BadRecords:
    """The records of a split that cannot be used, by position: at most `limit`, each told to `log` once.

    lost: how many more its description names, which no file has.
    """

    def __init__(self, limit=0, log=print):
        self.limit = limit
        self._log, self._known, self._lock = log, set(), threading.Lock()
        self.lost = 0

    def __len__(self):
        return len(self._known) + self.lost

    def __contains__(self, position):
        return int(position) in self._known

    def lose(self, count, path):
        """Counts records that a shard should have and of which nothing is left, not even a position.

        Raises: ValueError beyond the limit.
        """
        if len(self) + count > self.limit:
            raise ValueError(f'{path} lacks {count} records, besides those that are there and damaged; '
                             f'--max_bad_records={self.limit} allows no more. Fetch it again, or write it again.')
        self.lost += count
        self._log(f'{path} lacks {count} records, which count as bad ones.')

    def add(self, position, error):
        """Notes a record, known or not; `error` says what is wrong with it.

        Raises: the error itself when none is allowed, or it is a StorageError; ValueError beyond the limit.
        """
        if isinstance(error, StorageError) or not self.limit:
            raise error from None
        with self._lock:
            if position in self:
                return
            if len(self) >= self.limit:
                raise ValueError(f'{error} It is bad record number {len(self) + 1}; --max_bad_records={self.limit} '
                                 'allows no more.') from None
            self._known.add(int(position))
            self._log(f'Bad record {len(self)} of at most {self.limit}, left out: {error}')


@dataclasses.dataclass(frozen=True)
class Index:
    """Where every record of a list of files stands.

    files: paths. file: int32 [n], index into files. offset, length: int64 [n], bytes, of the data.
    first: int64 [files], the number of each file's first record among all n.
    faults: {position: message}; in its place the file has bytes that are no record (length is 0 then).
    """
    files: tuple
    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    first: np.ndarray
    faults: dict

    def __len__(self):
        return len(self.file)

    def where(self, position):
        """For messages: the file and the number (from 0) of a record within it."""
        file = self.file[position]
        return f'{self.files[file]}, record {position - self.first[file]}'


def index_files(paths, *, tolerant=False):
    """Reads the lengths of all records (not their data) of TFRecord files.

    Args:
      tolerant: where bytes are no record, note a fault and go on with the next record after them, if there is one.
        All bytes up to there are one fault, so a record whose length is damaged is one.

    Returns: an Index, records in the order of `paths`.

    Raises: StorageError for a file that is missing or cannot be read. If not tolerant, ValueError naming the file,
      and the record, for an empty, cut-off, compressed or foreign file.
    """
    with concurrent.futures.ThreadPoolExecutor(16) as pool:  # hides the latency of cold disks
        scanned = list(pool.map(functools.partial(_scan, tolerant=tolerant), paths))
    counts = [len(scan.offsets) for scan in scanned]
    first = np.cumsum([0] + counts[:-1])
    return Index(
        files=tuple(paths),
        file=np.repeat(np.arange(len(paths), dtype=np.int32), counts),
        offset=np.concatenate([scan.offsets for scan in scanned]),
        length=np.concatenate([scan.lengths for scan in scanned]),
        first=first,
        faults={int(start) + number: fault for start, scan in zip(first, scanned)
                for number, fault in scan.faults.items()})


@dataclasses.dataclass
class _Scan:
    """One file: offsets, lengths: int64 [records and faults]; faults: {number within the file: message}."""
    offsets: np.ndarray
    lengths: np.ndarray
    faults: dict


def _scan(path, tolerant):
    try:
        reading.check_regular(path)
        with open(path, 'rb', buffering=0) as file:
            return _scan_open(file.fileno(), path, tolerant)
    except OSError as error:
        raise StorageError(f'cannot read the shard {path}: {error.strerror}.') from error


def _scan_open(descriptor, path, tolerant):
    offsets, lengths, faults = [], [], {}
    for offset, length, fault in _entries(descriptor, path, os.fstat(descriptor).st_size, tolerant):
        if fault:
            faults[len(offsets)] = fault
        offsets.append(offset)
        lengths.append(length)
    return _Scan(np.array(offsets, np.int64), np.array(lengths, np.int64), faults)


def _entries(descriptor, path, size, tolerant):
    """(offset, length, None) of the data of each record; (offset, 0, message) of bytes that are no record."""
    at = number = 0
    while at < size or not number:  # an empty file has one fault
        header = os.pread(descriptor, _HEADER, at)
        message = _fault(header, at, number, path, size)
        if message and not tolerant:
            raise ValueError(message)
        if message:
            end = _next_header(descriptor, at + 1, size)
            yield at, 0, f'{message} Bytes {at} to {end} of {size} are left out.'
        else:
            end = _end(header, at)
            yield at + _HEADER, end - at - _HEADER - _FOOTER, None
        at, number = end, number + 1


def _fault(header, at, number, path, size):
    """Why no record begins with this header at byte `at`; None if one does."""
    if not size:
        return f'the shard {path} is empty (0 bytes); write it again or fetch it again.'
    where = f'{path}, record {number} at byte {at}'
    if len(header) == _HEADER and not _is_header(header):
        kind = 'a gzip file' if header[:2] == b'\x1f\x8b' else 'damaged, or no TFRecord file'
        return f'{where}: the checksum of its length is wrong; the file is {kind}. Unpack it, or write it again.'
    if len(header) < _HEADER or _end(header, at) > size:
        return (f'{where} is cut off: the file has {size} bytes and the record goes on; it was written or copied only '
                'in part.')
    return None


def _end(header, at):
    return at + _HEADER + struct.unpack('<Q', header[:8])[0] + _FOOTER


def _next_header(descriptor, at, size):
    """The first byte from `at` on where a record begins that fits into the file; size if there is none."""
    while at < size:
        searched = os.pread(descriptor, _SEARCHED + _HEADER - 1, at)
        for start in _candidates(searched):
            header = searched[start:start + _HEADER]
            if _is_header(header) and _end(header, at + start) <= size:
                return at + start
        at += _SEARCHED
    return size


def _candidates(searched):
    """Where bytes may be the header of a record of 1 byte to 4 GiB: its length then has four zeros at its end."""
    zero = np.frombuffer(searched, np.uint8) == 0
    zeros = zero[:-3] & zero[1:-2] & zero[2:-1] & zero[3:]  # of four bytes from each on
    starts = max(0, len(searched) - _HEADER + 1)
    return np.flatnonzero(zeros[4:4 + starts] & ~zeros[:starts])


def read_record(index, position):
    """The bytes of one record.

    Raises: StorageError when its file cannot be read; ValueError, naming file and record, for a fault of the index,
      a record of more than MAX_BYTES (which is not read then) and one that is not intact.
    """
    length = int(index.length[position])
    if not length and int(position) in index.faults:
        raise ValueError(index.faults[int(position)])
    if length > MAX_BYTES:
        raise ValueError(f'{index.where(position)} (byte {index.offset[position]}) has {length} bytes; at most '
                         f'{MAX_BYTES} are read. Take it out: no image is so large.')
    try:
        with open(index.files[index.file[position]], 'rb', buffering=0) as file:
            data = os.pread(file.fileno(), length + _FOOTER, int(index.offset[position]))
    except OSError as error:
        raise StorageError(f'{index.where(position)}: {error.strerror}.') from error
    if len(data) != length + _FOOTER or _masked_crc(data[:-4]) != struct.unpack('<I', data[-4:])[0]:
        raise ValueError(f'{index.where(position)} (byte {index.offset[position]}): its checksum is wrong; '
                         'the file is damaged or was changed. Write it again or fetch it again.')
    return data[:-4]


def description(lengths):
    """What tells one file of whole records from others, without reading its data; lengths: int [records], bytes."""
    lengths = np.asarray(lengths, '<i8')
    return {'records': len(lengths), 'bytes': int(lengths.sum()) + (_HEADER + _FOOTER) * len(lengths),
            'lengths_crc32c': google_crc32c.value(lengths.tobytes())}


def _is_header(header):
    return _masked_crc(header[:8]) == struct.unpack('<I', header[8:])[0]


def _masked_crc(data):
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff
