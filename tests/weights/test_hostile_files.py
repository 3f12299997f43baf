"""Files of weights made to do harm: nothing is written elsewhere, nothing is printed raw."""
import io
import os
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from alexnet_tf.weights import reading
from tests.helpers import special_files
from tests.helpers.commands import call
from tests.helpers.weight_builders import py2_npy, refused


def zip_of(*, compression=zipfile.ZIP_STORED, **members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize('name', ['../../escaped.npy', '/tmp/escaped.npy', 'a/../../escaped.npy', '..\\escaped.npy'])
def test_an_npz_with_paths_for_names_writes_nothing(name, tmp_path, monkeypatch):
    inner = tmp_path / 'a' / 'b'
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (inner / 'weights.npz').write_bytes(zip_of(**{name: npy(np.ones(3, np.float32))}))
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(ValueError, match='expected are names such as'):
        reading.read('weights.npz')
    assert sorted(tmp_path.rglob('*')) == before and not os.path.exists('/tmp/escaped.npy')


def test_an_npz_with_one_name_twice(tmp_path):
    path = tmp_path / 'weights.npz'
    with pytest.warns(UserWarning), zipfile.ZipFile(path, 'w') as archive:
        for value in (1, 2):
            archive.writestr('conv1_W.npy', npy(np.full(3, value, np.float32)))
    with pytest.raises(ValueError, match='holds one name twice'):
        reading.read(str(path))


@pytest.mark.skipif(sys.platform == 'win32', reason='has no such files')
@pytest.mark.parametrize('kind', special_files.KINDS)
def test_special_files_are_refused(kind, tmp_path):
    with pytest.raises(ValueError, match='no file and no checkpoint at'):
        reading.read(str(special_files.make(kind, tmp_path / 'special')))


def test_names_in_a_weights_file_are_printed_escaped(tmp_path):
    path = tmp_path / 'weights\nimport_weights: done\x1b]0;x\x07.npz'
    path.write_bytes(zip_of(**{'conv1\x1b[31m\u202e_W.npy': npy(np.ones(3, np.float32))}))
    result = call('alexnet_tf.import_weights', f'--source={path}', f'--output_dir={tmp_path / "out"}')
    assert result.returncode == 1 and '\\x1b]0;x\\x07.npz' in result.stderr
    assert result.stderr.isprintable() and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('key', [b'K\1' + b'2\x86' * 60, b'K\1\x85q\1' + b'h\1h\1\x86q\1' * 60])
def test_a_tuple_that_would_take_years_to_hash(key, tmp_path):
    """Each is a pair of the one before, so that a dictionary's key of 180 bytes has 2 ** 60 parts."""
    refused(tmp_path, py2_npy(b'}' + key + b'K\1s'), 'arrays do not need that')


@pytest.mark.parametrize('pickled', [b'](' + b'N' * 100_001 + b'e', b'X\xff\0\0\0' + b'x' * 255 + b'q\1' + b'h\1' * 9,
                                     b']q\1' + b'h\1' * 9, b'N0N', b'\x8f', b'(lp1\ng1\n'])
def test_a_pickle_that_grows_without_end(pickled, tmp_path):
    refused(tmp_path, py2_npy(pickled), 'arrays do not need that')


@pytest.mark.parametrize('says', [200 << 20, 1000])
def test_an_archive_that_would_unpack_to_hundreds_of_megabytes(says, tmp_path):
    """Whether it says so or not; 200 KB on the disk."""
    head = npy(np.zeros(0, np.float32)).replace(b'(0,), }' + b' ' * 7, b'(52428800,), }')
    content = bytearray(zip_of(**{'conv1_W.npy': head + bytes(200 << 20)}, compression=zipfile.ZIP_DEFLATED))
    for magic, place in ((b'PK\3\4', 22), (b'PK\1\2', 24)):
        at = content.rindex(magic) + place
        content[at:at + 4] = says.to_bytes(4, 'little')
    tracemalloc.start()
    refused(tmp_path, bytes(content), 'unpacked it would have' if says > 1000 else 'bytes are there|damaged')
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_is_packed_in_other_ways(method, tmp_path):
    """Python unpacks all of a member of these kinds at once, whatever its size is said to be."""
    refused(tmp_path, zip_of(**{'conv1_W.npy': npy(np.ones(3))}, compression=method), 'which NumPy does not use')
