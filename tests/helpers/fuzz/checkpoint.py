"""TensorFlow's checkpoints: an index, which is a sorted table of LevelDB's kind, and a file of data.

A table is blocks of entries (bytes shared with the key before, more bytes of the key, bytes of the value), each
followed by where keys are whole, a byte for its compression and a checksum; then a block that says where blocks are,
and a footer that says where that is. A value is a BundleEntryProto; that of the empty key a BundleHeaderProto.
"""
import functools
import json
import struct

import google_crc32c
import numpy as np
from hypothesis import strategies as st

from tests.helpers.fuzz import small, wire
from tests.helpers.weight_builders import varint

MAGIC = struct.pack('<Q', 0xdb4775248b80fb57)
NAME = 'model.ckpt-7'
DATA = f'{NAME}.data-00000-of-00001'
ENTRY = {2: {2: {}}, 7: {1: {}}}
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 9}
NETWORK = {'model_name': 'alexnet_v2', 'image_size': 224, 'class_names': ['a', 'b', 'c'], 'mean': [1, 2, 3]}


def masked(data):
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff


@functools.cache
def base():
    """({key: value} of an index, content of the data file, {name: array})."""
    tensors = {'global_step': np.array(7)}
    random = np.random.default_rng(0)
    for layer, shape in slims_shapes().items():
        tensors[f'alexnet_v2/{layer}/weights'] = random.normal(size=shape).astype(np.float32)
        tensors[f'alexnet_v2/{layer}/biases'] = random.normal(size=shape[-1:]).astype(np.float32)
    entries, data = {b'': wire.written([wire.Field(1, 0, 1), wire.Field(3, 2, [wire.Field(1, 0, 1)])])}, b''
    for name, array in sorted(tensors.items()):
        content = array.tobytes()
        entries[name.encode()] = entry(array.dtype, array.shape, len(data), content)
        data += content
    return entries, data, tensors


def slims_shapes():
    """{layer: shape of its weights} of alexnet_v2 with two kernels a layer."""
    return {'conv1': (11, 11, 3, 2), 'conv2': (5, 5, 2, 2), 'conv3': (3, 3, 2, 2), 'conv4': (3, 3, 2, 2),
            'conv5': (3, 3, 2, 2), 'fc6': (5, 5, 2, 2), 'fc7': (1, 1, 2, 2), 'fc8': (1, 1, 2, small.CLASSES)}


def entry(dtype, shape, offset, content):
    dims = [wire.Field(2, 2, [wire.Field(1, 0, size)]) for size in shape]
    return wire.written([wire.Field(1, 0, TYPES[dtype]), wire.Field(2, 2, dims), *[wire.Field(4, 0,
                                                                                              offset)] * bool(offset),
                         wire.Field(5, 0, len(content)), wire.Field(6, 5, struct.pack('<I', masked(content)))])


