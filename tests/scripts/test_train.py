"""train_image_classifier.py with narrow networks: what a run leaves, resuming, warm starts, several devices."""
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.run_folder import metrics
from tests.helpers.commands import call, messages_of
from tests.helpers.processes import NARROW, run_python
from tests.scripts.conftest import TRAIN, losses


def tensors(path):
    """{name: array} of a checkpoint, or of the latest in a folder."""
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


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


def test_a_batch_larger_than_the_training_set_is_noted(small_records, tmp_path, narrow):
    for size, notes in (48, 0), (49, 1):
        printed = call('train_image_classifier', f'--dataset_dir={small_records}', f'--train_dir={tmp_path}/{size}',
                       f'--batch_size={size}', '--max_number_of_steps=0', check=True).stdout
        assert printed.count(f'Note: a batch of {size} is more than the 48 training images') == notes


@pytest.mark.slow
def test_two_devices_give_the_numbers_of_one(trained, small_records, tmp_path):
    # Dropout, noise, loss and decay included. Sums in another order differ by 1e-7, which a larger learning
    # rate amplifies within a few steps wherever it turns a max pooling or a ReLU over.
    run_python(*NARROW, 'train_image_classifier', *TRAIN, '--max_number_of_steps=3',
               f'--dataset_dir={small_records}', f'--train_dir={tmp_path}', '--num_clones=2', '--clone_on_cpu')
    np.testing.assert_allclose(losses(tmp_path), losses(trained[0])[:3], rtol=1e-5)
    expected = tensors(trained[0] / 'model.ckpt-3')
    for name, value in tensors(tmp_path).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, rtol=1e-5, err_msg=name)


def test_resuming_takes_precedence_over_a_warm_start_and_a_finished_run_says_so(trained, small_records):
    folder, _ = trained
    printed = call('train_image_classifier', *TRAIN, '--max_number_of_steps=6', f'--dataset_dir={small_records}',
                   f'--train_dir={folder}', '--checkpoint_path=/nowhere', check=True).stdout
    assert 'Resuming from' in printed and '--checkpoint_path=/nowhere is not used' in printed
    assert 'is trained to step 6 already' in printed
    assert [step for step, _ in losses(folder)] == [1, 2, 3, 4, 5, 6]


def test_resuming_with_other_flags_is_refused_with_both_values(trained, small_records, monkeypatch):
    cases = {'--optimizer=adam': 'was started with --optimizer=momentum, not adam',
             '--learning_rate_decay_type=plateau': 'another network, optimizer, schedule',
             '--batch_size=4': '--batch_size=8, not 4; choose another --train_dir .*--allow_changes=batch_size\\.',
             '--seed=3': 'was started with --seed=0, not 3; ',
             '--precision=bfloat16': '--precision=float32, not bfloat16; ',
             f'--dataset_dir={datasets.SAMPLE_DIR}': 'a training set of 48 rec.*, not 2000 rec.*_changes=dataset\\.',
             '--model_name=alexnet': "holds a run with model_name 'alexnet_v2', not 'alexnet'; no flag allows that"}
    common = [*TRAIN, '--max_number_of_steps=6', f'--dataset_dir={small_records}', f'--train_dir={trained[0]}']
    messages = messages_of('train_image_classifier', [[*common, flag] for flag in cases])
    for reason, message in zip(cases.values(), messages):
        assert re.search(reason, message), message
    monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '0')
    printed = call('train_image_classifier', *common, f'--dataset_dir={datasets.SAMPLE_DIR}',
                   '--allow_changes=dataset', check=True).stdout
    assert ', oneDNN: off (was on)' in printed
    assert 'Changed since the run was started: --dataset_dir=' in printed and 'a training set of 2000 rec' in printed
    assert 'on 2000 images' in printed and 'is trained to step 6 already' in printed


def test_warm_start_loads_all_but_excluded_scopes_and_trains_only_trainable_ones(trained, small_records, tmp_path):
    source = trained[0] / 'model.ckpt-6'
    printed = call(
        'train_image_classifier', *TRAIN, '--max_number_of_steps=2', f'--dataset_dir={small_records}',
        f'--train_dir={tmp_path}', f'--checkpoint_path={source}', '--checkpoint_exclude_scopes=alexnet_v2/fc8',
        '--trainable_scopes=alexnet_v2/fc8,alexnet_v2/fc7/biases', '--validation_split_name=', check=True).stdout
    assert 'Warm start: 14 variables' in printed
    before, after = tensors(trained[0]), tensors(tmp_path)
    for name in before:
        if name.startswith('alexnet_v2/'):
            trained_here = name.startswith('alexnet_v2/fc8') or name == 'alexnet_v2/fc7/biases'
            assert np.array_equal(before[name], after[name]) != trained_here, name
