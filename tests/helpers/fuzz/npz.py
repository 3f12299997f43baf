"""NumPy's files of weights: zip archives (.npz) of arrays (.npy), which may hold pickles."""
import dataclasses
import functools
import io
import json
import pickle
import pickletools
import struct
import zlib

import numpy as np
from hypothesis import strategies as st

from tests.helpers import weight_builders
from tests.helpers.fuzz import small, texts, wire

BOMB = 200 << 20  # bytes of zeros
HEADERS = (  # of arrays: what stands in place of the right text
    "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }",
    "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<f4', 'fortran_order': %s, 'shape': (2,), }", "{'descr': [('a', '<f4'), ('b', '%s')], 'fortran_order': "
    "False, 'shape': (2,), }", "{'descr': ('<f4', (%s,)), 'fortran_order': False, 'shape': (2,), }",
    "{'shape': (1,), 'shape': (%s,), 'descr': '<f4', 'fortran_order': False}", '%s', '{%s}')
WORDS = ('0', '1', '-1', '2', '10 ** 12', '1000000000000', '2,1000000000000', '9' * 400, '9' * 5000, '1,' * 40 + '1',
         '1.5',
         'True', 'None', "'a'", '()', '1,(2,)', '(' * 300, '[' * 300, '-' * 5000 + '1', '+'.join(['1'] * 2000), '<f4',
         '>f4',
         '<f2', '<f8', '<i4', '<c8', '|O', '<U1000000000', '|S2147483647', '|V0', '|V8', '<M8[ns]', 'f4,f4', '?',
         '\x1b[31m',
         '猫', '\0', 'L', '2L', '__import__("os")', '(3,)<f4')
PICKLED = (  # pieces of pickles
    b'2\x86' * 60, b'}K\1' + b'2\x86' * 60 + b'K\1s', b'K\1q\7' + b'h\7h\7\x86q\7' * 60, b'cos\nsystem\n',
    b'cnumpy\nload\n',
    b'\x96' + struct.pack('<Q', 10 ** 12), b'\x96' + struct.pack('<Q', 1 << 31), b'\x8e' + struct.pack('<Q', 1 << 63),
    b'\x8d' + struct.pack('<Q', 1 << 40), b'r\xff\xff\xff\xff', b'r\xff\xff\xff\x7f', b'\x8b\xff\xff\xff\x7f',
    b'\x8b\0\0\0\x80', b'I' + b'9' * 5000 + b'\n', b'L' + b'9' * 5000 + b'L\n', b'(' * 20_000, b'](' * 5000,
    b']' * 20_000,
    b'Q', b'P1\n', b'\x82\1', b'\x84\xff\xff\xff\xff', b'h\0', b'0', b'1', b'2', b'e', b'u', b's', b'a', b'b', b'R',
    b'\x81',
    b'\x92', b'\x93', b'\x94', b'\x8f', b'\x91', b'\x90', b'N', b'}', b']', b')', b'(', b't', b'\x85', b'\x86', b'.',
    b'\x95' + struct.pack('<Q', 1 << 60), b'\x80\xff', b'K\0', b'U\0', b'\x97', b'\x98', b'i\n\n', b'o',
    b'X\1\0\0\0\xff',
    b'V\\ud800\n', b'Gnan_____', b'\x88', b'F1e999\n')


@dataclasses.dataclass
class Member:
    """One file of an archive. lies: {field of a header: what to say there}."""
    name: bytes
    content: bytes
    method: int = 8
    lies: dict = dataclasses.field(default_factory=dict)
    packed: bytes | None = None


LOCAL = ('version', 2), ('flags', 2), ('method', 2), ('time', 2), ('date', 2), ('crc', 4), ('packed', 4), ('size', 4), (
    'name', 2), ('extra', 2)
CENTRAL = ('made', 2), *LOCAL, ('comment', 2), ('disk', 2), ('inner', 2), ('outer', 4), ('at', 4)
END = ('disk', 2), ('start', 2), ('here', 2), ('count', 2), ('bytes', 4), ('at', 4), ('comment', 2)
FORMATS = {'local': LOCAL, 'central': CENTRAL, 'end': END}


def fields(layout, values):
    return b''.join((values.get(name, 0) & (256 ** size - 1)).to_bytes(size, 'little') for name, size in layout)


def archive(members, lies=()):
    """The bytes of a zip archive. lies: {field of its end: what to say there}."""
    body, central = b'', b''
    for member in members:
        packed = member.packed
        if packed is None:
            packed = member.content
            if member.method == 8:
                packer = zlib.compressobj(1, wbits=-15)
                packed = packer.compress(member.content) + packer.flush()
        values = {'version': 20, 'method': member.method, 'crc': zlib.crc32(member.content), 'packed': len(packed),
                  'size': len(member.content), 'name': len(member.name), 'at': len(body)}
        local, far = ({field: number for (where, field), number in member.lies.items() if where == header}
                      for header in ('local', 'central'))
        body += b'PK\3\4' + fields(LOCAL, values | local) + member.name + packed
        central += b'PK\1\2' + fields(CENTRAL, values | far) + member.name
    end = {'here': len(members), 'count': len(members), 'bytes': len(central), 'at': len(body)} | dict(lies)
    return body + central + b'PK\5\6' + fields(END, end)


