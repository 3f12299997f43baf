"""The commands as users run them, in processes of their own and with whole networks: train, evaluate, export; killed
and resumed; followed; the first command of the README."""
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.run_folder import metrics
from tests.helpers.processes import ROOT, run_python, run_pythons
from tests.scripts.conftest import TRAIN, losses

COMMAND = ('train_image_classifier.py', *TRAIN, '--max_number_of_steps=3', '--validate_every_n_steps=3')


@pytest.fixture(scope='module')
def whole(small_records, tmp_path_factory):
    """The train_dir of three steps of alexnet_v2."""
    folder = tmp_path_factory.mktemp('whole')
    printed = run_python(*COMMAND, f'--dataset_dir={small_records}', f'--train_dir={folder}').stdout
    assert 'with 46,247,882 parameters' in printed and 'Finished at step 3: top-1' in printed
    return folder


def test_a_network_that_was_trained_is_evaluated_and_served(whole, small_records, tmp_path):
    evaluated, exported = run_pythons(
        ['eval_image_classifier.py', f'--checkpoint_path={whole}', f'--dataset_dir={small_records}',
         f'--eval_dir={tmp_path}', f'--scores_file={tmp_path / "scores.npz"}'],
        ['-m', 'alexnet_tf.export', f'--checkpoint_path={whole}', f'--output_dir={tmp_path / "out"}'])
    found = json.loads((tmp_path / 'eval_results.json').read_text())
    assert f'eval/Accuracy[{found["accuracy"]:.5g}]' in evaluated.stdout and 'at step 3' in exported.stdout
    validation = [row for row in metrics.read(whole) if row['kind'] == 'validation'][-1]
    assert found['accuracy'] == validation['accuracy']
    assert found['loss'] == pytest.approx(validation['loss'], rel=1e-5)
    dataset = datasets.open_dataset(str(small_records), 'validation')
    encoded = [dataset.example(position)[0] for position in range(5)]
    served = tf.saved_model.load(str(tmp_path / 'out')).signatures['serve_bytes'](image_bytes=tf.constant(encoded))
    scores = np.load(tmp_path / 'scores.npz')['scores']
    assert scores.shape == (20, 10)
    np.testing.assert_allclose(served['logits'], scores[:5], atol=1e-4 * np.abs(scores).max())


@pytest.mark.slow  # tests/faults/test_kills.py does it with a small network
def test_a_killed_and_resumed_run_is_bit_for_bit_the_uninterrupted_one(whole, small_records, tmp_path):
    # One decoding thread there, four here: the number of threads must not matter.
    command = [*COMMAND, '--num_preprocessing_threads=4', f'--dataset_dir={small_records}', f'--train_dir={tmp_path}',
               '--save_interval_secs=0']
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob('*.manifest.json')) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -9 and len(losses(tmp_path)) < 3, 'the run was over before it was killed'
    printed = run_python(*command).stdout
    assert 'Resuming from' in printed
    assert losses(tmp_path) == losses(whole)
    expected, found = (tf.train.load_checkpoint(str(folder)) for folder in (whole, tmp_path))
    names = expected.get_variable_to_shape_map()
    assert names == found.get_variable_to_shape_map() and 'optimizer/m/fc6/weights' in names
    for name in names:
        np.testing.assert_array_equal(found.get_tensor(name), expected.get_tensor(name), err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='reads the memory as Linux shows it')
def test_following_a_run_does_not_fill_the_memory(whole, small_records, tmp_path):
    """Checkpoints come, and the one before goes at once, as fast as they are scored."""
    last, memory, results = 6, [], tmp_path / 'eval' / 'eval_results.json'
    os.link(whole / 'model.json', tmp_path / 'model.json')

    def scored():
        """The checkpoint that was scored last, by its number."""
        return int(json.loads(results.read_text())['checkpoint'].rpartition('-')[2]) if results.exists() else 0
    with subprocess.Popen([sys.executable, 'eval_image_classifier.py', f'--checkpoint_path={tmp_path}',
                           f'--dataset_dir={small_records}', '--wait_for_checkpoints', '--wait_timeout_secs=10'],
                          cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for number in range(1, last + 1):
            for path in sorted(whole.glob('model.ckpt-3.[di]*')):  # the data before the index, as TensorFlow does
                os.link(path, tmp_path / path.name.replace('ckpt-3', f'ckpt-{number}'))
            for path in tmp_path.glob(f'model.ckpt-{number - 1}.*'):
                path.unlink()
            while scored() < number and process.poll() is None:
                time.sleep(0.05)
            with open(f'/proc/{process.pid}/status') as file:
                memory += [int(line.split()[1]) // 1024 for line in file if line.startswith('VmRSS')]
    assert process.returncode == 0 and scored() == last and len(memory) == last
    assert memory[-1] - memory[0] < 400, memory  # a network has 200 MB; one for every checkpoint would be 1,000 more


@pytest.mark.slow
def test_the_first_command_of_the_readme_is_well_above_chance(tmp_path):
    printed = run_python('train_image_classifier.py', f'--train_dir={tmp_path}', timeout=1200).stdout
    last = [row for row in metrics.read(tmp_path) if row['kind'] == 'validation'][-1]
    assert last['accuracy'] >= 0.25 and 'Next: python' in printed
