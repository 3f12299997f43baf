"""Indexes that would end the process in TensorFlow's reader: refused before it sees them."""
import struct

import pytest
import tensorflow as tf

from nets import checkpoint_index, slim_checkpoints

pytest.importorskip('hypothesis', reason='the builder of indexes makes up others, too')
from tests.helpers.fuzz import wire
from tests.helpers.fuzz.checkpoint import DATA, NAME, base, block, table

KEY = b'alexnet_v2/fc8/biases'
SIZE, TYPE, RANK = wire.Field(5, 0, 24), wire.Field(1, 0, 1), wire.Field(3, 0, 1)


def shape(*sizes):
    return wire.Field(2, 2, [wire.Field(2, 2, [wire.Field(1, 0, size)]) for size in sizes])


def part(*numbers):
    return wire.Field(7, 2, [wire.Field(1, 2, [wire.Field(1 + place, 0, number) for place, number in numbers])])


ENTRIES = {  # what stands in place of an entry; what the error says
    'no protocol buffer': (b'\xff', 'Error parsing message'),
    'bytes in another order': (wire.written([SIZE, TYPE, shape(2, 3)]), 'not as TensorFlow writes it'),
    'less than nothing': (wire.written([TYPE, shape(-2, -3), SIZE]), r'shape \[-2, -3\]'),
    'more than fits': (wire.written([TYPE, shape(2 ** 40, 2 ** 40), SIZE]), 'has the shape'),
    'many axes': (wire.written([TYPE, shape(*[1] * 255), SIZE]), 'has the shape'),
    'other size': (wire.written([TYPE, shape(10 ** 6, 10 ** 6), SIZE]), 'has 24 bytes'),
    'a reference': (wire.written([wire.Field(1, 0, 101), shape(2, 3), SIZE]), 'unknown type 101'),
    'an unknown type': (wire.written([wire.Field(1, 0, 99), shape(2, 3), SIZE]), 'unknown type 99'),
    'a part behind its axis': (wire.written([TYPE, shape(3), part((0, 1))]), 'has a part from 1 and 0 more'),
    'a part beyond its axis': (wire.written([TYPE, shape(3), part((0, 2), (1, 2))]), 'has a part from 2 and 2 more'),
    'a negative place': (wire.written([TYPE, shape(2, 3), wire.Field(4, 0, -8), SIZE]), 'at byte -8'),
    'another name': (None, 'comes after')}


def refused(tmp_path, content, message):
    path = tmp_path / f'{NAME}.index'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'{path} .*{message}'):
        checkpoint_index.check(str(path))
    with pytest.raises(ValueError, match='no readable checkpoint at .*index .*Give a folder'):
        slim_checkpoints.read(str(tmp_path / NAME))


@pytest.mark.parametrize('kind', ENTRIES)
def test_entries_that_no_saver_writes(kind, tmp_path):
    (tmp_path / DATA).write_bytes(base()[1])
    value, message = ENTRIES[kind]
    entries = sorted(base()[0].items())
    if value is None:
        entries.insert(1, entries.pop())
    else:
        entries = [(key, value if key == KEY else stored) for key, stored in entries]
    refused(tmp_path, table(block(entries)), message)


@pytest.mark.parametrize('content, message', [
    (table(block([])), 'it has no entries'), (table(block(sorted(base()[0].items())), kind=1), 'a compressed block'),
    (table(block(sorted(base()[0].items())), handles={'block': (2 ** 62, 2 ** 62)}), 'names a block of'),
    (table(block(sorted(base()[0].items()), {3: (90, 1, 1)})), 'goes beyond it'),
    (table(block(sorted(base()[0].items()), {3: (2 ** 63, 1, 1)})), 'goes beyond it'),
    (table(block(sorted(base()[0].items()))[:-4] + struct.pack('<I', 2 ** 31)), 'places to begin at'),
    (table(block(sorted(base()[0].items()))[:-8] + struct.pack('<II', 7, 2)), 'begin where none does'),
    (table(block([(b'', base()[0][b'']), (b'a' * 5000, base()[0][KEY])])), 'a name of more than 4096 bytes'),
    (table(block(sorted(base()[0].items())), magic=bytes(8)), 'does not end as an index does'), (b'', 'has 0 bytes')])
def test_tables_that_no_saver_writes(content, message, tmp_path):
    refused(tmp_path, content, message)


def test_what_a_saver_writes_is_read(tmp_path):
    (tmp_path / DATA).write_bytes(base()[1])
    (tmp_path / f'{NAME}.index').write_bytes(table(block(sorted(base()[0].items()))))
    assert slim_checkpoints.read(str(tmp_path / NAME)).get_tensor('global_step') == 7
    path = str(tmp_path / 'other')
    slim_checkpoints.save({f'scope/{kind.name}': tf.zeros([0, 3] if kind == tf.int8 else [2, 3], kind) for kind in (
        tf.float32, tf.bfloat16, tf.int8, tf.complex64, tf.bool, tf.string)} | {
            f'scope/{number:04d}': tf.zeros([]) for number in range(5000)}, path)  # several blocks
    assert len(slim_checkpoints.read(path).get_variable_to_shape_map()) == 5006


def test_a_variable_in_parts_is_read(tmp_path):
    """As TF1 saved the partitioned variables of parameter servers."""
    path, whole = str(tmp_path / 'parts'), tf.reshape(tf.range(12.0), [4, 3])
    tf.raw_ops.SaveV2(prefix=path, tensor_names=['a', 'a'], shape_and_slices=['4 3 0,2:-', '4 3 2,2:-'],
                      tensors=[whole[:2], whole[2:]])
    assert (slim_checkpoints.read(path).get_tensor('a') == whole.numpy()).all()
