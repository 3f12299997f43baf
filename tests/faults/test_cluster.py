"""Clusters of two and four workers that are killed, stopped, late, cut off: all slow. The quick test of a cluster is in
tests/training/test_cluster.py.
"""
import contextlib
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from alexnet_tf.data import datasets
from alexnet_tf.run_folder import checkpoints, metrics
from tests.helpers import workers
from tests.helpers.saved import content
from tests.helpers.small_processes import Started

pytestmark = pytest.mark.slow
SPEEDS = 'examples_per_sec', 'input_wait'
ENDS = 60  # seconds within which the others must end
GONE = r'does not answer any more'
KILLS = '--save_interval_secs=0', '--validate_every_n_steps=5', '--max_number_of_steps=60'
# (worker, moment): of a run that saves after every step and validates every fifth.
PLACED = [(0, moment) for moment in (
    'tensors:7', 'tensors:7:after', 'sync:31', 'manifest:9', 'rename:20', 'state:12', 'state:12:after',
    'removal:4:after',
    'best:1', 'link:1:after', 'validation:2', 'validation:2:after')] + [(1, 'validation:2'), (1, 'validation:3:after')]


def left_by(folder):
    """What a run leaves: its rows but for the speeds, all that its last checkpoint holds, and the best weights.

    A validation that a signal ended is made again; the best checkpoint may then be that from before it.
    """
    rows = [{name: value for name, value in row.items() if name not in SPEEDS} for row in metrics.read(str(folder))]
    last, best = ({name: value.tobytes() for name, value in content(checkpoints.find(str(path))).items()}
                  for path in (folder, folder / 'best'))
    return rows, last, {name: value for name, value in best.items() if name.startswith(('alexnet_v2/', 'optimizer/'))}


def check_others_end(others, since):
    for status, printed in workers.ended(others, ENDS):
        last = printed.splitlines()[-1]
        assert status == 1 and GONE in last and 'Traceback' not in printed, printed
    assert time.monotonic() - since < ENDS


@pytest.mark.parametrize('count', [2, 4])
def test_the_same_cluster_twice_and_one_process(tmp_path, count):
    """All records are in one file, which is less than the workers."""
    for name in ('one', 'again'):
        workers.finish(tmp_path / name, count)
    assert left_by(tmp_path / 'one') == left_by(tmp_path / 'again')
    workers.alone(tmp_path / 'alone')
    alone, found = (content(checkpoints.find(str(tmp_path / name))) for name in ('alone', 'one'))
    for name in set(alone) - {'optimizer/learning_rate'}:
        np.testing.assert_allclose(found[name], alone[name], rtol=0, atol=1e-5, err_msg=name)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """What a cluster of two leaves that nobody disturbs."""
    folder = tmp_path_factory.mktemp('undisturbed')
    workers.finish(folder, 2, *KILLS)
    return left_by(folder)


@pytest.mark.parametrize(('victim', 'moment'), PLACED)
def test_killed_in_a_save_and_in_a_validation(tmp_path, undisturbed, victim, moment):
    both = workers.start_all(tmp_path, 2, *KILLS, deaths={victim: moment})
    printed = both[victim].communicate()
    since = time.monotonic()
    assert both[victim].returncode == -signal.SIGKILL, f'{moment} was not reached:\n{printed}'
    check_others_end([both[1 - victim]], since)
    workers.finish(tmp_path, 2, *KILLS)
    assert left_by(tmp_path) == undisturbed


def test_twenty_kills(tmp_path, undisturbed):
    """At random moments of a run that saves after every step and validates every fifth; every fourth at the start."""
    run, kills, moments = 0, 0, []
    random.seed(0)
    while kills < 20:
        folder = tmp_path / str(run)
        both = workers.start_all(folder, 2, *KILLS)
        if kills % 4:
            both[0].wait_for(', epoch ')
        victim = kills % 2
        try:
            both[victim].wait(random.uniform(0, 4 if kills % 4 else 8))
        except subprocess.TimeoutExpired:
            both[victim].kill()
            since, kills = time.monotonic(), kills + 1
            both[victim].communicate()
            check_others_end([both[1 - victim]], since)
            moments.append((victim, checkpoints.find(str(folder)), round(time.monotonic() - since, 1)))
        else:
            workers.check_ended(both)
            assert left_by(folder) == undisturbed
            shutil.rmtree(folder)
            run += 1
    print(moments)
    workers.finish(folder, 2, *KILLS)
    assert left_by(folder) == undisturbed


@pytest.mark.parametrize('victim', [0, 1])
def test_a_worker_that_hangs(tmp_path, victim):
    both = workers.start_all(tmp_path, 2, '--max_number_of_steps=5000')
    both[0].wait_for('step 10/')
    both[victim].send_signal(signal.SIGSTOP)
    check_others_end([both[1 - victim]], time.monotonic())
    both[victim].kill()
    both[victim].communicate()


def test_twenty_preemptions(tmp_path):
    """SIGTERM to one worker, also while it validates: all save and end with 143; the end is that of the whole run."""
    arguments = '--validate_every_n_steps=5', '--max_number_of_steps=60'
    workers.finish(tmp_path / 'whole', 2, *arguments)
    expected, run = left_by(tmp_path / 'whole'), 0
    for number in range(20):
        folder = tmp_path / str(run)
        both = workers.start_all(folder, 2, *arguments)
        saved = checkpoints.find(str(folder))
        after = (checkpoints.step_of(saved) if saved else 0) + 1 + number % 7
        if after >= 58:
            workers.check_ended(both)
            assert left_by(folder) == expected
            run += 1
            continue
        both[0].wait_for(f'step {after}/60')
        both[number % 2].send_signal(signal.SIGTERM)
        workers.check_ended(both, 143)
        assert after <= checkpoints.step_of(checkpoints.find(str(folder))) <= after + 3
    workers.finish(folder, 2, *arguments)
    assert left_by(folder) == expected