def block(entries, lies=()):
    """A block of [(key, value)]. lies: {number of an entry: (shared, more, value bytes to say in its head)}."""
    content, restarts, before, lies = b'', [], b'', dict(lies)
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % 16:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            restarts.append(len(content))
        head = lies.get(number, (shared, len(key) - shared, len(value)))
        content += b''.join(map(varint, head)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return content + struct.pack(f'<{len(restarts) + 1}I', *restarts, len(restarts))


def closed(content, kind=0, wrong=0):
    """A block with its compression and checksum."""
    return content + bytes([kind]) + struct.pack('<I', masked(content + bytes([kind])) ^ wrong)


def handle(offset, size):
    return varint(offset) + varint(size)


def table(content, *, kind=0, wrong=0, handles=None, last=b'global_step~', magic=MAGIC, index_lies=()):
    """An index of one block. handles: what (block, meta, index) to say in place of their (first byte, bytes)."""
    first = closed(content, kind, wrong)
    meta = closed(block([]))
    places = {'block': (0, len(content)), 'meta': (len(first), len(meta) - 5)} | dict(handles or {})
    index = block([(last, handle(*places['block']))], index_lies)
    places = {'index': (len(first) + len(meta), len(index))} | places
    footer = handle(*places['meta']) + handle(*places['index'])
    return first + meta + closed(index) + (footer + bytes(40))[:40] + magic


prepare = small.prepare


def whole():
    entries, data, _ = base()
    return {DATA: data, 'model.json': json.dumps(NETWORK).encode(),
            f'{NAME}.index': table(block(sorted(entries.items())))}


NUMBER = st.sampled_from(wire.NUMBERS) | st.integers(0, 3000)


@st.composite
def cases(draw):
    entries, data, _ = base()
    files = {DATA: data, 'model.json': json.dumps(NETWORK).encode()}
    way = draw(st.sampled_from(('values', 'values', 'values', 'keys', 'heads', 'restarts', 'handles', 'compression',
                                'bytes', 'data')))
    entries, options, lies = dict(entries), {}, {}
    keys = list(entries)
    if way == 'values':
        for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2, unique=True)):
            messages = ENTRY if key else {3: {}}
            entries[key] = draw(wire.changed(wire.parse(entries[key], messages)))
    elif way == 'keys':
        for _ in range(draw(st.integers(1, 3))):
            key, other = draw(st.sampled_from(keys)), draw(st.sampled_from(keys))
            act = draw(st.sampled_from(('leave out', 'exchange', 'rename', 'add', 'slice')))
            if act == 'leave out':
                entries.pop(key, None)
            elif act == 'exchange' and key in entries and other in entries:
                entries[key], entries[other] = entries[other], entries[key]
            elif act == 'rename' and key in entries:
                entries[draw(st.sampled_from(wire.TEXTS)) + key[:draw(st.integers(0, len(key)))]] = entries.pop(key)
            elif act == 'add' and key in entries:
                entries[key + draw(st.sampled_from(wire.TEXTS) | st.binary(max_size=9))] = entries[key]
            elif key in entries and key:
                parsed = wire.parse(entries[key], ENTRY)
                extents = [wire.Field(1, 2, [wire.Field(number, 0, draw(NUMBER)) for number in (1, 2)][
                    :draw(st.integers(0, 2))]) for _ in range(draw(st.integers(0, 5)))]
                entries[key] = wire.written([*parsed, wire.Field(7, 2, extents)])
    elif way == 'heads':
        lies = {draw(st.integers(0, len(keys) - 1)): tuple(draw(NUMBER) for _ in range(3))}
    order = list(entries.items()) if draw(st.integers(0, 9)) == 0 else sorted(entries.items())
    content = block(order, lies)
    if way == 'restarts':
        at = draw(st.sampled_from((4, 8, 12)))
        content = content[:-at] + struct.pack('<I', draw(NUMBER) & 0xffffffff) + content[len(content) - at + 4:]
    elif way == 'handles':
        options['handles'] = {draw(st.sampled_from(('block', 'meta', 'index'))): (draw(NUMBER), draw(NUMBER))}
        options['last'] = draw(st.sampled_from((b'', b'a', b'global_step~', b'\xff' * 30)))
        if draw(st.booleans()):
            options['index_lies'] = {0: tuple(draw(NUMBER) for _ in range(3))}
    elif way == 'compression':
        options |= {'kind': draw(st.integers(0, 255) | st.just(1)), 'wrong': draw(st.sampled_from((0, 0, 1, 1 << 31)))}
        if draw(st.booleans()):
            content = varint(draw(NUMBER)) + draw(st.binary(max_size=30)) + content
        elif draw(st.booleans()):
            content = content[:draw(st.integers(0, len(content)))]
    index = table(content, **options)
    if way == 'bytes':
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(index) - 1))
            index = index[:at] + draw(st.binary(max_size=3)) + index[at + draw(st.integers(0, 3)):]
        index = index[:draw(st.integers(0, len(index)))] if draw(st.booleans()) else index
    elif way == 'data':
        act = draw(st.sampled_from(('cut', 'flip', 'other name', 'gone', 'empty')))
        if act == 'other name':
            files[draw(st.sampled_from((f'{NAME}.data-00000-of-00002',
                                        f'{NAME}.data-00001-of-00001')))] = files.pop(DATA)
        elif act == 'gone':
            del files[DATA]
        else:
            at = draw(st.integers(0, len(data) - 1))
            files[DATA] = {'cut': data[:at], 'empty': b'',
                           'flip': data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]}[act]
    files[f'{NAME}.index'] = index
    if draw(st.integers(0, 9)) == 0:
        del files['model.json']
    return files


def read(folder, files):
    from alexnet_tf.weights import checkpoint_files
    from nets import slim_checkpoints
    loaded = checkpoint_files.read(folder, None, 'paper')
    _, _, tensors = base()
    for name, variable in slim_checkpoints.named_variables(loaded.model).items():
        found = variable.numpy()
        content = found.tobytes()
        assert content in files.get(DATA, b'') and np.isfinite(found).all(), name
        assert found.shape == tensors[name].shape
    return True
