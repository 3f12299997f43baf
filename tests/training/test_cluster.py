"""Several workers train one network as one process does. Slow tests are in tests/faults/test_cluster.py."""
import itertools
import json
import re
import signal

import numpy as np
import pytest

from alexnet_tf.data import datasets
from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches
from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.training import cluster
from alexnet_tf.training.team import Alone
from tests.helpers import shards, workers
from tests.helpers.commands import call
from tests.helpers.saved import content


def saved(folder):
    return content(checkpoints.find(str(folder)))


def test_two_workers_that_a_signal_to_one_stops_are_one_process(tmp_path):
    """Fifty steps, other numbers of workers and resuming are in the slow tests."""
    two, one = tmp_path / 'two', tmp_path / 'one'
    chief, other = both = workers.start_all(two, 2)
    chief.wait_for('step 22/')
    other.send_signal(signal.SIGTERM)
    for status, printed in workers.ended(both, 60):
        assert status == 143, printed
        step = int(re.search(r'stopped by SIGTERM at step (\d+), which is saved', printed)[1])
        assert 22 <= step <= 25 and 'Traceback' not in printed
    assert step == checkpoints.step_of(checkpoints.find(str(two))) and 'step ' not in printed.split('stopped by')[0]
    workers.alone(one, f'--max_number_of_steps={step}')
    found, expected, before = saved(two), saved(one), content(two / 'model.ckpt-20')
    weights = [name for name in expected if name.startswith(('alexnet_v2/', 'optimizer/m/'))]
    assert set(found) == set(expected) and len(weights) == 32
    for name in weights:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5, err_msg=name)
    assert np.abs(expected['alexnet_v2/fc8/weights'] - before['alexnet_v2/fc8/weights']).max() > 1e-4  # they move
    rows, own = (metrics.read(str(folder))[:23] for folder in (two, one))
    assert [(row['kind'], row['step']) for row in rows] == [(row['kind'], row['step']) for row in own]
    assert {row['kind'] for row in rows} == {'train', 'validation'}
    np.testing.assert_allclose([row['loss'] for row in rows], [row['loss'] for row in own], rtol=1e-4)


# The rows of each worker ---------------------------------------------------------------------------------


def parts(count, number):
    teams = [Alone() for _ in range(count)]
    for index, team in enumerate(teams):
        team.index, team.count = index, count
    return [team.share(number) for team in teams]


@pytest.mark.parametrize('count', [3])
def test_every_example_is_one_workers(tmp_path, count):
    """Of records in one file, which is fewer than the workers."""
    folder = shards.write_split(tmp_path, shards.pictures(range(13)))
    dataset = datasets.open_dataset(str(folder), 'train')

    def batches(rows):
        return list(itertools.islice(TrainingBatches(
            dataset, seed=7, batch_size=12, start_step=2, image_size=14, rows=rows), 3))
    whole, shared = batches(None), [batches(rows) for rows in parts(count, 12)]
    for step, (images, labels) in enumerate(whole):
        for found, expected in ((0, images), (1, labels)):
            np.testing.assert_array_equal(np.concatenate([each[step][found] for each in shared]), expected)
    squares = [image.numpy().tobytes() for part in parts(count, 13) for images, _ in EvaluationBatches(
        dataset, batch_size=2, image_size=14, part=part) for image in images]
    all_squares = [image.numpy().tobytes() for images, _ in EvaluationBatches(dataset, batch_size=13, image_size=14)
                   for image in images]
    assert squares == all_squares and len(squares) == 13


# What names a cluster ------------------------------------------------------------------------------------


@pytest.fixture
def named(monkeypatch):
    """A function of variables that gives the Cluster that they name."""
    for name in ('TF_CONFIG', 'SLURMD_NODENAME', *cluster._SLURM):
        monkeypatch.delenv(name, raising=False)

    def of(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value if isinstance(value, str) else json.dumps(value))
        return cluster.from_environment()
    return of


def test_tf_config_as_cluster_tools_set_it(named):
    jobs = {'chief': ['a:1'], 'worker': ['b:1', 'c:1']}
    assert named(TF_CONFIG={'cluster': jobs, 'task': {'type': 'worker', 'index': 1}, 'environment': 'cloud'}) == (
        cluster.Cluster(('a:1', 'b:1', 'c:1'), 2))
    assert named(TF_CONFIG={'cluster': jobs, 'task': {'type': 'chief', 'index': 0}}).index == 0


@pytest.mark.parametrize('value', [
    '{', '[]', '{}', {'cluster': {'worker': ['a:1']}}, {'cluster': {'worker': ['a:1']}, 'task': {'type': 'worker'}},
    {'cluster': {'worker': ['a:1']}, 'task': {'type': 'worker', 'index': 1}},
    {'cluster': {'worker': ['a:1']}, 'task': {'type': 'chief', 'index': 0}},
    {'cluster': {'worker': ['a:1', 'a:1']}, 'task': {'type': 'worker', 'index': 0}},
    {'cluster': {'worker': ['a:1'], 'ps': ['b:1']}, 'task': {'type': 'worker', 'index': 0}}], ids=str)
def test_what_is_no_cluster_is_refused(named, value):
    with pytest.raises(ValueError, match='TF_CONFIG names no cluster of workers .*it must be as'):
        named(TF_CONFIG=value)


def test_slurm(named):
    variables = {'SLURM_PROCID': '3', 'SLURM_STEP_NUM_TASKS': '4', 'SLURM_STEP_NODELIST': 'n[08-09]',
                 'SLURM_STEP_TASKS_PER_NODE': '2(x2)', 'SLURM_JOB_ID': '70012'}
    found = named(**variables)
    assert found == cluster.Cluster(('n08:20012', 'n08:20013', 'n09:20012', 'n09:20013'), 3)
    assert named(SLURMD_NODENAME='n09') == found
    with pytest.raises(ValueError, match='task 3 runs on n08, but tf.distribute expects it on n09'):
        named(SLURMD_NODENAME='n08')
    with pytest.raises(ValueError, match='the variables of Slurm name no cluster'):
        named(SLURM_STEP_TASKS_PER_NODE='many')


def test_a_cluster_that_nobody_asked_for_is_not_ignored(named, tmp_path):
    with pytest.raises(ValueError, match='neither TF_CONFIG nor Slurm names one'):
        named()
    with pytest.raises(ValueError, match='TF_CONFIG names no'):
        named(TF_CONFIG={'cluster': {'worker': ['a:1', 'b:1']}})
    for arguments, message in (
            ([], 'TF_CONFIG names a cluster of 2 processes; train on it with --strategy=multi_worker'),
            (['--strategy=one_device', '--num_clones=2'], '--num_clones is for mirrored and multi_worker'),
            (['--strategy=mirrored'], 'it needs --num_clones'),
            (['--strategy=multi_worker', '--num_clones=2', '--clone_on_cpu'], 'a worker has one device on a CPU'),
            (['--cluster_timeout_secs=5'], '--cluster_timeout_secs has no effect with --strategy=None')):
        result = call('train_image_classifier', f'--train_dir={tmp_path}', *arguments)
        assert result.returncode == 1 and message in result.stderr, result.stderr


def test_a_batch_that_does_not_divide_is_refused():
    cluster.check_batch(24, 3, 4)
    with pytest.raises(ValueError, match='--batch_size=20 .* 3 workers with --num_clones=4; give a multiple of 12'):
        cluster.check_batch(20, 3, 4)
