"""Trainings beside each other, an evaluation that follows one of them, exports while checkpoints come and go.

Each gives what it gives alone, to the bit; and none waits for another: one of them is stopped until the rest has ended.
"""
import contextlib
import hashlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.data.batches import EvaluationBatches
from alexnet_tf.model.scoring import Scorer
from alexnet_tf.run_folder import checkpoints, metrics
from tests.helpers.commands import call
from tests.helpers.processes import ROOT
from tests.helpers.saved import content
from tests.helpers.small_processes import Started

TRAIN = 'train_image_classifier', '--batch_size=8', '--precision=float32', '--save_interval_secs=0'
SPEEDS = 'examples_per_sec', 'input_wait'


def start(network, *command):
    """A process with a command; it has pid, stdout, returncode, wait and send_signal."""
    if network == 'narrow':
        return Started(*command, module='narrow')
    return subprocess.Popen([sys.executable, '-um', *command], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def ended(process):
    """What it prints up to its end; its exit status must be 0."""
    printed = process.stdout.read()
    assert process.wait(60) == 0, printed
    return printed


def wait_for(process, text):
    assert any(text in line for line in process.stdout), f'it ended before it said {text!r}'


def digest(value):
    """Stands for the bytes of an array: those of all checkpoints of a network of full size are 10 GB."""
    return hashlib.sha256(value.tobytes()).digest()


def left_by(folder):
    """What a run leaves: its rows but for the speeds, and digests of all that its last and its best checkpoint hold."""
    rows = [{name: value for name, value in row.items() if name not in SPEEDS} for row in metrics.read(str(folder))]
    saved = [checkpoints.find(str(path)) for path in (folder, folder / 'best')]
    return rows, [{name: digest(value) for name, value in content(path).items()} for path in saved]


def weights_in(exported):
    """Digests of the weights in an exported folder."""
    if (exported / 'weights.npz').exists():
        with np.load(exported / 'weights.npz') as arrays:
            return {digest(arrays[name]) for name in arrays if '/' in name}
    return {digest(value) for name, value in content(exported / 'variables' / 'variables').items()
            if name.startswith('_variables')}


def results_in(eval_dir):
    """{step: (accuracy, recall_5, loss)} of TensorBoard's files, as float32."""
    values = {(event.step, value.tag): tf.make_ndarray(value.tensor) for path in eval_dir.glob('events*')
              for event in tf.compat.v1.train.summary_iterator(str(path)) for value in event.summary.value}
    return {step: [values[step, f'eval/{name}'] for name in ('Accuracy', 'Recall_5', 'Loss')] for step, _ in values}


def lives(process):
    try:
        process.wait(0.01)
    except subprocess.TimeoutExpired:
        return True
    return False


def beside(folder, records, *, network, steps, stopped, kinds):
    """Runs everything beside each other; one is stopped until the rest has ended.

    stopped: 'second' training, 'follower' (the evaluation) or 'export' (the first). kinds: of exports, by turns.

    Returns: folders of what was exported.
    """
    train = *TRAIN, f'--dataset_dir={records}', f'--max_number_of_steps={steps}', '--log_every_n_steps=1'
    with contextlib.ExitStack() as stack:
        def started(*command):
            process = start(network, *command)
            stack.callback(process.kill)
            return process
        first, second = (started(*train, f'--train_dir={folder / name}') for name in ('first', 'second'))
        wait_for(first, 'step 3/')  # the first checkpoint is written
        follower = started('eval_image_classifier', f'--checkpoint_path={folder / "first"}',
                           f'--dataset_dir={records}', '--wait_for_checkpoints', '--wait_timeout_secs=1')
        if stopped != 'export':
            waiting, said = {'second': (second, 'step 3/'), 'follower': (follower, 'Scoring')}[stopped]
            wait_for(waiting, said)
            waiting.send_signal(signal.SIGSTOP)
        outputs = []
        while not outputs or lives(first):
            output, kind = folder / f'exported_{len(outputs)}', kinds[len(outputs) % len(kinds)]
            export = started('alexnet_tf.export', f'--checkpoint_path={folder / "first"}', f'--output_dir={output}',
                             f'--to={kind}')
            if stopped == 'export' and not outputs:
                time.sleep(2)  # somewhere between its start and its end
                waiting = export
                waiting.send_signal(signal.SIGSTOP)
            else:
                ended(export)
            outputs.append(output)
        for process in {first, second, follower} - {waiting}:
            ended(process)
        waiting.send_signal(signal.SIGCONT)
        ended(waiting)
    return outputs


def check(folder, records, **options):
    """Compares everything with a run that was alone and keeps all its checkpoints, and with their evaluations."""
    exports = beside(folder, records, **options)
    alone = folder / 'alone'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, 'KEPT', 10 ** 6)
        call(*TRAIN, f'--dataset_dir={records}', f'--max_number_of_steps={options["steps"]}', '--log_every_n_steps=1',
             f'--train_dir={alone}', check=True)
    expected = left_by(alone)
    assert left_by(folder / 'first') == expected and left_by(folder / 'second') == expected
    weights = [{digest(value) for name, value in content(path.with_suffix('')).items()
                if re.match(r'alexnet_v2/(conv|fc)', name)} for path in alone.glob('*.index')]
    assert len(weights) >= options['steps'] // 2 and {len(one) for one in weights} == {16}
    assert all(weights_in(output) in weights for output in exports)
    scorer = Scorer(dtype='float32')
    found = results_in(folder / 'first' / 'eval')
    for step, results in found.items():
        loaded, = scorer.load([str(alone / f'model.ckpt-{step}')])
        dataset = datasets.open_dataset(str(records), 'validation')
        result = scorer.score(EvaluationBatches(dataset, batch_size=100, image_size=loaded.spec.image_size),
                              len(dataset))[0]
        assert results == [np.float32(value) for value in (result.accuracy, result.recall_5, result.loss)]
    assert max(found) == options['steps']


@pytest.mark.slow
def test_beside_a_training_that_stands_still(tmp_path, small_records, narrow):
    check(tmp_path, small_records, network='narrow', steps=12, stopped='second', kinds=['npz'])


@pytest.mark.slow
@pytest.mark.parametrize('stopped', ['second', 'follower', 'export'])
def test_beside_for_longer(tmp_path, small_records, narrow, stopped):
    check(tmp_path, small_records, network='narrow', steps=400, stopped=stopped, kinds=['npz', 'saved_model'])


@pytest.mark.slow
def test_beside_with_checkpoints_of_full_size(tmp_path, small_records):
    check(tmp_path, small_records, network='full', steps=12, stopped='export', kinds=['npz', 'saved_model'])
