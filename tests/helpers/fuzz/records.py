"""TFRecord files of tf.train.Examples: framing, protocol buffers, features."""
import functools
import struct

from hypothesis import strategies as st

from tests.helpers.fuzz import wire
from tests.helpers.fuzz.checkpoint import masked

PATH = 'train-00000-of-00001'
LABELS = b'0:a\n1:b\n2:c\n'
FEATURE = {1: {}, 2: {}, 3: {}}
EXAMPLE = {1: {1: {2: FEATURE}}}
IMAGE = b'\x89PNG\r\n\x1a\nno image'
NUMBER = st.sampled_from(wire.NUMBERS) | st.integers(0, 400)
OTHER_VALUES = {1: (IMAGE, b'', b'x'), 2: (0.0, 1.0, float('nan')), 3: (1, 2 ** 64 - 1)}
KEYS = 'image/encoded', 'image/class/label'


def framed(data, length=None, wrong=(0, 0)):
    """A record; length: what it says; wrong: what its checksums are beside the truth."""
    head = struct.pack('<Q', len(data) if length is None else length & (1 << 64) - 1)
    return (head + struct.pack('<I', masked(head) ^ wrong[0]) + data + struct.pack('<I', masked(data) ^ wrong[1]))


def feature(kind, *values):
    """A Feature's Fields; kind: 1 bytes, 2 floats, 3 integers."""
    if kind == 3 and values:
        return [wire.Field(3, 2, [wire.Field(1, 2, b''.join(map(wire.varint, values)))])]
    if kind == 2 and values:
        return [wire.Field(2, 2, [wire.Field(1, 2, b''.join(struct.pack('<f', value) for value in values))])]
    return [wire.Field(kind, 2, [wire.Field(1, 2, value) for value in values])]


def example(*features):
    """An Example's Fields of (key, feature)."""
    return [wire.Field(1, 2, [wire.Field(1, 2, [wire.Field(1, 2, key.encode()), wire.Field(2, 2, content)])
                              for key, content in features])]


def good(label=1):
    return example((KEYS[0], feature(1, IMAGE)), (KEYS[1], feature(3, label)), ('image/height', feature(3, 5)))


@st.composite
def features(draw):
    """An Example with features that are missing, doubled, of other kinds, or out of range."""
    found = []
    for key, usual, values in ((KEYS[0], 1, (IMAGE, b'', b'x')), (KEYS[1], 3, (1, 0, 2, 3, *wire.NUMBERS))):
        for _ in range(draw(st.sampled_from((1, 1, 1, 1, 0, 2)))):
            kind = draw(st.sampled_from((usual,) * 6 + (1, 2, 3)))
            of_kind = st.sampled_from(values if kind == usual else OTHER_VALUES[kind])
            chosen = draw(st.lists(of_kind, min_size=1, max_size=1) | st.lists(of_kind, max_size=3))
            found.append((key, feature(kind, *chosen)))
    if draw(st.booleans()):
        found.append((draw(st.text(max_size=5)), feature(draw(st.integers(1, 3)))))
    return wire.written(example(*draw(st.permutations(found))))


GOOD = st.integers(0, 2).map(lambda label: wire.written(good(label)))
RECORD = st.one_of(GOOD, GOOD, GOOD, features(),
                   st.integers(0, 2).flatmap(lambda label: wire.changed(good(label))), st.binary(max_size=20))


def prepare():
    pass


def whole():
    return {PATH: framed(wire.written(good())) * 3, 'labels.txt': LABELS}


@st.composite
def cases(draw):
    content = b''
    for _ in range(draw(st.integers(1, 4))):
        data, way = draw(RECORD), draw(st.integers(0, 20))
        if way == 0:
            content += framed(data, draw(NUMBER))
        elif way == 1:
            content += framed(data, draw(NUMBER), wrong=(1, 0))
        elif way == 2:
            content += framed(data, wrong=draw(st.sampled_from(((0, 1), (1, 0), (1 << 31, 1)))))
        elif way == 3:
            content += draw(st.binary(max_size=30)) + framed(data)
        elif way == 4:
            content += framed(framed(data) + framed(data)[:draw(st.integers(0, 30))], wrong=(draw(st.integers(0, 1)),
                                                                                             0))
        elif way == 5:
            content += framed(data)[:draw(st.integers(0, len(data) + 16))]
        elif way == 6:
            content += bytes(draw(st.sampled_from((1, 12, 16, 100, 4096))))
        else:
            content += framed(data)
    return {PATH: content, 'labels.txt': LABELS}


def frames(content):
    """[data, or None where bytes are no record]: of every byte it is asked whether a record begins there."""
    found, at = [], 0

    def begins(at):
        head = content[at:at + 12]
        length = int.from_bytes(head[:8], 'little')
        return at + 16 + length <= len(content) and masked(head[:8]) == int.from_bytes(head[8:], 'little') and length
    while at < len(content):
        length = begins(at)
        if length is False or length == 0 and masked(content[at:at + 8]) != int.from_bytes(content[at + 8:at + 12],
                                                                                           'little'):
            found.append(None)
            at = next((later for later in range(at + 1, len(content)) if begins(later)), len(content))
        else:
            data, crc = content[at + 12:at + 12 + length], content[at + 12 + length:at + 16 + length]
            found.append(data if masked(data) == int.from_bytes(crc, 'little') else None)
            at += 16 + length
    return found or [None]


def label_of(data):
    """(image, label) of a record as TensorFlow's own parser sees it; None: it refuses some odd ones, as doubled fields.

    It may not see what is no protocol buffer: with lengths that lie it reads beyond the record, and the process ends.
    """
    import tensorflow as tf
    try:
        parsed = tf.io.parse_single_example(data, {
            KEYS[0]: tf.io.FixedLenFeature([], tf.string), KEYS[1]: tf.io.FixedLenFeature([], tf.int64)})
    except (tf.errors.OpError, UnicodeDecodeError):  # the latter where TensorFlow's message holds the record's bytes
        return None
    image, label = parsed[KEYS[0]].numpy(), int(parsed[KEYS[1]])
    return (image, label) if image and 0 <= label < 3 else None


@functools.cache
def whole_records():
    return {wire.written(good(label)) for label in range(3)}


def read(folder, files):
    """With any number of bad records, and with none."""
    from alexnet_tf.data import datasets
    stored = frames(files[PATH])
    tolerant = datasets.open_dataset(folder, 'train', max_bad_records=10 ** 6)
    found = [None if position in tolerant.bad else tolerant.example(position) for position in range(len(tolerant))]
    assert len(found) == len(stored)
    for data, ours in zip(stored, found):
        assert label_of(data) in (ours, None) if ours else data not in whole_records(), (data, ours)
    strict = datasets.open_dataset(folder, 'train')
    assert None not in found and len(strict) == len(found)
    return True
