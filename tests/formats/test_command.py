"""`export --to=…`, as users run it."""
import sys

import pytest

from alexnet_tf import export
from alexnet_tf.weights import checkpoint_files
from tests.formats.conftest import NAMES
from tests.helpers.commands import call
from tests.helpers.processes import NARROW, run_python


@pytest.fixture(scope='module')
def run(networks, tmp_path_factory):
    """A folder with the checkpoint of alexnet."""
    folder = tmp_path_factory.mktemp('command') / 'run'
    checkpoint_files.write(networks['paper'].loaded, str(folder))
    return folder


@pytest.mark.slow
def test_int8_in_a_process_of_its_own(run, small_records, tmp_path):
    result = run_python(*NARROW, 'alexnet_tf.export', f'--checkpoint_path={run}', f'--output_dir={tmp_path / "phone"}',
                        '--to=litert_int8', f'--calibration_dir={small_records}')
    assert result.stdout.splitlines()[-1] == (
        f'Exported alexnet at step 0 ({run / "model.ckpt-0"}) to {tmp_path / "phone"}: model.tflite.')
    assert 'quantize' not in result.stderr and 'deprecated' not in result.stderr  # the converter's notes


def test_int8_is_calibrated_on_records(run, small_records, tmp_path):
    result = call(export, f'--checkpoint_path={run}', f'--output_dir={tmp_path / "phone"}', '--to=litert_int8',
                  f'--calibration_dir={small_records}', check=True)
    assert result.stdout.endswith(f'to {tmp_path / "phone"}: model.tflite.\n')
    assert sorted(path.name for path in (tmp_path / 'phone').iterdir()) == ['classes.txt', 'model.tflite']
    assert (tmp_path / 'phone' / 'classes.txt').read_text() == '\n'.join(NAMES) + '\n'


@pytest.mark.parametrize('to', ['onnx', 'safetensors'])
def test_one_file_of_the_kind(to, run, tmp_path):
    pytest.importorskip(to)
    result = call(export, f'--checkpoint_path={run}', f'--output_dir={tmp_path / "new"}', f'--to={to}', check=True)
    assert result.stdout.endswith(f'to {tmp_path / "new"}: model.{to}.\n')
    assert [path.name for path in (tmp_path / 'new').iterdir()] == [f'model.{to}']


@pytest.mark.parametrize('flags, sentence', [
    (['--to=litert_int8'], '--to=litert_int8 needs --calibration_dir. Folder of records'),
    (['--to=onnx', '--calibration_dir=records'], '--calibration_dir has no effect with --to=onnx; leave it out'),
    (['--to=litert_int8', '--calibration_dir=/no/such'], "the dataset folder '/no/such' does not exist"),
    (['--to=litert', '--precision=bfloat16'], '--precision has no effect with --to=litert')])
def test_flags_that_cannot_be_meant(flags, sentence, run, tmp_path):
    result = call(export, f'--checkpoint_path={run}', f'--output_dir={tmp_path / "new"}', *flags)
    assert result.returncode == 1 and sentence in result.stderr


@pytest.mark.parametrize('to', ['onnx', 'safetensors'])
def test_a_package_that_is_missing_is_asked_for_first(to, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, to, None)
    result = call(export, '--checkpoint_path=/no', f'--output_dir={tmp_path / "new"}', f'--to={to}')
    assert result.stderr == f'x: --to={to} needs the package {to}; pip install {to}, and export again.'
