"""Runs that are killed, inside a save too, stopped by signals, started twice, refused memory: nothing is lost, nothing
comes twice.
"""
import os
import random
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from alexnet_tf.data import datasets
from alexnet_tf.run_folder import checkpoints
from tests.faults.conftest import rows
from tests.helpers.small_processes import Started, finish, hash_in

# Of the 40 steps each saves once; best is written at steps 10 to 40 where the accuracy rises.
INSIDE_A_SAVE = ['tensors:7', 'tensors:7:after', 'sync:30', 'sync:31', 'sync:32', 'sync:33:after', 'manifest:9',
                 'manifest:9:after', 'rename:20', 'rename:21', 'rename:22:after', 'state:12', 'state:12:after',
                 'removal:2', 'removal:4:after', 'best:1', 'link:1:after', 'link:2:after', 'best:1:after']


def check_whole(folder, printed, uninterrupted):
    expected_hash, expected_rows = uninterrupted
    assert hash_in(printed) == expected_hash
    assert rows(folder) == expected_rows
    best = checkpoints.find(os.path.join(folder, 'best'))
    assert best and checkpoints.damage(best) is None
    strays = [name for name in os.listdir(folder) if 'partial' in name or 'tempstate' in name]
    assert not strays
    assert len(list(folder.glob('*.index'))) == checkpoints.KEPT


def kill_inside_a_save(folder, stage):
    process = Started(folder, f'--die_at={stage}')
    printed = process.communicate()
    assert process.returncode == -signal.SIGKILL, f'{stage} was not reached:\n{printed}'


def check_stopped(process, number):
    """It ends by a signal that was sent, and says where; returns the step."""
    printed = process.communicate(timeout=60)
    assert process.returncode == 128 + number, printed
    assert f'stopped by {number.name} at step' in printed and 'the same command goes on from there' in printed
    assert 'Traceback' not in printed
    return int(re.search(r'at step (\d+), which is saved', printed)[1])


def saved_step(folder):
    return checkpoints.step_of(checkpoints.find(str(folder)))


def stop_at(folder, step, number, *arguments):
    process = Started(folder, '--pause=0.05', *arguments)
    process.wait_for(f'step {step}/')
    process.send_signal(number)
    assert step <= check_stopped(process, number) == saved_step(folder) <= step + 3


def refuse_a_second_one_and_stop_where_storage_stalls(folder):
    first = Started(folder, '--save_secs=1000', '--stall_at=100')
    first.wait_for('stalled')
    second = Started(folder)
    printed = second.communicate(timeout=60)
    assert second.returncode == 1 and f'is in use by process {first.pid} on ' in printed, printed
    time.sleep(1)  # for the batches that were read before
    first.send_signal(signal.SIGTERM)
    assert check_stopped(first, signal.SIGTERM) == saved_step(folder)


def refuse_a_write(folder):
    """The system refuses it in the middle of a checkpoint, as a full disk or a quota does."""
    last = Path(checkpoints.find(str(folder)))
    before = {path: path.read_bytes() for path in folder.glob(f'{last.name}.*')}
    process = Started(folder, f'--largest_file={max(map(len, before.values())) // 2}')
    printed = process.communicate()
    assert process.returncode == 1 and 'cannot write the checkpoint' in printed and 'Traceback' not in printed, printed
    assert {path: path.read_bytes() for path in before} == before
    assert checkpoints.find(str(folder)) == str(last)
    assert not list(folder.glob(f'model.ckpt-{saved_step(folder) + 1}.*'))


def close_the_pipe(folder, step, number=None):
    """As when the program behind | ends: what was learned is saved; a signal at the same time keeps its status."""
    process = Started(folder, '--pause=0.4', '--save_secs=1000')
    process.wait_for(f'step {step}/')
    process.stdout.close()
    if number:
        process.send_signal(number)
    assert process.wait(60) == (128 + number if number else 1)
    assert step <= saved_step(folder) <= step + 2


