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

from alexnet_tf.weights import checks

_ITEM_SIZES = {'f2': 2, 'f4': 4, 'f8': 8}
_KINDS = {'W': 'weights', 'weights': 'weights', 'b': 'biases', 'biases': 'biases'}


def read_npy(data):
    """{`conv1/weights`: array} of the bytes of a .npy with a pickled dictionary.

    Raises: ValueError, or an error of NumPy or pickle, for a damaged file or one that holds anything else.
    """
    held = _parse(data, 'the file')
    content = held.value[0] if isinstance(held, _Array) and len(held.value) == 1 else held
    if not isinstance(content, dict):
        raise ValueError(f'it holds {_described(content)}; expected is a dictionary {{layer: [weights, biases]}}.')
    return {name: array for layer, value in content.items() for name, array in _pair(layer, value)}


def read_npz(file):
    """{name: array} of an open .npz; where the file pickled an object array, the value is no ndarray (see `named`).

    Raises: ValueError, or an error of zipfile, for a damaged archive or one without arrays.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > checks.MAX_BYTES:
            raise ValueError(f'unpacked it would have {total:,} bytes; more than {checks.MAX_BYTES:,} are not read.')
        other = [member.filename for member in members if not member.filename.endswith('.npy')]
        if len({member.filename for member in members}) < len(members):
            raise ValueError('it is a zip archive that holds one name twice; it is damaged.')
        if other or not members:
            raise ValueError(f'it is a zip archive that holds {", ".join(other[:3]) or "nothing"}, and not only NumPy '
                             'arrays; expected is an .npz file.')
        return {member.filename.removesuffix('.npy'): _parse(archive.read(member), member.filename)
                for member in members}


def named(arrays):
    """{`conv1/weights`: array} of read_npz's arrays, named in any of the ways above. Raises: ValueError."""
    result = {}
    for key, array in arrays.items():
        if isinstance(array, _Array):
            result |= _pair(key, array)
            continue
        match = re.fullmatch(r'(\w+?)[_/](W|b|weights|biases)', key)
        if not match:
            raise ValueError(f'it has an array {key!r}; expected are names such as conv1_W and conv1_b, or '
                             'conv1/weights and conv1/biases.')
        result[f'{match[1]}/{_KINDS[match[2]]}'] = array
    return result


def _parse(data, name):
    """The array of one .npy file's bytes: an ndarray, or for an object array an _Array.

    Raises: ValueError when the header promises more or fewer bytes than there are. Nothing is allocated before.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = (np.lib.format.read_array_header_2_0 if version == (2, 0)
                       else np.lib.format.read_array_header_1_0)
        shape, fortran, dtype = read_header(stream)
    except ValueError as error:
        raise ValueError(f'the header of {name} is damaged or cut off: {error}.') from error
    if dtype.hasobject:
        return _unpickled(data[stream.tell():], name)
    if dtype.kind not in 'fU':
        raise ValueError(f'{name} is of type {dtype}; weights are floating-point numbers.')
    checks.check_size(name, shape, dtype.itemsize, len(data) - stream.tell())
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape, order='F' if fortran else 'C')


class _Array:
    """An array of a pickle, rebuilt here from its parts. value: an ndarray, or a list of a pickle's objects."""
    __slots__ = ('value',)

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if dtype.spec.startswith('O'):
            checks.check_size('an array of objects', shape, 1, len(data))
            self.value = list(data)
            return
        data = data.encode('latin1') if isinstance(data, str) else data  # Python 2 pickled bytes as str
        checks.check_size('a pickled array', shape, _ITEM_SIZES[dtype.spec], len(data))
        self.value = np.frombuffer(data, dtype.order + dtype.spec).reshape(shape, order='F' if fortran else 'C')


class _Dtype:
    __slots__ = ('spec', 'order')

    def __setstate__(self, state):
        self.order = '>' if state[1] == '>' else '<'


class _Unpickler(pickle.Unpickler):
    """Knows the four names that NumPy's arrays need, and gives stand-ins for them.

    A pickle can call only what find_class gives it: two functions that make empty shells, one that encodes text, and
    for the class ndarray a mere word. No code of NumPy sees a state from the file.
    """

    def find_class(self, module, name):
        module = module.replace('numpy._core', 'numpy.core')  # its name since NumPy 2
        stand_ins = {'numpy.core.multiarray._reconstruct': self._array, 'numpy.ndarray': 'ndarray',
                     'numpy.dtype': self._dtype, '_codecs.encode': self._encode}
        if f'{module}.{name}' not in stand_ins:
            raise ValueError(f'its pickle asks for {module}.{name}, which arrays do not need: a pickle can run any '
                             'program that way. Nothing of it was run; get the file from a source that you trust.')
        return stand_ins[f'{module}.{name}']

    def _array(self, *_):
        return _Array()

    def _dtype(self, spec, *_):
        if spec not in _ITEM_SIZES and spec not in ('O', 'O4', 'O8'):
            raise ValueError(f'its pickle has an array of type {spec!r}; weights are floating-point numbers.')
        dtype = _Dtype()
        dtype.spec, dtype.order = spec, '<'
        return dtype

    def _encode(self, text, encoding):
        if encoding != 'latin1':
            raise ValueError(f'its pickle encodes bytes as {encoding!r}; NumPy does as latin1.')
        return text.encode('latin1')


def _unpickled(data, name):
    try:
        numbers = [argument for operation, argument, _ in pickletools.genops(data)  # which only reads
                   if 'PUT' in operation.name]
    except ValueError as error:
        raise ValueError(f'the pickle of {name} is damaged or cut off: {error}.') from error
    if max(numbers, default=0) > len(data):  # pickle would make a table of so many entries
        raise ValueError(f'the pickle of {name} numbers an object {max(numbers)}, in {len(data):,} bytes; it is '
                         'damaged.')
    held = _Unpickler(io.BytesIO(data), encoding='latin1').load()
    if not isinstance(held, _Array):
        raise ValueError(f'the pickle of {name} is {_described(held)}, not an array.')
    return held


def _pair(layer, value):
    """[(`conv1/weights`, array), (`conv1/biases`, array)] out of a layer's list of the two, or its dictionary."""
    value = value.value if isinstance(value, _Array) else value
    if isinstance(value, list | tuple) and len(value) == 2:
        value = dict(zip(('weights', 'biases'), value))
    if not isinstance(value, dict) or set(value) != {'weights', 'biases'}:
        raise ValueError(f'{layer} holds {_described(value)}; expected is [weights, biases].')
    for kind, array in value.items():
        if not isinstance(array, _Array) or not isinstance(array.value, np.ndarray):
            raise ValueError(f'{layer}/{kind} is {_described(array)}; expected is an array of numbers.')
    return [(f'{layer}/{kind}', array.value) for kind, array in value.items()]


def _described(value):
    if isinstance(value, _Array):
        value = value.value
    if isinstance(value, np.ndarray):
        return f'an array of {value.dtype} of shape {value.shape}'
    size = f' of {len(value)}' if hasattr(value, '__len__') else ''
    return f'a {type(value).__name__}{size}'
