"""The training loop in this process: stopped, broken and gone on with; numbers that are not finite never stay."""
import dataclasses
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.model import evaluation
from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.training.finite import NotFinite
from alexnet_tf.training.saver import Saver
from tests.helpers import small_run
from tests.helpers.saved import content


def calling(function, number):
    """For small_run.train: the step, before whose time `number` (from 0) a function is called."""
    def change(step):
        def changed(images, labels, at):
            if int(at) == number:
                function()
            return step(images, labels, at)
        return changed
    return change


def send(number):
    return lambda: os.kill(os.getpid(), number)


def rows(folder):
    return [(row['kind'], row['step'], row['loss']) for row in metrics.read(str(folder))]


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """(hash, rows) of 12 steps that nothing disturbs."""
    folder = tmp_path_factory.mktemp('whole')
    state, _ = small_run.train(folder, 12)
    return small_run.state_hash(state.tensors()), rows(folder)


def check_as_whole(folder, whole):
    state, _ = small_run.train(folder, 12)
    assert (small_run.state_hash(state.tensors()), rows(folder)) == whole


# Signals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_and_stops_after_the_step(tmp_path, whole, number):
    before = [signal.getsignal(each) for each in signals.SIGNALS]
    if number == signal.SIGHUP and before[signals.SIGNALS.index(number)] == signal.SIG_IGN:
        pytest.skip('SIGHUP is ignored here, as nohup has it')
    said = f'stopped by {number.name} at step 5, which is saved; the same command'
    with pytest.raises(signals.Stopped, match=said) as stopped, signals.noted('x') as notice:
        small_run.train(tmp_path, 12, step=calling(send(number), 4), notice=notice)
    assert stopped.value.number == number and checkpoints.find(str(tmp_path)).endswith('model.ckpt-5')
    assert [signal.getsignal(each) for each in signals.SIGNALS] == before
    check_as_whole(tmp_path, whole)


def test_a_signal_before_the_first_step(tmp_path):
    notice = signals.Notice()
    notice.number = signal.SIGINT
    with pytest.raises(signals.Stopped, match='stopped by SIGINT before the first step; the same command'):
        small_run.train(tmp_path, 12, notice=notice)
    assert checkpoints.find(str(tmp_path)) is None


