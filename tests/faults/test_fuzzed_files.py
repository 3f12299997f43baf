"""Files of every format that may come from a stranger, made up by fuzzers that know the format: tests/helpers/fuzz.

Every case is read, or refused with one sentence; none ends the process, hangs, or takes 100 MB. A failure names its
seed, which makes the same cases again with the same Hypothesis, and leaves the files of the case.
"""
import sys

import pytest

pytest.importorskip('hypothesis', reason='makes up the files')
from tests.helpers.fuzz import cases

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='asks Linux for the memory')
FORMATS = ('records', 'images', 'dataset_info', 'tfds_folder', 'model_json', 'checkpoint', 'run_folder', 'onnx_model',
           'caffemodel', 'npz')
COUNT = 200


def run(name, folder, count, **options):
    if name == 'onnx_model':
        pytest.importorskip('onnx', reason='reads the files')
    counts = cases.run(name, folder, count, **options)
    assert min(counts.read, counts.refused) >= count // 100  # else it tests only one of the two
    assert counts.read + counts.refused == count


@pytest.mark.parametrize('name', FORMATS)
def test_some_files_of_a_format(name, tmp_path):
    run(name, tmp_path, COUNT)


@pytest.mark.slow
@pytest.mark.parametrize('name', FORMATS)
def test_many_files_of_a_format(name, tmp_path):
    run(name, tmp_path, 100_000, per_process=10_000)
