"""Runs that are killed, inside a save too, stopped by signals, started twice: nothing is lost, nothing comes twice."""
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from alexnet_tf.run_folder import checkpoints, metrics
from tests.helpers.processes import ROOT

STEPS = 40
# Of the 40 steps each saves once; best is written at steps 10 to 40 where the accuracy rises.
INSIDE_A_SAVE = ['tensors:7', 'tensors:7:after', 'sync:30', 'sync:31', 'sync:32', 'sync:33:after', 'manifest:9',
                 'manifest:9:after', 'rename:20', 'rename:21', 'rename:22:after', 'state:12', 'state:12:after',
                 'removal:3', 'removal:4:after', 'best:1', 'link:1:after', 'link:2:after', 'best:1:after']


def start(folder, *arguments, **kwargs):
    return subprocess.Popen([sys.executable, '-m', 'tests.helpers.small_run', str(folder), *arguments], cwd=ROOT,
                            **{'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True} | kwargs)


def finish(folder, *arguments):
    """What a run that goes to its end prints; its exit status must be 0."""
    process = start(folder, *arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def hash_in(output):
    return re.search(r'^hash (\w{64})$', output, re.M)[1]


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """(hash, rows of metrics.jsonl less the speeds) of the run that nobody disturbs."""
    folder = tmp_path_factory.mktemp('uninterrupted')
    return hash_in(finish(folder)), rows(folder)


def rows(folder):
    return [{name: row[name] for name in ('kind', 'step', 'loss')} for row in metrics.read(str(folder))]


def check_whole(folder, output, uninterrupted):
    expected_hash, expected_rows = uninterrupted
    assert hash_in(output) == expected_hash
    assert rows(folder) == expected_rows
    best = checkpoints.find(os.path.join(folder, 'best'))
    assert best and checkpoints.damage(best) is None
    strays = [name for name in os.listdir(folder) if 'partial' in name or 'tempstate' in name]
    assert not strays
    assert len(list(folder.glob('*.index'))) == checkpoints.KEPT


def kill_inside_a_save(folder, stages):
    for stage in stages:
        process = start(folder, f'--die_at={stage}')
        output, _ = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, f'{stage} was not reached:\n{output}'


def test_killed_inside_a_save(tmp_path, uninterrupted):
    # The counts are of calls in one process: each starts again from what the one before saved.
    kill_inside_a_save(tmp_path, ['sync:9', 'state:4:after'])
    check_whole(tmp_path, finish(tmp_path), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize('stage', INSIDE_A_SAVE)
def test_killed_at_every_stage_of_a_save(tmp_path, uninterrupted, stage):
    kill_inside_a_save(tmp_path, [stage])
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
        process = start(folder, *arguments)
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


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f'the process ended before it said {text!r}')


def stop_at(folder, step, number, *arguments):
    process = start(folder, '--pause=0.05', *arguments,
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # nohup would have it ignored
    wait_for(process, f'step {step}/')
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, output
    assert f'stopped by {number.name} at step' in output and 'the same command goes on from there' in output
    assert 'Traceback' not in output
    saved = checkpoints.step_of(checkpoints.find(str(folder)))
    assert int(re.search(r'at step (\d+)', output)[1]) == saved and step <= saved <= step + 3


def test_nobody_reads_what_is_printed_any_more(tmp_path):
    """As when the program behind | has ended: what was learned is saved; a signal at the same time keeps its status."""
    for folder, number, status in ((tmp_path / 'alone', None, 1), (tmp_path / 'signal', signal.SIGINT, 130)):
        process = start(folder, '--pause=0.5', '--save_secs=1000', stderr=subprocess.DEVNULL)
        wait_for(process, 'step 3/')
        process.stdout.close()
        if number:
            process.send_signal(number)
        assert process.wait(60) == status
        saved = checkpoints.step_of(checkpoints.find(str(folder)))
        assert 3 <= saved <= 5 and [row['step'] for row in rows(folder)] == list(range(1, saved + 1))


def test_a_signal_before_training_ends_the_process_at_once(tmp_path):
    process = start(tmp_path)
    while not (tmp_path / 'lock').exists():  # the network is made after the lock is taken
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 143 and 'Traceback' not in output, output
    assert 'stopped by SIGTERM outside of training; the same command goes on' in output and 'step 1/' not in output


def test_signals_and_a_second_trainer(tmp_path, uninterrupted):
    stop_at(tmp_path, 5, signal.SIGTERM)
    stop_at(tmp_path, 10, signal.SIGINT)  # step 10 has a validation
    first = start(tmp_path, '--pause=3')
    wait_for(first, 'step ')
    second = start(tmp_path)
    output = second.communicate(timeout=60)[0]
    assert second.returncode == 1 and f'is in use by process {first.pid} on ' in output, output
    first.kill()  # its lock goes with it
    first.communicate()
    check_whole(tmp_path, finish(tmp_path), uninterrupted)


def test_a_signal_while_storage_stalls(tmp_path):
    process = start(tmp_path, '--save_secs=1000', '--stall_at=100', '--steps=1000')
    deadline = time.monotonic() + 60
    while len(metrics.read(str(tmp_path))) < 5 and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    try:
        output = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 143 and 'which is saved' in output, output
    assert checkpoints.find(str(tmp_path))


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
        process, which = start(folder, '--pause=0.05'), (signal.SIGTERM, signal.SIGINT)[number % 2]
        wait_for(process, 'step 7/')
        process.send_signal(which)
        time.sleep(0.01 * number)
        process.send_signal(which)
        process.communicate(timeout=60)
        assert process.returncode in (-which, 128 + which)
        check_whole(folder, finish(folder), uninterrupted)


@pytest.mark.slow
def test_a_second_trainer_is_refused_every_time(tmp_path):
    first = start(tmp_path, '--pause=2', '--steps=1000')
    wait_for(first, 'step ')
    for _ in range(10):
        second = start(tmp_path)
        assert 'is in use by process' in second.communicate(timeout=60)[0] and second.returncode == 1
    first.kill()
    first.communicate()
