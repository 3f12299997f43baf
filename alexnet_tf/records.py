"""TFRecord files, read at any position: an index of every record, and a checksum at every read.

A TFRecord is: length (8 bytes), checksum of the length (4), data, checksum of the data (4).
"""
import concurrent.futures
import dataclasses
import os
import struct

import google_crc32c
import numpy as np

_HEADER, _FOOTER = 12, 4


@dataclasses.dataclass(frozen=True)
class Index:
    """Where every record of a list of files stands.

    files: paths. file: int32 [n], index into files. offset, length: int64 [n], bytes, of the data.
    first: int64 [files], the number of each file's first record among all n.
    """
    files: tuple
    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    first: np.ndarray

    def __len__(self):
        return len(self.file)

    def where(self, position):
        """For messages: the file and the number (from 0) of a record within it."""
        file = self.file[position]
        return f'{self.files[file]}, record {position - self.first[file]}'


def index_files(paths):
    """Reads the lengths of all records (not their data) of TFRecord files.

    Returns: an Index, records in the order of `paths`.

    Raises: ValueError naming the file, and the record, for an empty, missing, cut-off, compressed or
      foreign file.
    """
    with concurrent.futures.ThreadPoolExecutor(16) as pool:  # hides the latency of cold disks
        scanned = list(pool.map(_scan, paths))
    counts = [len(offsets) for offsets, _ in scanned]
    return Index(
        files=tuple(paths),
        file=np.repeat(np.arange(len(paths), dtype=np.int32), counts),
        offset=np.concatenate([offsets for offsets, _ in scanned]),
        length=np.concatenate([lengths for _, lengths in scanned]),
        first=np.cumsum([0] + counts[:-1]))


def _scan(path):
    try:
        with open(path, 'rb', buffering=0) as file:
            return _scan_open(file.fileno(), path)
    except OSError as error:
        raise ValueError(f'cannot read the shard {path}: {error.strerror}.') from error


def _scan_open(descriptor, path):
    size = os.fstat(descriptor).st_size
    if not size:
        raise ValueError(f'the shard {path} is empty (0 bytes); write it again or fetch it again.')
    offsets, lengths, at = [], [], 0
    while at < size:
        header = os.pread(descriptor, _HEADER, at)
        if len(header) == _HEADER and _masked_crc(header[:8]) != struct.unpack('<I', header[8:])[0]:
            kind = 'a gzip file' if header[:2] == b'\x1f\x8b' else 'damaged, or no TFRecord file'
            raise ValueError(f'{path}, record {len(offsets)} at byte {at}: the checksum of its length is '
                             f'wrong; the file is {kind}. Unpack it, or write it again.')
        length = struct.unpack('<Q', header[:8])[0] if len(header) == _HEADER else 0
        if len(header) < _HEADER or at + _HEADER + length + _FOOTER > size:
            raise ValueError(f'{path}, record {len(offsets)} at byte {at} is cut off: the file has {size} '
                             'bytes and the record goes on; it was written or copied only in part.')
        offsets.append(at + _HEADER)
        lengths.append(length)
        at += _HEADER + length + _FOOTER
    return np.array(offsets, np.int64), np.array(lengths, np.int64)


def read_record(index, position):
    """The bytes of one record. Raises ValueError, naming file and record, if they are not intact."""
    path = index.files[index.file[position]]
    length = int(index.length[position])
    try:
        with open(path, 'rb', buffering=0) as file:
            data = os.pread(file.fileno(), length + _FOOTER, int(index.offset[position]))
    except OSError as error:
        raise ValueError(f'{index.where(position)}: {error.strerror}.') from error
    if len(data) != length + _FOOTER or _masked_crc(data[:-4]) != struct.unpack('<I', data[-4:])[0]:
        raise ValueError(f'{index.where(position)} (byte {index.offset[position]}): its checksum is wrong; '
                         'the file is damaged or was changed. Write it again or fetch it again.')
    return data[:-4]


def _masked_crc(data):
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff
