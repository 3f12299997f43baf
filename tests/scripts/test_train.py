"""The two scripts as users run them: train, kill, resume, evaluate, fine-tune, several devices."""
import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.run_folder import metrics
from tests.helpers.commands import messages_of
from tests.helpers.processes import ROOT, run_python, run_pythons

TRAIN = ('train_image_classifier.py', '--batch_size=8', '--learning_rate_decay_type=fixed', '--precision=float32',
         '--learning_rate=0.001', '--log_every_n_steps=1', '--max_number_of_steps=6', '--num_preprocessing_threads=1')


def tensors(folder, names=None):
    """{name: array} of the latest checkpoint in a folder."""
    reader = tf.train.load_checkpoint(str(folder))
    return {name: reader.get_tensor(name) for name in names or reader.get_variable_to_shape_map()}


def losses(folder):
    return [(row['step'], row['loss']) for row in metrics.read(folder) if row['kind'] == 'train']


@pytest.fixture(scope='module')
def trained(small_records, tmp_path_factory):
    """(train_dir of an uninterrupted run of six steps, what it printed)."""
    folder = tmp_path_factory.mktemp('trained')
    result = run_python(*TRAIN, f'--dataset_dir={small_records}', f'--train_dir={folder}',
                        '--validate_every_n_steps=3')
    return folder, result.stdout


def test_a_run_leaves_what_it_promises(trained):
    folder, printed = trained
    assert 'Fresh start' in printed and 'ETA' in printed and 'images/s' in printed
    assert 'Finished at step 6: top-1' in printed and 'Next: python eval_image_classifier.py' in printed
    assert [step for step, _ in losses(folder)] == [1, 2, 3, 4, 5, 6]
    validations = [row for row in metrics.read(folder) if row['kind'] == 'validation']
    assert [row['step'] for row in validations] == [3, 6]
    assert set(validations[0]) == {'kind', 'step', 'accuracy', 'recall_5', 'loss'}
    spec = json.loads((folder / 'model.json').read_text())
    assert spec['model_name'] == 'alexnet_v2' and spec['class_names'][0] == 'airplane'
    assert json.loads((folder / 'flags.json').read_text())['batch_size'] == 8
    best = tf.train.latest_checkpoint(str(folder / 'best'))
    assert best and tf.train.latest_checkpoint(str(folder)).endswith('model.ckpt-6')
    tags = {value.tag for path in folder.glob('events*') for event in tf.compat.v1.train.summary_iterator(str(path))
            for value in event.summary.value}
    assert {'train/loss', 'train/learning_rate', 'train/examples_per_sec', 'validation/accuracy',
            'validation/recall_5'} <= tags


@pytest.mark.slow  # tests/faults/test_kills.py does it with a small network
def test_a_killed_and_resumed_run_is_bit_for_bit_the_uninterrupted_one(trained, small_records, tmp_path):
    # One decoding thread there, four here: the number of threads must not matter.
    command = [*TRAIN[:-1], '--num_preprocessing_threads=4', f'--dataset_dir={small_records}',
               f'--train_dir={tmp_path}', '--validate_every_n_steps=3', '--save_interval_secs=0']
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while len(losses(tmp_path)) < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -9 and len(losses(tmp_path)) < 6, 'the run was over before it was killed'
    printed = run_python(*command).stdout
    assert 'Resuming from' in printed
    assert losses(tmp_path) == losses(trained[0])
    expected, actual = tensors(trained[0]), tensors(tmp_path)
    assert set(expected) == set(actual) and 'optimizer/m/fc6/weights' in expected
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.slow
def test_two_devices_give_the_numbers_of_one(trained, small_records, tmp_path):
    # Dropout, noise, loss and decay included. Sums in another order differ by 1e-7, which a larger learning
    # rate amplifies within a few steps wherever it turns a max pooling or a ReLU over.
    run_python(*TRAIN, '--max_number_of_steps=3', f'--dataset_dir={small_records}', f'--train_dir={tmp_path}',
               '--num_clones=2', '--clone_on_cpu')
    np.testing.assert_allclose(losses(tmp_path), losses(trained[0])[:3], rtol=1e-5)
    expected = tensors(trained[0] / 'model.ckpt-3')
    for name, value in tensors(tmp_path).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, rtol=1e-5, err_msg=name)


def test_resume_goes_before_warm_start_and_a_finished_run_says_so(trained, small_records):
    folder, _ = trained
    printed = run_python(*TRAIN, f'--dataset_dir={small_records}', f'--train_dir={folder}',
                         '--checkpoint_path=/nowhere').stdout
    assert 'Resuming from' in printed and '--checkpoint_path=/nowhere is not used' in printed
    assert 'is trained to step 6 already' in printed
    assert [step for step, _ in losses(folder)] == [1, 2, 3, 4, 5, 6]


def test_resuming_with_other_flags_is_refused_with_both_values(trained, small_records):
    cases = {'--optimizer=adam': 'was begun with --optimizer=momentum, not adam',
             '--learning_rate_decay_type=plateau': 'another network, optimizer, schedule',
             '--batch_size=4': '--batch_size=8, not 4; resume with that, .*--allow_changes=batch_size, ',
             '--seed=3': 'was begun with --seed=0, not 3; ',
             '--precision=bfloat16': '--precision=float32, not bfloat16; ',
             f'--dataset_dir={datasets.SAMPLE_DIR}': 'a training set of 48 rec.*, not 2000 rec.*_changes=dataset, ',
             '--model_name=alexnet': 'holds a run with model_name alexnet_v2, not alexnet; no flag allows that'}
    common = [*TRAIN[1:], f'--dataset_dir={small_records}', f'--train_dir={trained[0]}']
    messages = messages_of('train_image_classifier', [[*common, flag] for flag in cases])
    for reason, message in zip(cases.values(), messages):
        assert re.search(reason, message), message
    printed = run_python(*TRAIN, f'--train_dir={trained[0]}', f'--dataset_dir={datasets.SAMPLE_DIR}',
                         '--allow_changes=dataset').stdout
    assert 'Other than before: --dataset_dir=' in printed and 'a training set of 2000 rec' in printed
    assert 'on 2000 images' in printed and 'is trained to step 6 already' in printed


def test_warm_start_loads_all_but_excluded_scopes_and_trains_only_trainable_ones(trained, small_records, tmp_path):
    source = trained[0] / 'model.ckpt-6'
    command = [*TRAIN, '--max_number_of_steps=2', f'--dataset_dir={small_records}', f'--train_dir={tmp_path}',
               f'--checkpoint_path={source}', '--checkpoint_exclude_scopes=alexnet_v2/fc8',
               '--trainable_scopes=alexnet_v2/fc8,alexnet_v2/fc7/biases', '--validation_split_name=']
    printed = run_python(*command).stdout
    assert 'Warm start: 14 variables' in printed
    before, after = tensors(trained[0]), tensors(tmp_path)
    for name in before:
        if name.startswith('alexnet_v2/'):
            trained_here = name.startswith('alexnet_v2/fc8') or name == 'alexnet_v2/fc7/biases'
            assert np.array_equal(before[name], after[name]) != trained_here, name


def test_evaluation_does_not_depend_on_the_batch_size(trained, small_records, tmp_path):
    printed = run_pythons(*(
        ['eval_image_classifier.py', f'--checkpoint_path={trained[0]}', f'--eval_dir={tmp_path / str(batch_size)}',
         f'--dataset_dir={small_records}', f'--batch_size={batch_size}'] for batch_size in (7, 20)))
    results = [json.loads((tmp_path / name / 'eval_results.json').read_text()) for name in ('7', '20')]
    for done, result in zip(printed, results):
        assert f'eval/Accuracy[{result["accuracy"]:.5g}]' in done.stdout
        assert f'eval/Recall_5[{result["recall_5"]:.5g}]' in done.stdout
    assert results[0]['loss'] == pytest.approx(results[1].pop('loss'), rel=1e-5)
    assert results[0].items() >= results[1].items()
    assert results[1]['num_examples'] == 20 and results[1]['global_step'] == 6 and results[1]['views'] == 1
    assert results[1]['checkpoint'].endswith('model.ckpt-6')
    last = [row for row in metrics.read(trained[0]) if row['kind'] == 'validation'][-1]
    assert last['accuracy'] == results[1]['accuracy'] and last['loss'] == pytest.approx(results[0]['loss'], rel=1e-5)


def test_evaluation_with_ten_views_of_a_slim_checkpoint_that_follows(trained, small_records, tmp_path):
    # Without model.json beside it, by the names of slim's variables alone, as a slim user's checkpoint is.
    for path in trained[0].glob('model.ckpt-6.*'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arguments = ('eval_image_classifier.py', f'--checkpoint_path={tmp_path}', f'--dataset_dir={small_records}')
    refused = run_python(*arguments, check=False)
    assert refused.returncode == 1 and '--model_name' in refused.stderr and 'Traceback' not in refused.stderr
    printed = run_python(*arguments, '--model_name=alexnet_v2', '--views=10', '--wait_for_checkpoints',
                         '--wait_timeout_secs=1').stdout
    assert 'with 10 views' in printed and 'No new checkpoint' in printed
    assert json.loads((tmp_path / 'eval' / 'eval_results.json').read_text())['views'] == 10


@pytest.mark.slow
def test_the_first_command_of_the_readme_is_well_above_chance(tmp_path):
    printed = run_python('train_image_classifier.py', f'--train_dir={tmp_path}', timeout=1200).stdout
    last = [row for row in metrics.read(tmp_path) if row['kind'] == 'validation'][-1]
    assert last['accuracy'] >= 0.25 and 'Next: python' in printed
