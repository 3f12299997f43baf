"""Damaged checkpoints, full disks, numbers that break: detected, and the run goes on from what is whole."""
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.training import loop
from alexnet_tf.training.saver import Saver
from alexnet_tf.training.start import restore
from nets import slim_checkpoints
from tests.helpers import small_run
from tests.helpers.processes import ROOT

RANDOM = np.random.default_rng(0)


def three_checkpoints(folder):
    """Folder with model.ckpt-1 to -3; returns {step: {name: array}}."""
    contents = {}
    for step in (1, 2, 3):
        contents[step] = {'a/weights': RANDOM.normal(size=[40, 50]).astype(np.float32), 'global_step': np.int64(step)}
        checkpoints.save(str(folder), step, {name: tf.constant(value) for name, value in contents[step].items()})
    return contents


def content(path):
    reader = slim_checkpoints.read(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def check_after_damage(folder, contents, what):
    """The newest is detected as damaged, with one warning, or is what it was to the bit."""
    warnings = []
    path = checkpoints.find_intact(str(folder), warnings.append)
    step = checkpoints.step_of(path)
    assert (step, len(warnings)) in ((3, 0), (2, 1)), (what, path, warnings)
    for name, value in content(path).items():
        np.testing.assert_array_equal(value, contents[step][name], err_msg=what)
    return step


@pytest.mark.parametrize('kind', ['index', 'data-00000-of-00001', 'manifest.json'])
def test_a_flipped_byte_or_a_cut_off_file(tmp_path, kind):
    folder, broken = tmp_path / 'whole', tmp_path / 'broken'
    contents = three_checkpoints(folder)
    path = f'model.ckpt-3.{kind}'
    original, detected = (folder / path).read_bytes(), 0
    shutil.copytree(folder, broken)
    random.seed(kind)
    for number in range(120):
        damaged = bytearray(original)
        where = random.randrange(len(original))
        if number % 2:
            damaged[where] ^= 1 << random.randrange(8)
        else:
            del damaged[where:]
        (broken / path).write_bytes(damaged)
        detected += check_after_damage(broken, contents, f'{kind}, case {number} at byte {where}') == 2
    assert detected >= (100 if kind == 'manifest.json' else 120)  # a manifest's blanks mean nothing


def test_the_state_file_may_say_anything(tmp_path):
    contents = three_checkpoints(tmp_path)
    original = (tmp_path / 'checkpoint').read_bytes()
    for number in range(100):
        damaged = bytearray(original)
        damaged[RANDOM.integers(len(damaged))] ^= 1 << RANDOM.integers(8)
        (tmp_path / 'checkpoint').write_bytes(damaged[:len(damaged) - number % 3 * 7])
        assert check_after_damage(tmp_path, contents, f'case {number}') == 3


def test_all_damaged_or_named_by_file_is_an_error(tmp_path):
    three_checkpoints(tmp_path)
    for step in (1, 2, 3):
        with open(tmp_path / f'model.ckpt-{step}.data-00000-of-00001', 'r+b') as file:
            file.seek(100)
            file.write(b'\x00\xff\x00\xff')
    warnings = []
    with pytest.raises(ValueError, match='model.ckpt-1 is damaged .*not as it was written.*no other checkpoint'):
        checkpoints.find_intact(str(tmp_path), warnings.append)
    assert len(warnings) == 2
    with pytest.raises(ValueError, match='model.ckpt-2 is damaged'):
        checkpoints.find_intact(str(tmp_path / 'model.ckpt-2'))


def test_leftovers_of_a_killed_save_are_removed_and_others_stay(tmp_path):
    three_checkpoints(tmp_path)
    before = sorted(os.listdir(tmp_path))
    for name in ('model.ckpt-4.index', 'model.ckpt-4.data-00000-of-00001',
                 'model.ckpt-5.data-00000-of-00001.tempstate7', 'metrics.jsonl.partial',
                 'model.ckpt-4.manifest.json.partial'):
        (tmp_path / name).write_bytes(b'half')
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-3')
    checkpoints.remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == before


def short_run(folder, *arguments, **kwargs):
    return subprocess.run([sys.executable, '-m', 'tests.helpers.small_run', str(folder), '--steps=12', *arguments],
                          cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **kwargs)


def test_a_file_that_may_not_grow(tmp_path):
    """The system refuses the write in the middle of a checkpoint, as a full disk or a quota does."""
    state, *_ = small_run.make()
    checkpoints.save(str(tmp_path), 0, state.tensors())
    before = {path.name: path.read_bytes() for path in tmp_path.glob('model.ckpt-0.*')}
    size = max(map(len, before.values()))
    done = short_run(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2)))
    assert done.returncode == 1 and 'cannot write the checkpoint' in done.stderr, done.stdout + done.stderr
    assert 'Traceback' not in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.glob('model.ckpt-*')} == before


