"""The same seed gives the same weights to the bit: again, with other threads, on fewer cores.

Sums are split among the threads of an operation, so their number (--intra_op_threads) belongs to the run, which keeps
it whatever the machine has.
"""
import os
import re
import subprocess
import sys

import pytest

from alexnet_tf.run_folder import metrics
from tests.faults.conftest import rows
from tests.helpers.processes import ROOT
from tests.helpers.saved import content
from tests.helpers.small_processes import finish, hash_in

STEPS = 200
REAL = ('train_image_classifier.py', '--batch_size=8', '--validation_split_name=', '--learning_rate_decay_type=fixed',
        '--log_every_n_steps=1', '--color_noise=0.1', '--dropout_keep_prob=0.5', '--learning_rate=0.001')
ONE_DECODES, FIVE_DECODE = '--num_preprocessing_threads=1', '--num_preprocessing_threads=5'


def run(*arguments, cores=None, **environment):
    """What a process prints that may use so many cores; its exit status must be 0."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False,
        env=os.environ | environment,
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


OTHER = '--decode_threads=0', '--cores=1', '--inter_op_threads=1'


def test_other_threads_change_no_bit(tmp_path, uninterrupted):
    assert (hash_in(finish(tmp_path, *OTHER)), rows(tmp_path)) == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_other_threads_change_no_bit_of_many_steps(tmp_path, clones):
    common = f'--steps={STEPS}', '--save_secs=1000', f'--num_clones={clones}'
    hashes = [hash_in(finish(tmp_path / name, *common, *threads)) for name, threads in (
        ('one', ['--decode_threads=4']), ('two', OTHER))]
    assert hashes[0] == hashes[1]


def left_by(folder):
    """(step and loss of each row, {variable: value}) of a real run."""
    rows = [(row['step'], row['loss']) for row in metrics.read(str(folder))]
    newest = max(folder.glob('*.index'), key=lambda path: int(re.search(r'(\d+)\.index', path.name)[1]))
    return rows, content(newest.with_suffix(''))


def check_same(one, two, steps=STEPS):
    (rows, values), (other_rows, other_values) = left_by(one), left_by(two)
    assert rows == other_rows and len(rows) == steps
    differing = [name for name in values if values[name].tobytes() != other_values[name].tobytes()]
    assert set(values) == set(other_values) and not differing


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
@pytest.mark.parametrize('network', ['alexnet_v2', 'alexnet'])
def test_both_networks_with_other_threads_and_resumed_on_fewer_cores(tmp_path, network, precision):
    def train(name, steps, *arguments, **kwargs):
        return run(*REAL, f'--model_name={network}', f'--precision={precision}', f'--train_dir={tmp_path / name}',
                   f'--max_number_of_steps={steps}', *arguments, **kwargs)
    train('whole', STEPS, '--intra_op_threads=2', ONE_DECODES)
    train('again', STEPS, '--intra_op_threads=2', FIVE_DECODE, TF_NUM_INTEROP_THREADS='1')
    check_same(tmp_path / 'whole', tmp_path / 'again')
    train('resumed', STEPS // 2, '--intra_op_threads=2', cores=1)
    assert '2 (as the run was started)' in train('resumed', STEPS, cores=1)
    check_same(tmp_path / 'whole', tmp_path / 'resumed')


@pytest.mark.slow
def test_two_clones_of_a_whole_network_with_adam_and_decay(tmp_path):
    """TensorFlow once added three terms in an order of chance: the gradients of both clones and a decay."""
    for name in ('one', 'two'):
        run(*REAL, f'--train_dir={tmp_path / name}', '--max_number_of_steps=8', '--optimizer=adam', '--num_clones=2',
            '--clone_on_cpu', '--precision=float32')
    check_same(tmp_path / 'one', tmp_path / 'two', 8)
