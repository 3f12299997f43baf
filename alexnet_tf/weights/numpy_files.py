"""Weights in NumPy's files, read without running anything that a file says.

.npy: a pickled dictionary {layer: [weights, biases]}, as converters from Caffe wrote it under Python 2. .npz: arrays
named `conv1_W` and `conv1_b`, or `conv1/weights` and `conv1/biases`, or for each layer an object array of the two.
"""
import io
import pickle
import pickletools
import re
import zipfile

import numpy as np

from alexnet_tf.weights import network

_NOT_COPIED = {'GLOBAL', 'STACK_GLOBAL', 'REDUCE'}
_OPERATIONS = _NOT_COPIED | set(
    'APPEND APPENDS BINBYTES BINBYTES8 BINFLOAT BINGET BININT BININT1 BININT2 BINPUT BINSTRING BINUNICODE BINUNICODE8 '
    'BUILD BYTEARRAY8 DICT EMPTY_DICT EMPTY_LIST EMPTY_TUPLE FLOAT FRAME GET INT LIST LONG LONG1 LONG_BINGET '
    'LONG_BINPUT MARK MEMOIZE NEWFALSE NEWTRUE NONE PROTO PUT SETITEM SETITEMS SHORT_BINBYTES SHORT_BINSTRING '
    'SHORT_BINUNICODE STOP STRING TUPLE TUPLE1 TUPLE2 TUPLE3 UNICODE'.split())  # of pickles, as pickletools names them
_MAX_OPERATIONS = 100_000  # of a pickle; an array takes about twenty
_UNPACKED = 32 << 20  # bytes that any archive may have when unpacked
_DENSEST = 20  # times its own size may a larger one have; weights shrink little, those of a pruned network ten times
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ITEM_SIZES = {'f2': 2, 'f4': 4, 'f8': 8, 'O': 1, 'O4': 1, 'O8': 1}  # bytes; objects come as a list


def read_npy(data):
    """{`conv1/weights`: array} of the bytes of a .npy with a pickled dictionary.

    Raises: ValueError, or an error of NumPy or pickle, for a damaged file or one that holds anything else.
    """
    held = _parse(data, 'the file')
    content = held[0] if isinstance(held, list) and len(held) == 1 else held
    if not isinstance(content, dict):
        raise ValueError(f'it holds {_described(content)}; expected is a dictionary {{layer: [weights, biases]}}.')
    return {name: array for layer, value in content.items() for name, array in _pair(layer, value)}


def read_npz(file):
    """{name: array} of an open .npz; an array of objects is a list (see `named`).

    Raises: ValueError, or an error of zipfile, for a damaged archive or one without arrays.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        total, limit = sum(member.file_size for member in members), max(_UNPACKED, _DENSEST * file.seek(0, 2))
        if total > min(limit, network.MAX_BYTES):
            raise ValueError(f'unpacked it would have {total:,} bytes; more than {min(limit, network.MAX_BYTES):,} are '
                             'not read of a file of this size. Save it anew, without compression.')
        methods = {member.compress_type for member in members} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if methods:
            raise ValueError(f'it is packed in the way {min(methods)}, which NumPy does not use; save it anew.')
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            raise ValueError('it is a zip archive that holds one name twice; it is damaged.')
        other = [name for name in names if not name.endswith('.npy')]
        if other or not names:
            raise ValueError(f'it is a zip archive that holds {", ".join(other[:3]) or "nothing"}; expected is an '
                             '.npz file, of NumPy arrays alone.')
        return {member.filename.removesuffix('.npy'): _parse(_unpacked(archive, member), member.filename)
                for member in members}


def _unpacked(archive, member):
    """The bytes of a member: no more than it says, while ZipFile.read would unpack all that there is."""
    with archive.open(member) as stream:
        return stream.read(member.file_size)


def named(arrays):
    """{`conv1/weights`: array} of read_npz's arrays, named in any of the ways above. Raises: ValueError."""
    result = {}
    for key, array in arrays.items():
        if isinstance(array, list):
            result |= _pair(key, array)
            continue
        match = re.fullmatch(r'(\w+?)[_/](W|b|weights|biases)', key)
        if not match:
            raise ValueError(f'it has an array {key!r}; expected are names such as conv1_W, conv1_b or conv1/weights.')
        result[f'{match[1]}/{"weights" if match[2] in ("W", "weights") else "biases"}'] = array
    return result