def test_a_loss_that_is_not_finite(tmp_path):
    both = workers.start_all(tmp_path, 2, '--learning_rate=1e20', '--save_interval_secs=0')
    for status, printed in workers.ended(both):
        assert status == 1 and 'Lower --learning_rate' in printed and 'Traceback' not in printed, printed


def test_late_missing_and_other_workers(tmp_path):
    addresses = workers.free_addresses(2)
    chief = workers.start(tmp_path / 'late', 0, addresses, '--max_number_of_steps=2')
    time.sleep(30)
    late = workers.start(tmp_path / 'late', 1, addresses, '--max_number_of_steps=2')
    (status, printed), other = workers.ended([chief, late])
    assert (status, other[0]) == (0, 0) and f'Waiting for worker 1 ({addresses[1]}).' in printed

    alone = workers.start(tmp_path / 'alone', 1, workers.free_addresses(2), '--cluster_timeout_secs=5')
    status, printed = workers.ended([alone], ENDS)[0]
    assert status == 1 and 'worker 0 (127.0.0.2:' in printed and 'did not come within' in printed, printed

    for other, said in (('--seed=7', '--seed 7,'), ('--dataset_split_name=validation', '--dataset_split_name')):
        addresses = workers.free_addresses(2)
        both = [workers.start(tmp_path / 'other', 0, addresses), workers.start(tmp_path / 'other', 1, addresses, other)]
        for status, printed in workers.ended(both, ENDS):
            assert status == 1 and f'worker 1 ({addresses[1]}) has {said}' in printed, printed


def test_another_data_set_is_refused(tmp_path, small_records):
    addresses = workers.free_addresses(2)
    both = [workers.start(tmp_path / 'run', 0, addresses, f'--dataset_dir={small_records}'),
            workers.start(tmp_path / 'run', 1, addresses, f'--dataset_dir={datasets.SAMPLE_DIR}')]
    for status, printed in workers.ended(both, ENDS):
        assert status == 1 and f'worker 1 ({addresses[1]}) has a training set of 2000 records' in printed, printed


def test_on_another_number_of_workers(tmp_path):
    workers.finish(tmp_path, 2, '--max_number_of_steps=5')
    printed = workers.finish(tmp_path, 1, '--max_number_of_steps=10')[0]
    assert 'Changed since the run was started: ' in printed and 'workers: 1 (was 2)' in printed
    assert 'model.ckpt-5.' in printed


@contextlib.contextmanager
def two_machines():
    """Two network namespaces with a link between them; gives a function that cuts it (True) and mends it (False)."""
    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f'{" ".join(command)}: {done.stderr.strip()}')

    def cut(down):
        for number in (0, 1):
            rule = ['tc', '-n', f'cluster{number}', 'qdisc', 'add' if down else 'del', 'dev', f'link{number}', 'root']
            run(*rule, *(['pfifo', 'limit', '0'] if down else []))  # a queue with no place: every packet is lost
    for name in ('ip', 'tc'):
        if not shutil.which(name):
            pytest.skip(f'{name} is not installed')
    try:
        for number in (0, 1):
            run('ip', 'netns', 'add', f'cluster{number}')
        run('ip', 'link', 'add', 'link0', 'netns', 'cluster0', 'type', 'veth', 'peer', 'name', 'link1', 'netns',
            'cluster1')
        for number in (0, 1):
            run('ip', '-n', f'cluster{number}', 'addr', 'add', f'10.77.0.{number + 1}/24', 'dev', f'link{number}')
            run('ip', '-n', f'cluster{number}', 'link', 'set', f'link{number}', 'up')
            run('ip', '-n', f'cluster{number}', 'link', 'set', 'lo', 'up')
        yield cut
    finally:
        for number in (0, 1):
            subprocess.run(['ip', 'netns', 'del', f'cluster{number}'], capture_output=True, check=False)


@pytest.mark.parametrize('seconds', [5, 20, 50])
def test_a_link_is_cut(tmp_path, seconds):
    """The run goes on, or both workers end with the sentence; started again it ends as the undisturbed one."""
    addresses = ['10.77.0.1:2222', '10.77.0.2:2222']
    arguments = '--max_number_of_steps=300', '--save_interval_secs=1', '--validate_every_n_steps=100'

    def start():
        return [Started('train_image_classifier', '--strategy=multi_worker', f'--train_dir={tmp_path / "cut"}',
                        *workers.FLAGS, *arguments, module='narrow',
                        environment=workers.tf_config(addresses, number) | {'NETWORK': f'cluster{number}'})
                for number in (0, 1)]
    with two_machines() as cut:
        both = start()
        both[0].wait_for('step 10/')
        cut(True)
        since = time.monotonic()
        time.sleep(seconds)
        cut(False)
        results = workers.ended(both, ENDS + 120)
        statuses = [status for status, _ in results]
        print(seconds, 'seconds:', statuses, round(time.monotonic() - since), 'seconds later')
        assert statuses in ([0, 0], [1, 1])
        if statuses == [1, 1]:
            assert all(GONE in printed.splitlines()[-1] for _, printed in results)
            workers.check_ended(start())
    workers.finish(tmp_path / 'whole', 2, *arguments)
    assert left_by(tmp_path / 'cut') == left_by(tmp_path / 'whole')