def in_own_mount(script):
    """What a shell script prints that may mount; the last line is the exit status of its `run`."""
    done = subprocess.run(['unshare', '--map-root-user', '--mount', 'sh', '-c', script], cwd=ROOT, capture_output=True,
                          text=True, timeout=300, check=False)
    if 'unshare' in done.stderr or 'mount:' in done.stderr:
        pytest.skip(f'this system lets nobody mount: {done.stderr.strip()}')
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_a_full_file_system(tmp_path, clones):
    """So many KiB are left when a run begins to write; with space again it goes on as if nothing had been."""
    run = f'{sys.executable} -m tests.helpers.small_run --steps=12 --num_clones={clones}'
    output = in_own_mount(f'''
        {run} {tmp_path}/whole
        mkdir {tmp_path}/disk && mount -t tmpfs -o size=10M tmpfs {tmp_path}/disk && cd {ROOT}
        {run} {tmp_path}/disk/run --die_at=state:5:after >/dev/null
        newest=$(ls {tmp_path}/disk/run/model.ckpt-5.*) && sha256sum $newest >{tmp_path}/before
        for left in 0 12 20 28; do
            fallocate -l $(($(df --output=avail -k {tmp_path}/disk | tail -1) - $left))K {tmp_path}/disk/filler
            {run} {tmp_path}/disk/run 2>&1; echo status $?
            sha256sum -c --status {tmp_path}/before && echo unchanged
            rm {tmp_path}/disk/filler
        done
        {run} {tmp_path}/disk/run
        ls {tmp_path}/disk/run | grep -c -e partial -e tempstate''')
    assert output.count('status 1\n') == output.count('\nunchanged\n') == 4 and 'Traceback' not in output, output
    assert output.count('No space left') == 4, output
    hashes = re.findall(r'^hash \w+$', output, re.M)
    assert len(hashes) == 2 and len(set(hashes)) == 1, output
    assert output.endswith('\n0\n')  # no stray files


@pytest.mark.slow
def test_a_read_only_file_system(tmp_path):
    run = f'{sys.executable} -m tests.helpers.small_run --steps=5 {tmp_path}/run'
    output = in_own_mount(f'mount -t tmpfs -o ro tmpfs {tmp_path} && {run} 2>&1; echo status $?')
    assert output.endswith('\nstatus 1\n') and 'Read-only' in output and 'Traceback' not in output, output


def train_small(folder, times, max_rollbacks, log=lambda _: None):
    state, step, batches, validate = small_run.make()
    restore(state, str(folder), log=log)
    loop.train(state, small_run.breaking(step, 7, times), batches, train_dir=str(folder),
               schedule=small_run.schedule(state), pace=small_run.pace(12, max_rollbacks=max_rollbacks),
               validate=validate, log=log)
    return small_run.state_hash(state.tensors())


def test_a_loss_that_is_not_finite_sends_the_run_back(tmp_path):
    expected = train_small(tmp_path / 'whole', 0, 0)
    lines = []
    assert train_small(tmp_path / 'back', 2, 2, lines.append) == expected
    assert sum('rollback' in line for line in lines) == 2
    assert [row['step'] for row in metrics.read(str(tmp_path / 'back')) if row['kind'] == 'train'] == list(range(1, 13))
    with pytest.raises(loop.NotFinite, match='The loss is nan at step 8.*model.ckpt-7.*--learning_rate.*after 1 rollb'):
        train_small(tmp_path / 'ends', 5, 1)
    for path in (tmp_path / 'ends').glob('*.index'):
        assert all(np.isfinite(value).all() for name, value in content(str(path)[:-len('.index')]).items()
                   if name != 'plateau/best')  # the least error so far, infinite before the first validation


@pytest.mark.slow
def test_two_clones_go_back_too(tmp_path):
    whole, back = (short_run(tmp_path / name, '--num_clones=2', *arguments)
                   for name, arguments in (('whole', []), ('back', ['--nan_at=7'])))
    assert 'rollback' in back.stdout and whole.returncode == back.returncode == 0, back.stdout + back.stderr
    assert re.findall(r'^hash \w+$', whole.stdout, re.M) == re.findall(r'^hash \w+$', back.stdout, re.M) != []


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    state, step, batches, validate = small_run.make()
    velocity = state.optimizer.momentums[0]

    def poisoned(images, labels, number):
        loss = step(images, labels, number)
        if int(number) == 3:
            velocity.assign(velocity * float('inf'))
        return loss
    with pytest.raises(loop.NotFinite, match='optimizer/.* is not finite at step 4'):
        loop.train(state, poisoned, batches, train_dir=str(tmp_path), schedule=small_run.schedule(state),
                   pace=small_run.pace(12), validate=validate, log=lambda _: None)
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-3')


def test_what_is_saved_does_not_change_under_the_saver(tmp_path):
    variable = tf.Variable(tf.zeros([1 << 20]))
    saver = Saver(str(tmp_path))
    for step in range(5):
        variable.assign(tf.fill([1 << 20], float(step)))
        saver.save(step, {'v': variable})
        for _ in range(20):
            variable.assign_add(tf.ones([1 << 20]))
    saver.wait()
    for step in range(5):
        assert np.unique(content(str(tmp_path / f'model.ckpt-{step}'))['v']).tolist() == [step]


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_ten_thousand_steps_leak_nothing(tmp_path, clones):
    seen, output = [], []
    command = [sys.executable, '-m', 'tests.helpers.small_run', str(tmp_path), '--steps=10100', '--save_secs=5',
               f'--num_clones={clones}', '--validate_every=100']
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            output.append(line)
            if re.match(r'step \d+000/', line):
                pages = int(pathlib.Path(f'/proc/{process.pid}/statm').read_text().split()[1])
                seen.append((pages * resource.getpagesize() / 2 ** 20, len(os.listdir(f'/proc/{process.pid}/fd'))))
    assert process.returncode == 0 and len(seen) == 10 and 'traces 1\n' in output, output[-20:]
    memory, files = zip(*seen[1:])  # the first two thousand fill caches
    assert (memory[-1] - memory[0]) / (len(memory) - 1) < 1 and max(files) - min(files) <= 2, seen