def _parse(data, name):
    """The ndarray of a .npy file's bytes, or the list of an object array. Sizes are checked before memory is taken."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _READ_HEADER:
            raise ValueError(f'its version of the format is {version[0]}.{version[1]}, where numbers have 1.0 or 2.0; '
                             'save it anew with numpy.save')
        shape, fortran, dtype = _READ_HEADER[version](stream)
        start = stream.tell()
        if dtype.hasobject:
            _check_pickle(stream, len(data), name)
    except ValueError as error:
        raise ValueError(f'{name} is damaged or cut off: {error}.') from error
    if not dtype.hasobject:
        network.check_size(name, shape, dtype.itemsize, len(data) - start)
        return np.frombuffer(data, dtype, offset=start).reshape(shape, order='F' if fortran else 'C')
    stream.seek(start)
    held = _Unpickler(stream, encoding='latin1').load()
    if not isinstance(held, _Array):
        raise ValueError(f'the pickle of {name} is {_described(held)}, not an array.')
    return held.value


def _check_pickle(stream, size, name):
    """Raises ValueError for a pickle in a stream, of `size` bytes, that NumPy does not write; it is only read.

    Of a few bytes, objects that are used again and again make tuples that take years to hash, and copies without end.
    So only what is short, or is never copied, may be used again, by the number that it was given.
    """
    again, before, short = {}, '', False
    for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        kind = operation.name
        if kind not in _OPERATIONS or count == _MAX_OPERATIONS:
            raise ValueError(f'the pickle of {name} {"has" if count < _MAX_OPERATIONS else "goes on after"} {count} '
                             f'operations, then {kind}; arrays do not need that')
        if kind.endswith('PUT') or kind == 'MEMOIZE':
            number = len(again) if argument is None else argument
            if number > size:  # pickle would make a table of so many entries
                raise ValueError(f'the pickle of {name} numbers an object {number}, in {size:,} bytes')
            again[number] = before in _NOT_COPIED or short
        elif kind.endswith('GET') and not again.get(argument, True):
            raise ValueError(f'the pickle of {name} uses object {argument} again; arrays do not need that')
        else:
            before, short = kind, isinstance(argument, str | bytes) and len(argument) < 100


class _Array:
    """An array of a pickle, rebuilt here from its parts. value: an ndarray, or a list of a pickle's objects."""
    __slots__ = ('value',)

    def __init__(self, *_):
        """Empty, whatever a pickle says."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        data = data.encode('latin1') if isinstance(data, str) else data  # Python 2 pickled bytes as str
        network.check_size('a pickled array', shape, _ITEM_SIZES[dtype.spec], len(data))
        self.value = (list(data) if dtype.spec.startswith('O') else
                      np.frombuffer(data, dtype.order + dtype.spec).reshape(shape, order='F' if fortran else 'C'))


class _Dtype:
    __slots__ = ('spec', 'order')

    def __init__(self, spec, *_):
        if spec not in _ITEM_SIZES:
            raise ValueError(f'its pickle has an array of type {spec!r}; weights are floating-point numbers.')
        self.spec, self.order = spec, '<'

    def __setstate__(self, state):
        self.order = '>' if state[1] == '>' else '<'


class _Unpickler(pickle.Unpickler):
    """Knows the four names that NumPy's arrays need, and gives stand-ins for them.

    A pickle can call only what find_class gives it: two classes of shells, a function that encodes text, and for the
    class ndarray a mere word. No code of NumPy sees a state from the file.
    """

    def find_class(self, module, name):
        stand_ins = {'numpy.core.multiarray._reconstruct': _Array, 'numpy.ndarray': 'ndarray', 'numpy.dtype': _Dtype,
                     '_codecs.encode': self._encode}
        name = f'{module.replace("numpy._core", "numpy.core")}.{name}'  # NumPy 2 renamed it
        if name not in stand_ins:
            raise ValueError(f'its pickle asks for {name}, which arrays do not need: a pickle can run any program '
                             'that way. Nothing of it was run; get the file from a source that you trust.')
        return stand_ins[name]

    def _encode(self, text, _):
        return text.encode('latin1')  # as NumPy does


def _pair(layer, value):
    """[(`conv1/weights`, array), (`conv1/biases`, array)] out of a layer's list of the two, or its dictionary."""
    value = getattr(value, 'value', value)
    if isinstance(value, list | tuple) and len(value) == 2:
        value = dict(zip(('weights', 'biases'), value))
    if not isinstance(value, dict) or set(value) != {'weights', 'biases'}:
        raise ValueError(f'{layer} holds {_described(value)}; expected is [weights, biases].')
    for kind, array in value.items():
        if not isinstance(getattr(array, 'value', None), np.ndarray):
            raise ValueError(f'{layer}/{kind} is {_described(array)}; expected is an array of numbers.')
    return [(f'{layer}/{kind}', array.value) for kind, array in value.items()]


def _described(value):
    value = getattr(value, 'value', value)
    return f'a {type(value).__name__}' + (f' of {len(value)}' if isinstance(value, dict | list | tuple) else '')