def npy(array, *, header=None, version=1, length=None, pad=True):
    """The bytes of a .npy; header: another text."""
    if header is None:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, version=(1, 0))
        return stream.getvalue()
    text = header.encode('utf-8' if version == 3 else 'latin1', 'replace')
    text += b' ' * (-(len(text) + 11) % 16) * pad + b'\n'
    length = len(text) if length is None else length
    size = (length & 0xffff).to_bytes(2, 'little') if version == 1 else (length & 0xffffffff).to_bytes(4, 'little')
    return b'\x93NUMPY' + bytes([version, 0]) + size + text + array.tobytes()


@functools.cache
def bomb(way):
    """A Member that unpacks to BOMB bytes; way: what its headers say of that."""
    header = npy(np.zeros(0, np.float32),
                 header=f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({BOMB // 4},), }}")
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(header) + b''.join(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20))
    packed += packer.flush()
    size = {'the truth': len(header) + BOMB, 'less': 1000}[way]
    return Member(b'conv1_W.npy', header, lies={(where, 'size'): size for where in ('local', 'central')}, packed=packed)


def object_array(*items, protocol):
    array = weight_builders.object_array(*items)
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': ({len(items)},), }}"
    return npy(np.zeros(0), header=header), pickle.dumps(array, protocol)


@functools.cache
def forms():
    """{form: {name of an array: content}}, and of objects (head, pickle)."""
    weights = weight_builders.random_weights(small.SHAPES)
    layers = weight_builders.converted(weights)
    ours = weight_builders.slims(weights)
    spec = {'model_name': 'alexnet', 'image_size': 227, 'class_names': ['a', 'b', 'c'], 'mean': [1, 2, 3],
            'variant': 'caffe'}
    ours |= {'format': np.array('alexnet_tf 1'), 'model_json': np.array(json.dumps(spec))}
    return {'plain': {f'{layer}_{part}': npy(array) for layer, pair in layers.items() for part, array in zip('Wb',
                                                                                                             pair)},
            'ours': {name: npy(array) for name, array in ours.items()},
            'objects 2': {layer: object_array(*pair, protocol=2) for layer, pair in layers.items()},
            'objects 5': {layer: object_array(*pair, protocol=4) for layer, pair in layers.items()}}


@functools.cache
def dictionary():
    """(header, pickle) of a .npy as Python 2 wrote it."""
    weights = weight_builders.random_weights(small.SHAPES)
    content = weight_builders.py2_npy(weight_builders.py2_dictionary(weight_builders.converted(weights)))
    at = content.index(b'\n') + 1
    return content[:at], content[at:]


@functools.cache
def operations(pickled):
    """The bytes of each operation of a pickle."""
    starts = [at for _, _, at in pickletools.genops(pickled)] + [len(pickled)]
    return [pickled[start:end] for start, end in zip(starts, starts[1:])]


def prepare():
    small.prepare()


def whole():
    return {'weights.npz': archive([Member(f'{name}.npy'.encode(), content) for name,
                                    content in forms()['plain'].items()])}


@st.composite
def changed_pickle(draw, pickled):
    pieces = list(operations(pickled))
    for _ in range(draw(st.integers(1, 3))):
        at, way = draw(st.integers(0, len(pieces) - 1)), draw(st.integers(0, 5))
        if way == 0:
            pieces[at:at + draw(st.integers(1, 3))] = []
        elif way == 1:
            pieces.insert(at, draw(st.sampled_from(pieces)))
        elif way == 2:
            pieces[at] = draw(st.sampled_from(pieces))
        elif way == 3 and pieces[at]:
            place = draw(st.integers(0, min(len(pieces[at]) - 1, 30)))
            pieces[at] = pieces[at][:place] + bytes([draw(st.integers(0, 255))]) + pieces[at][place + 1:]
        else:
            pieces.insert(at, draw(st.sampled_from(PICKLED)))
        pieces = pieces or [b'.']
    return b''.join(pieces)


@st.composite
def changed_npy(draw, content):
    way = draw(st.sampled_from(('header', 'header', 'version', 'length', 'bytes', 'cut')))
    if way == 'header':
        text = draw(st.sampled_from(HEADERS)).replace('%s', draw(st.sampled_from(WORDS)))
        return npy(np.ones(2, np.float32), header=text, version=draw(st.sampled_from((1, 1, 2, 3))),
                   length=draw(st.none() | st.sampled_from(wire.NUMBERS)), pad=draw(st.booleans()))
    if way == 'version':
        return content[:6] + draw(st.binary(min_size=2, max_size=2)) + content[8:]
    if way == 'length':
        return content[:8] + draw(st.binary(min_size=2, max_size=4)) + content[10:]
    at = draw(st.integers(0, min(len(content) - 1, 200)))
    return content[:at] + (draw(st.binary(max_size=3)) + content[at + draw(st.integers(0,
                                                                                       3)):] if way == 'bytes' else b'')


NUMBER = st.sampled_from(wire.NUMBERS) | st.integers(0, 400)


@st.composite
def cases(draw):
    form = draw(st.sampled_from(('plain', 'plain', 'ours', 'objects 2', 'objects 5', 'dictionary')))
    if form == 'dictionary':
        head, pickled = dictionary()
        return {'weights.npy': head + draw(changed_pickle(pickled)) if draw(st.booleans()) else
                draw(changed_npy(head)) + pickled}
    members, lies = {name: content if isinstance(content, bytes) else b''.join(content)
                     for name, content in forms()[form].items()}, {}
    name = draw(st.sampled_from(sorted(members)))
    way = draw(st.sampled_from(('array', 'array', 'zip', 'zip', 'names', 'json' if form == 'ours' else 'array',
                                'bytes')))
    if way == 'array' and form.startswith('objects') and draw(st.integers(0, 3)):
        head, pickled = forms()[form][name]
        members[name] = head + draw(changed_pickle(pickled))
    elif way == 'array':
        members[name] = draw(changed_npy(members[name]))
    elif way == 'json':
        members['model_json'] = npy(np.array(draw(texts.changed_json(SPEC)).decode('utf-8', 'replace')))
    entries = [Member(f'{key}.npy'.encode(), content, draw(st.sampled_from((0, 8)))) for key,
               content in members.items()]
    if way == 'names':
        entries[draw(st.integers(0, len(entries) - 1))].name = draw(st.sampled_from(wire.TEXTS + tuple(
            f'{key}.npy'.encode() for key in members)) | st.binary(max_size=20)) + draw(st.sampled_from((b'.npy', b'',
                                                                                                         b'_W.npy')))
    elif way == 'zip':
        for _ in range(draw(st.integers(1, 2))):
            entry = entries[draw(st.integers(0, len(entries) - 1))]
            act = draw(st.sampled_from(('lie', 'lie', 'end', 'method', 'double', 'leave out', 'bomb', 'both')))
            if act in ('lie', 'both'):
                where, (field, _) = draw(st.sampled_from([(w, f) for w in ('local', 'central') for f in FORMATS[w]]))
                entry.lies[where, field] = draw(NUMBER)
                if act == 'both':
                    entry.lies['local', field] = entry.lies['central', field] = draw(NUMBER)
            elif act == 'end':
                lies[draw(st.sampled_from([field for field, _ in END]))] = draw(NUMBER)
            elif act == 'method':
                entry.method = draw(st.sampled_from((0, 8, 9, 12, 14, 93, 95, 99)))
            elif act == 'double':
                entries.append(entry)
            elif act == 'leave out':
                entries.remove(entry)
                entries = entries or [entry]
            elif draw(st.integers(0, 9)) == 0:
                entries[0] = bomb(draw(st.sampled_from(('the truth', 'less'))))
    content = archive(entries, lies)
    if way == 'bytes':
        at = draw(st.integers(0, len(content) - 1) | st.integers(max(0, len(content) - 900), len(content) - 1))
        content = content[:at] + draw(st.binary(max_size=4)) + content[at + draw(st.integers(0, 4)):]
        content = content[:draw(st.integers(0, len(content)))] if draw(st.integers(0, 3)) == 0 else content
    return {'weights.npz': content}


SPEC = {'model_name': 'alexnet', 'image_size': 227, 'class_names': ['a', 'b', 'c'], 'mean': [1, 2, 3],
        'variant': 'caffe',
        'labels_offset': None, 'unscaled_dropout': None}


def read(folder, files):
    from alexnet_tf.weights import reading
    from nets import slim_checkpoints
    name, = files
    loaded, kind, _ = reading.read(f'{folder}/{name}')
    if name.endswith('.npz'):
        assert kind in ('.npz', "this project's .npz"), kind
        arrays = {slim_checkpoints_name(key): array for key, array in independent(f'{folder}/{name}').items()}
        for key, variable in slim_checkpoints.named_variables(loaded.model).items():
            array = variable.numpy()
            assert np.isfinite(array).all()
            if key in arrays:
                wanted = np.asarray(arrays[key], np.float32).reshape(array.shape)
                if kind == '.npz' and key == 'alexnet/conv1/weights':
                    wanted = wanted[:, :, ::-1]
                np.testing.assert_array_equal(array, wanted)
    return True


def slim_checkpoints_name(key):
    """alexnet/conv1/weights of conv1_W."""
    return 'alexnet/' + key.replace('_W', '/weights').replace('_b', '/biases') if '/' not in key else key


def independent(path):
    """What NumPy reads of an archive, without arrays of objects."""
    with np.load(path) as stored:
        found = {}
        for key in stored.files:
            try:
                found[key] = stored[key]
            except ValueError as error:
                assert 'allow_pickle' in str(error), key
        return found
