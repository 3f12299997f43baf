"""The index of a TensorFlow checkpoint (`.index`), checked before TensorFlow reads it.

TensorFlow's own reader ends the process where an index is not what a Saver writes. An index is a sorted table: blocks
of entries, a block that says where those are, and a footer of 48 bytes that says where that is. TensorFlow checks the
checksums of the blocks; here it is what they say.
"""
import math
import os

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

MAX_BYTES = 1 << 24  # a thousand variables take 60 KB
_FOOTER, _TRAILER = 48, 5  # bytes
_MAGIC = 0xdb4775248b80fb57.to_bytes(8, 'little')
_MAX_NAME = 4096  # bytes; few of them make a long name of every entry
_MAX_RANK = 254  # of TensorFlow's shapes
_TYPES = {number for number in types_pb2.DataType.values() if 0 < number < 100}  # more are references
_OTHERS = (tf.string, tf.resource, tf.variant)  # which take any number of bytes


def check(path):
    """Raises ValueError unless `path` is an index that TensorFlow can read; OSError when it cannot be opened."""
    size = os.path.getsize(path)
    if not _FOOTER <= size <= MAX_BYTES:
        raise ValueError(f'{path} has {size:,} bytes; an index has {_FOOTER} to {MAX_BYTES:,}')
    with open(path, 'rb') as file:
        content = file.read(MAX_BYTES)
    try:
        _check_table(content)
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is damaged: {error}') from error
    except ValueError as error:
        raise ValueError(f'{path} is damaged or was not written by TensorFlow: {error}') from error


def _check_table(content):
    footer = content[-_FOOTER:]
    if not footer.endswith(_MAGIC):
        raise ValueError('it does not end as an index does')
    _, at = _handle(footer, 0)  # of other information, of which there is none
    place, _ = _handle(footer, at)
    before = None
    for _, value in _entries(_block(content, place)):
        for key, stored in _entries(_block(content, _handle(value, 0)[0])):
            if before is None:
                _check_header(key, stored)
            elif key <= before:
                raise ValueError(f'the entry {key!r} comes after {before!r}')
            else:
                _check_entry(key, stored)
            before = key
    if before is None:
        raise ValueError('it has no entries')


def _handle(data, at):
    """((first byte, bytes) of a block, the byte after it)."""
    offset, at = _number(data, at)
    size, at = _number(data, at)
    return (offset, size), at


def _number(data, at):
    """(a number of seven bits a byte, the byte after it)."""
    number = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        number |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return number, at
    raise ValueError('it has a number of more than 64 bits')


def _block(content, place):
    offset, size = place
    if offset + size + _TRAILER > len(content) - _FOOTER or size < 8:
        raise ValueError(f'it names a block of {size} bytes at byte {offset}, in {len(content)} bytes')
    if content[offset + size]:
        raise ValueError('it has a compressed block, which a Saver does not write')
    return content[offset:offset + size]


def _entries(block):
    """Yields (key, value) of a block."""
    count = int.from_bytes(block[-4:], 'little')
    end = len(block) - 4 * (count + 1)
    if end < 0 or not count:
        raise ValueError(f'a block of {len(block)} bytes says that it has {count} places to begin at')
    starts = {int.from_bytes(block[at:at + 4], 'little') for at in range(end, len(block) - 4, 4)}
    at, key, seen = 0, b'', {0}
    while at < end:
        begin = at
        shared, at = _number(block, at)
        more, at = _number(block, at)
        size, at = _number(block, at)
        if shared > len(key) or at + more + size > end or shared + more > _MAX_NAME:
            raise ValueError(f'the entry at byte {begin} of a block goes beyond it, or has a name of more than '
                             f'{_MAX_NAME} bytes')
        if not shared:
            seen.add(begin)
        key = key[:shared] + block[at:at + more]
        yield key, block[at + more:at + more + size]
        at += more + size
    if not starts <= seen:
        raise ValueError('a block says that entries begin where none does')


def _check_header(key, stored):
    header = _parsed(tensor_bundle_pb2.BundleHeaderProto, stored, key)
    if key or header.num_shards < 1:
        raise ValueError(f'it begins with the entry {key!r} and {header.num_shards} files of data')


def _check_entry(key, stored):
    entry = _parsed(tensor_bundle_pb2.BundleEntryProto, stored, key)
    name = key.decode(errors='replace' if key[:1] == b'\0' else 'strict')  # of a part, not all of it is text
    if entry.dtype not in _TYPES:
        raise ValueError(f'{name!r} has numbers of the unknown type {entry.dtype}')
    dtype = tf.as_dtype(entry.dtype)
    shape = [dim.size for dim in entry.shape.dim]
    if entry.shape.unknown_rank or len(shape) > _MAX_RANK or min(shape, default=0) < 0 or math.prod(shape) >= 1 << 63:
        raise ValueError(f'{name!r} has the shape {str(shape)[:80]}')
    for part in entry.slices:
        _check_slice(part, shape, name)
    wanted = math.prod(shape) * dtype.size if dtype not in _OTHERS else entry.size
    if min(entry.offset, entry.size, entry.shard_id) < 0 or not entry.slices and entry.size != wanted:
        raise ValueError(f'{name!r} of shape {str(shape)[:80]} and type {dtype.name} has {entry.size} bytes at byte '
                         f'{entry.offset} of file {entry.shard_id}')


def _check_slice(part, shape, name):
    """An extent without a length is all of its axis."""
    good = len(part.extent) == len(shape) and all(
        one.start >= 0 and 0 < one.length <= size - one.start if one.HasField('length') else one.start == 0
        for one, size in zip(part.extent, shape))
    if not good:
        text = ', '.join(f'{one.start} and {one.length} more' for one in part.extent)
        raise ValueError(f'{name!r} of shape {str(shape)[:80]} has a part from {text[:80]}')


def _parsed(kind, stored, key):
    try:
        parsed = kind.FromString(stored)
    except Exception as error:  # protobuf's DecodeError is not in TensorFlow's public API
        raise ValueError(f'the entry {key!r} is not as TensorFlow writes it: {error}') from error
    if parsed.SerializeToString(deterministic=True) != stored:  # another parser might understand it otherwise
        raise ValueError(f'the entry {key!r} is not as TensorFlow writes it')
    return parsed