def test_a_run_to_which_everything_happens_is_the_one_that_nobody_disturbs(tmp_path, uninterrupted):
    refuse_a_second_one_and_stop_where_storage_stalls(tmp_path)
    kill_inside_a_save(tmp_path, 'sync:7')  # the seventh of this process
    refuse_a_write(tmp_path)
    close_the_pipe(tmp_path, 12)
    close_the_pipe(tmp_path, 17, signal.SIGINT)
    check_whole(tmp_path, finish(tmp_path), uninterrupted)


def test_a_signal_before_training_ends_the_process_before_a_step(tmp_path):
    process = Started(tmp_path)
    while not (tmp_path / 'lock').exists():  # the network is made after the lock is taken
        assert process.returncode is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    printed = process.communicate(timeout=60)
    assert process.returncode == 143, printed
    # On a busy machine the signal may come when training is about to begin.
    assert re.fullmatch('small_run: stopped by SIGTERM (outside of training|before the first step); the same command '
                        'goes on from .*', printed.splitlines()[-1]), printed
    assert 'Traceback' not in printed and 'step 1/' not in printed, printed


@pytest.mark.slow
@pytest.mark.parametrize('stage', INSIDE_A_SAVE)
def test_killed_at_every_stage_of_a_save(tmp_path, uninterrupted, stage):
    kill_inside_a_save(tmp_path, stage)
    check_whole(tmp_path, finish(tmp_path), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_killed_at_random_moments(tmp_path, clones):
    arguments = ['--pause=0.05', f'--num_clones={clones}']
    whole = tmp_path / 'whole'
    expected = hash_in(finish(whole, *arguments)), rows(whole)
    random.seed(clones)
    run, kills, in_training = 0, 0, 0
    while kills < 50:
        folder = tmp_path / str(run)
        process = Started(folder, *arguments)
        # Every fifth at any moment, of starting and going on from a checkpoint too.
        trains = kills % 5 and next((line for line in process.stdout if 'step ' in line or 'hash' in line), None)
        try:
            process.wait(random.uniform(0, 3))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
            in_training += bool(trains)
            process.communicate()
        else:
            run += 1
            process.communicate()
            check_whole(folder, finish(folder, *arguments), expected)
    assert in_training >= 25
    check_whole(folder, finish(folder, *arguments), expected)


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_twenty_signals_lose_nothing(tmp_path, clones):
    arguments = [f'--num_clones={clones}']
    whole = tmp_path / 'whole'
    expected = hash_in(finish(whole, *arguments)), rows(whole)
    for number in range(20):
        folder = tmp_path / str(number)
        stop_at(folder, 1 + number * 7 % 30, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[number % 3], *arguments)
        check_whole(folder, finish(folder, *arguments), expected)


@pytest.mark.slow
def test_a_second_signal_during_the_save(tmp_path, uninterrupted):
    for number in range(10):
        folder = tmp_path / str(number)
        process, which = Started(folder, '--pause=0.05'), (signal.SIGTERM, signal.SIGINT)[number % 2]
        process.wait_for('step 7/')
        process.send_signal(which)
        time.sleep(0.01 * number)
        process.send_signal(which)
        process.communicate(timeout=60)
        assert process.returncode in (-which, 128 + which)
        check_whole(folder, finish(folder), uninterrupted)


@pytest.mark.slow
def test_a_second_trainer_is_refused_every_time(tmp_path):
    first = Started(tmp_path, '--pause=2', '--steps=1000')
    first.wait_for('step ')
    for _ in range(10):
        second = Started(tmp_path)
        assert 'is in use by process' in second.communicate(timeout=60) and second.returncode == 1
    first.kill()
    first.communicate()


def test_memory_that_is_short_is_called_so(tmp_path):
    """While it trains, the system refuses it all further memory. TensorFlow's own message says nothing of use."""
    process = Started(tmp_path, '--steps=1000000', '--save_secs=1000', '--validate_every=1000000')
    process.wait_for('step 3/')
    resource.prlimit(process.pid, resource.RLIMIT_AS, (2 ** 20, resource.RLIM_INFINITY))
    printed = process.communicate(timeout=60)
    *_, last = printed.splitlines()
    assert process.returncode == 1 and last == (
        'small_run: out of memory; free some, or lower --batch_size where there is one. It ran out while records of '
        f'{datasets.SAMPLE_DIR} were read.'), printed
    assert 'Traceback' not in printed
