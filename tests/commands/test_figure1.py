"""figure1: a race on a few records that is stopped within an epoch and goes on, what it writes, what it refuses."""
import json
import os
import re
import signal

import numpy as np
import pytest

from alexnet_tf.figure_one import examples
from alexnet_tf.run_folder import lock
from nets import slim_checkpoints
from tests.helpers.commands import call


def figure1(records, folder, *arguments):
    return call('alexnet_tf.figure1', f'--dataset_dir={records}', f'--output_dir={folder}', '--rates=0.003',
                '--batch_size=16', *arguments)


def weights(folder, step):
    reader = slim_checkpoints.read(str(folder / f'model.ckpt-{step}'))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def stopping_at(stop):
    """Batches of the Examples, with a signal to this process before that of step `stop`."""
    whole = examples.Examples.batches

    def batches(self, *, step, **how):
        for number, batch in enumerate(whole(self, step=step, **how), step):
            if number == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch
    return batches


def test_a_race_that_is_stopped_goes_on_to_the_bit(small_records, tmp_path, monkeypatch):
    pytest.importorskip('matplotlib')
    whole = figure1(small_records, tmp_path / 'whole', '--max_epochs=2')
    assert whole.returncode == 0, whole.stderr
    lines = whole.stdout.splitlines()
    assert [re.sub(r'[\d.]+ %', '… %', line) for line in lines[:4]] == [
        f'{activation}, rate 0.003, epoch {epoch} of at most 2: … % training error'
        for activation in ('relu', 'tanh') for epoch in (1, 2)]
    assert lines[4].startswith('ReLU: 25 % training error was not reached')
    with monkeypatch.context() as patch:
        patch.setattr(examples.Examples, 'batches', stopping_at(4))  # an epoch has 3 steps
        stopped = figure1(small_records, tmp_path / 'one', '--max_epochs=2')
    assert stopped.returncode == 128 + signal.SIGTERM
    again = figure1(small_records, tmp_path / 'one', '--max_epochs=2')
    assert again.returncode == 0 and 'relu, rate 0.003, epoch 1' not in again.stdout, again.stderr
    assert 'Resuming from' in again.stdout
    results = [json.loads((tmp_path / name / 'results.json').read_text())['curves'] for name in ('whole', 'one')]
    assert results[0] == results[1] and [len(curve) for of_rates in results[0].values()
                                         for curve in of_rates.values()] == [2, 2]
    for name in ('relu-0.003', 'tanh-0.003'):
        one, other = (weights(tmp_path / folder / name, 6) for folder in ('whole', 'one'))
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    lines = (tmp_path / 'one' / 'figure1.csv').read_text().splitlines()
    assert [line.rpartition(',')[0] for line in lines[1:]] == [
        'relu,0.003,1', 'relu,0.003,2', 'tanh,0.003,1', 'tanh,0.003,2']
    assert (tmp_path / 'one' / 'figure1.png').read_bytes()[:4] == b'\x89PNG'
    with lock.hold(str(tmp_path / 'one')):
        refused = figure1(small_records, tmp_path / 'one')
        assert refused.returncode == 1 and f'--output_dir={tmp_path / "one"} is in use by process' in refused.stderr
    refused = figure1(small_records, tmp_path / 'one', '--seed=1')
    assert refused.returncode == 1 and 'is of other settings' in refused.stderr
    (tmp_path / 'one' / 'results.json').unlink()
    refused = figure1(small_records, tmp_path / 'one')
    assert refused.returncode == 1 and 'has a checkpoint of step 6, which is after epoch 1' in refused.stderr


@pytest.mark.parametrize('curves', [[], {'relu': []}, {'relu': {'0.003': [None, 5.0]}}, {'relu': {'0.003': ['x']}}])
def test_damaged_results_are_refused(curves, small_records, tmp_path):
    pytest.importorskip('matplotlib')
    settings = {'dataset_dir': str(small_records), 'batch_size': 16, 'seed': 0}
    (tmp_path / 'results.json').write_text(json.dumps({'settings': settings, 'curves': curves}))
    result = figure1(small_records, tmp_path)
    assert result.returncode == 1 and 'training errors by activation and rate' in result.stderr


def test_what_results_json_has_is_not_trained_again(small_records, tmp_path):
    pytest.importorskip('matplotlib')
    settings = {'dataset_dir': str(small_records), 'batch_size': 16, 'seed': 0}
    curves = {'relu': {'0.003': [50.0, 20.0], '1': [90.0, None]}, 'tanh': {'0.003': [60.0, 20.0], '1': [90.0, None]}}
    (tmp_path / 'results.json').write_text(json.dumps({'settings': settings, 'curves': curves}))
    result = figure1(small_records, tmp_path, '--rates=3e-3,1.0')
    assert result.returncode == 0 and 'epoch' not in result.stdout.partition('ReLU')[0], result.stderr
    assert 'ReLU: 25 % training error after 1.8 epochs, at the rate 0.003.' in result.stdout
    assert 'tanh takes 1.0 times as many epochs; the paper says six times.' in result.stdout
    assert 'tanh,1,2,not finite' in (tmp_path / 'figure1.csv').read_text()
