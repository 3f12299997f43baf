"""Files of weights made to do harm: nothing is written elsewhere, nothing is printed raw."""
import io
import os
import sys
import zipfile

import numpy as np
import pytest

from alexnet_tf.weights import reading
from tests.helpers import special_files
from tests.helpers.commands import call


def zip_of(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
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