def test_a_signal_where_it_is_ignored_stays_ignored():
    """As by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.noted('x') as notice:
            os.kill(os.getpid(), signal.SIGHUP)
            assert notice.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nobody_reads_what_is_printed_any_more(tmp_path, whole):
    """As when the program behind | has ended: what was learned is saved; a signal at the same time is what is said."""
    def broken(line):
        if line.startswith('step 3/'):
            raise BrokenPipeError
    with pytest.raises(BrokenPipeError):
        small_run.train(tmp_path, 12, log=broken)
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-3')
    notice = signals.Notice()

    def broken_and_stopped(line):
        if line.startswith('step 6/'):
            notice.number = signal.SIGINT
            raise BrokenPipeError
    with pytest.raises(signals.Stopped, match='stopped by SIGINT at step 6, which is saved'):
        small_run.train(tmp_path, 12, log=broken_and_stopped, notice=notice)
    check_as_whole(tmp_path, whole)


# Validations ------------------------------------------------------------------------------------------


def interrupted_validation(folder):
    """Trains ten steps; a signal comes during the validation, so that model.ckpt-10 knows nothing of it."""
    def signalled(validate):
        def validation(between):
            def first_batch():
                os.kill(os.getpid(), signal.SIGTERM)
                between()
                pytest.fail('went on')
            return validate(first_batch)
        return validation
    with signals.noted('x') as notice, pytest.raises(signals.Stopped, match='at step 10, which is saved'):
        small_run.train(folder, 20, validate=signalled, notice=notice)


def test_the_checkpoint_of_an_interrupted_validation_is_never_written_again(tmp_path, monkeypatch):
    """Writing it again would first remove it, and a full disk would then leave none."""
    interrupted_validation(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob('model.ckpt-10.*')}
    with monkeypatch.context() as context:
        context.setattr(checkpoints, 'save', lambda *_: pytest.fail('saved again'))
        for _ in range(2):  # the second time as if the first had been killed before the next checkpoint
            state, result = small_run.train(tmp_path, 10)
            assert result.num_examples == 100 and int(state.best_step) == 10
            assert {path.name: path.read_bytes() for path in tmp_path.glob('model.ckpt-10.*')} == before
            assert checkpoints.find(str(tmp_path / 'best')).endswith('model.ckpt-10')
            assert [kind for kind, *_ in rows(tmp_path)] == ['train'] * 10 + ['validation']
    hashes = [small_run.state_hash(small_run.train(folder, 20)[0].tensors())
              for folder in (tmp_path, tmp_path / 'whole')]
    assert hashes[0] == hashes[1] and rows(tmp_path) == rows(tmp_path / 'whole')


def test_a_run_made_longer_is_the_run_that_was_long(tmp_path):
    """13 is off the grid of validations, which are every 5 steps; the plateau learns from those on the grid alone."""
    def half_right(_):
        return lambda _: evaluation.Result(4, 0.5, 1.0, 1.0)

    def plateau_after(*ends):
        for end in ends:
            plateau = small_run.train(tmp_path / str(ends), end, validate=half_right, validate_every=5)[0].plateau
        return int(plateau.divisions), int(plateau.waited), float(plateau.best)
    assert plateau_after(13, 31) == plateau_after(31) == (2, 1, 0.5)
    assert [step for kind, step, _ in rows(tmp_path / '(31,)') if kind == 'validation'] == [5, 10, 15, 20, 25, 30, 31]


def test_a_validation_that_is_not_finite_is_not_saved(tmp_path):
    def broken(validate):
        return lambda between: dataclasses.replace(validate(between), loss=float('nan'))
    with pytest.raises(NotFinite, match='The validation loss is nan at step 10. .*the last is .*model.ckpt-9'):
        small_run.train(tmp_path, 20, validate=broken, save_secs=0)


# Batches, numbers and files that are bad ---------------------------------------------------------------


def test_a_bad_record_costs_nothing_that_was_learned(tmp_path, whole):
    def ending(batches):
        def changed(start):
            for number, batch in enumerate(batches(start), start):
                if number == 7:
                    raise ValueError('record 5 is bad')
                yield batch
        return changed
    with pytest.raises(ValueError, match='record 5 is bad'):
        small_run.train(tmp_path, 12, batches=ending)
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-7')
    check_as_whole(tmp_path, whole)


def breaking(times):
    return lambda step: small_run.breaking(step, 7, times)


def test_a_loss_that_is_not_finite_sends_the_run_back(tmp_path, whole):
    lines = []
    state, _ = small_run.train(tmp_path / 'back', 12, step=breaking(2), max_rollbacks=2, log=lines.append,
                               save_secs=0)
    assert (small_run.state_hash(state.tensors()), rows(tmp_path / 'back')) == whole
    assert sum('rollback' in line for line in lines) == 2
    with pytest.raises(NotFinite, match='The loss is nan at step 8.*model.ckpt-7.*--learning_rate.*after 1 rollb'):
        small_run.train(tmp_path / 'ends', 12, step=breaking(5), max_rollbacks=1, save_secs=0)
    with pytest.raises(NotFinite, match='The loss is nan at step 8. No checkpoint holds it; there is none yet'):
        small_run.train(tmp_path / 'none', 12, step=breaking(5), max_rollbacks=1)
    for path in (tmp_path / 'ends').glob('*.index'):
        assert all(np.isfinite(value).all() for name, value in content(path.with_suffix('')).items()
                   if name != 'plateau/best')  # the least error so far, infinite before the first validation


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    velocity = small_run.once()[0].optimizer.momentums[0]

    def poisoned(step):
        def changed(images, labels, number):
            loss = step(images, labels, number)
            if int(number) == 3:
                velocity.assign(velocity * float('inf'))
            return loss
        return changed
    with pytest.raises(NotFinite, match='optimizer/.* is not finite at step 4'):
        small_run.train(tmp_path, 12, step=poisoned, save_secs=0)
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-3')


def test_a_checkpoint_that_cannot_be_written_ends_the_run(tmp_path, whole):
    (tmp_path / f'model.ckpt-4.manifest.json.{os.getpid()}.partial').symlink_to('/dev/full')
    with pytest.raises(ValueError, match='cannot write the checkpoint .*model.ckpt-4: .*No space left.*from the last'):
        small_run.train(tmp_path, 12, save_secs=0)
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-3') and not list(tmp_path.glob('model.ckpt-4*'))
    check_as_whole(tmp_path, whole)


def test_what_is_saved_does_not_change_under_the_saver(tmp_path):
    variable = tf.Variable(tf.zeros([1 << 20]))
    saver = Saver(str(tmp_path))
    for step in range(5):
        variable.assign(tf.fill([1 << 20], float(step)))
        saver.save(step, {'v': variable})
        for _ in range(20):
            variable.assign_add(tf.ones([1 << 20]))
    saver.close()
    for step in range(5):
        assert np.unique(content(tmp_path / f'model.ckpt-{step}')['v']).tolist() == [step]
