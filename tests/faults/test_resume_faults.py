"""What a training folder may hold when a run goes on: unvalidated checkpoints, files of others, another description."""
import dataclasses
import json
import os
import re
import types

import numpy as np
import pytest
import tensorflow as tf

import train_image_classifier
from alexnet_tf.console import signals
from alexnet_tf.data import datasets
from alexnet_tf.files import writing
from alexnet_tf.model import building, loading, specs
from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.run_folder.metrics_log import MetricsLog
from alexnet_tf.training import loop, resuming
from alexnet_tf.training.start import restore
from alexnet_tf.training.state import State
from tests.faults.test_checkpoint_faults import content, three_checkpoints
from tests.helpers import shards, small_run
from tests.helpers.commands import messages_of
from tests.helpers.processes import run_python


def interrupted_validation(folder):
    """Trains ten steps; a signal comes during the validation, so that model.ckpt-10 knows nothing of it."""
    notice = signals.Notice()
    state, step, batches, validate = small_run.make()

    def signalled():
        notice.number = 15
        notice.check()
    with pytest.raises(signals.Stopped, match='at step 10, which is saved'):
        loop.train(state, step, batches, train_dir=str(folder), schedule=small_run.schedule(state),
                   pace=small_run.pace(20, save_secs=1000), validate=signalled, notice=notice, log=lambda _: None)


def go_on(folder, steps):
    state, step, batches, validate = small_run.make()
    restore(state, str(folder), log=lambda _: None)
    result = loop.train(state, step, batches, train_dir=str(folder), schedule=small_run.schedule(state),
                        pace=small_run.pace(steps, save_secs=1000), validate=validate, log=lambda _: None)
    return state, result


def test_the_checkpoint_of_an_interrupted_validation_is_never_written_again(tmp_path, monkeypatch):
    """Writing it again would first remove it, and a full disk would then leave none."""
    interrupted_validation(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob('model.ckpt-10.*')}
    with monkeypatch.context() as context:
        context.setattr(checkpoints, 'save', lambda *_: pytest.fail('saved again'))
        for _ in range(2):  # the second time as if the first had been killed before the next checkpoint
            state, result = go_on(tmp_path, 10)
            assert result.num_examples == 100 and int(state.best_step) == 10
            assert {path.name: path.read_bytes() for path in tmp_path.glob('model.ckpt-10.*')} == before
            assert checkpoints.find(str(tmp_path / 'best')).endswith('model.ckpt-10')
            assert [row['kind'] for row in metrics.read(str(tmp_path))] == ['train'] * 10 + ['validation']
    resumed, _ = go_on(tmp_path, 20)
    whole = tmp_path / 'whole'
    whole.mkdir()
    expected, _ = go_on(whole, 20)
    assert small_run.state_hash(resumed.tensors()) == small_run.state_hash(expected.tensors())
    assert [(row['kind'], row['step'], row['loss']) for row in metrics.read(str(tmp_path))] == [
        (row['kind'], row['step'], row['loss']) for row in metrics.read(str(whole))]


def test_a_bad_record_costs_nothing_that_was_learned(tmp_path):
    state, step, batches, validate = small_run.make()

    def ending(start):
        for number, batch in enumerate(batches(start), start):
            if number == 7:
                raise ValueError('record 5 is bad')
            yield batch
    with pytest.raises(ValueError, match='record 5 is bad'):
        loop.train(state, step, ending, train_dir=str(tmp_path), schedule=small_run.schedule(state),
                   pace=small_run.pace(20, save_secs=1000), validate=validate, log=lambda _: None)
    assert checkpoints.find(str(tmp_path)).endswith('model.ckpt-7')


def test_only_files_of_checkpoints_are_removed_and_said_so(tmp_path):
    three_checkpoints(tmp_path)
    others = ['model.ckpt-1.zip', 'model.ckpt-4.notes.txt', 'model.ckpt-4.index.bak', 'x.partial', 'model.ckpt-9']
    for name in others:
        (tmp_path / name).write_text('of the user')
    (tmp_path / 'model.ckpt-1.export').mkdir()
    (tmp_path / 'model.ckpt-4.index').write_text('half')
    lines = []
    checkpoints.remove_leftovers(str(tmp_path), lines.append)
    assert lines == [f'Removed from {tmp_path} what was left half written: model.ckpt-4.index.']
    for step in range(5, 10):
        checkpoints.save(str(tmp_path), step, {'a': tf.constant(1.0)})
    assert {*others, 'model.ckpt-1.export'} <= set(os.listdir(tmp_path))
    assert not (tmp_path / 'model.ckpt-1.index').exists() and len(list(tmp_path.glob('*.index'))) == 5


def test_a_new_checkpoint_stays_when_the_older_ones_cannot_be_removed(tmp_path, monkeypatch):
    three_checkpoints(tmp_path)

    def full(*_):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(checkpoints, '_forget_older', full)
    with pytest.raises(ValueError, match='model.ckpt-4 is written, but not what belongs to it.*No space left'):
        checkpoints.save(str(tmp_path), 4, {'a': tf.constant(1.0)})
    assert checkpoints.find_intact(str(tmp_path)).endswith('model.ckpt-4') and content(str(tmp_path / 'model.ckpt-4'))


@pytest.mark.parametrize('row', ['{"kind": "train", "step": "5", "loss": 1}', '{"kind": "train", "step": true}'])
def test_a_damaged_row_is_named_when_a_run_goes_on(tmp_path, row):
    (tmp_path / 'metrics.jsonl').write_text(row + '\n{"kind": "train", "step": 6, "loss": 1}\n')
    with pytest.raises(ValueError, match='line 1 of .*metrics.jsonl is damaged'):
        MetricsLog(str(tmp_path), 10)


def test_a_training_set_in_another_order_is_another(tmp_path):
    pictures = [shards.example(b'x' * size, 0) for size in range(10, 40)]
    kinds = []
    for name, images in (('one', pictures), ('two', pictures[::-1])):
        shards.write(tmp_path / name, images)
        kinds.append(resuming.describe(datasets.open_dataset(str(tmp_path / name), 'train')))
    assert kinds[0] != kinds[1] and kinds[0].startswith('30 records of ')


def test_flags_that_may_change_are_named_and_a_missing_description_too(tmp_path):
    now, lines = dict.fromkeys(resuming.COMPARED, 1) | {'learning_rate': 0.5, 'train_dir': 'b'}, []
    resuming.check(str(tmp_path), now, [], lines.append)
    assert len(lines) == 1 and 'flags.json: whether the run was begun with the same flags cannot be known' in lines[0]
    (tmp_path / 'flags.json').write_text(json.dumps(now | {'learning_rate': 0.01, 'momentum': 0.9, 'train_dir': 'a'}))
    resuming.check(str(tmp_path), now, ['momentum'], lines.append)
    assert re.fullmatch(r'Other than before: --momentum=1 \(was 0.9\), --learning_rate=0.5 \(was 0.01\)\.', lines[1])
    with pytest.raises(ValueError, match='--momentum=0.9, not 1; .*--allow_changes=momentum'):
        resuming.check(str(tmp_path), now, [], lines.append)
    # What says how a run begins stays as it was.
    begun = now | {'hidden_bias': 0.1, 'checkpoint_path': 'other/run'}
    (tmp_path / 'flags.json').write_text(json.dumps(begun))
    assert resuming.check(str(tmp_path), now | {'hidden_bias': 1.0, 'checkpoint_path': None}, [], lines.append) == begun
    assert lines[2:] == ['--hidden_bias=1.0 has no effect now: the run was begun with 0.1.']


@pytest.mark.parametrize('resumed', [False, True])
def test_only_a_resumed_run_keeps_the_mean_image_of_its_folder(tmp_path, monkeypatch, resumed):
    """A new one takes that of its data, not what an earlier try left there, of other data or cut off by a full disk."""
    run, records = tmp_path / 'run', tmp_path / 'records'
    spec = specs.Spec('alexnet', 224, ('a', 'b'), 'mean_image.npy')
    for folder, grey in ((run, 7), (records, 8)):
        folder.mkdir()
        np.save(folder / 'mean_image.npy', np.full([256, 256, 3], grey, np.float32))
    monkeypatch.setattr(train_image_classifier, 'FLAGS', types.SimpleNamespace(train_dir=str(run)))
    mean = train_image_classifier.write_description(
        spec, types.SimpleNamespace(folder=str(records)), {'seed': 0}, resumed)
    assert np.unique(mean).tolist() == [7 if resumed else 8]
    for folder in (run, run / 'best'):
        assert (building.load_mean(spec, str(folder)) == mean).all() and specs.read_spec(str(folder)) == spec
    assert resuming.check(str(run), {'seed': 0}, [], pytest.fail) == {'seed': 0}


def test_a_later_best_checkpoint_stays_in_best(tmp_path):
    """Of a validation that was interrupted: its checkpoint, which is not written again, knows nothing of it."""
    interrupted_validation(tmp_path)
    go_on(tmp_path, 10)
    state, *_ = small_run.make()
    restore(state, str(tmp_path), log=lambda _: None)
    state.best_step.assign(9)
    for name in ('index', 'data-00000-of-00001', 'manifest.json'):
        os.link(tmp_path / f'model.ckpt-10.{name}', tmp_path / f'model.ckpt-9.{name}')
    loop.keep_best(state, str(tmp_path))
    assert checkpoints.find(str(tmp_path / 'best')).endswith('model.ckpt-10')


def test_a_row_or_a_small_file_that_cannot_be_written(tmp_path):
    """/dev/full takes nothing, as a full disk."""
    log = MetricsLog(str(tmp_path), 0)
    log._file.close()
    log._file = open('/dev/full', 'a')
    with pytest.raises(OSError, match='cannot write .*metrics.jsonl: No space left.*the same command goes on'):
        log.write('train', 1, loss=1.0)
    log.close()
    (tmp_path / 'a.json.partial').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left'):
        writing.write_json(str(tmp_path / 'a.json'), {'a': 1})
    assert not any('partial' in name for name in os.listdir(tmp_path))


@pytest.mark.parametrize('special', ['device', 'pipe'])
@pytest.mark.parametrize('name', ['model.ckpt-4.index', 'checkpoint', 'metrics.jsonl'])
def test_devices_and_pipes_in_a_training_folder_are_refused(tmp_path, special, name):
    if name != 'checkpoint':
        three_checkpoints(tmp_path)
    (tmp_path / name).symlink_to('/dev/zero') if special == 'device' else os.mkfifo(tmp_path / name)
    (tmp_path / 'model.ckpt-4.manifest.json').write_text('{}') if 'index' in name else None
    if name == 'metrics.jsonl':
        with pytest.raises(ValueError, match='is a device, a pipe or a folder'):
            metrics.read(str(tmp_path))
    elif name == 'checkpoint':
        with pytest.raises(ValueError, match='is a device, a pipe or a folder'):
            checkpoints.find(str(tmp_path))
    else:
        lines = []
        assert checkpoints.find_intact(str(tmp_path), lines.append).endswith('model.ckpt-3')
        assert len(lines) == 1 and 'is a device, a pipe or a folder' in lines[0]


def test_a_description_of_more_classes_than_weights_takes_no_memory(tmp_path):
    checkpoints.save(str(tmp_path), 1, {'alexnet_v2/fc8/biases': tf.zeros([10])})
    names = tuple(map(str, range(10 ** 6)))
    specs.write_spec(specs.Spec('alexnet_v2', 224, names, (1.0, 2.0, 3.0)), str(tmp_path))
    with pytest.raises(ValueError, match=r'names 1000000 classes, but its alexnet_v2/fc8/biases has the shape \[10\]'):
        loading.load(str(tmp_path))


def test_following_goes_on_after_a_damaged_checkpoint(tmp_path):
    three_checkpoints(tmp_path)
    path = tmp_path / 'model.ckpt-3.data-00000-of-00001'
    path.write_bytes(path.read_bytes()[:-9])
    result = run_python('eval_image_classifier.py', f'--checkpoint_path={tmp_path}', '--wait_for_checkpoints',
                        '--wait_timeout_secs=1', check=False)
    assert result.returncode == 1 and 'no whole checkpoint came to' in result.stderr
    assert 'model.ckpt-3 cannot be scored (model.ckpt-3.data-00000-of-00001 is not as it was written)' in result.stdout


def test_numbers_that_cannot_be_counted(tmp_path):
    message, = messages_of('train_image_classifier', [[f'--train_dir={tmp_path}', '--num_epochs=1e308']])
    assert re.search(r'--num_epochs=1e\+308 would be .* steps; it must be at most 2147483647', message)


def test_a_new_run_does_not_replace_the_best_of_an_old_one(tmp_path):
    three_checkpoints(tmp_path / 'best')
    with pytest.raises(ValueError, match='has no checkpoint, but .*best has one, which a new run would replace'):
        restore(small_run.make()[0], str(tmp_path))
    with pytest.raises(ValueError, match='no checkpoint at --checkpoint_path=.*; .*best has one'):
        loading.load(str(tmp_path))


def test_variables_that_are_neither_loaded_nor_trained_are_refused(tmp_path):
    source = small_run.make()[0]
    checkpoints.save(str(tmp_path / 'source'), 1, source.tensors())
    state = State(small_run.network(), source.optimizer, trainable_scopes=['small/conv1'])
    with pytest.raises(ValueError, match='small/fc8/biases, small/fc8/weights would keep random values'):
        restore(state, str(tmp_path), checkpoint_path=str(tmp_path / 'source'), exclude_scopes=['small/fc8'])


def test_a_validation_that_is_not_finite_is_not_saved(tmp_path):
    state, step, batches, validate = small_run.make()

    def broken():
        return dataclasses.replace(validate(), loss=float('nan'))
    with pytest.raises(loop.NotFinite, match='The validation loss is nan at step 10. .*the last is .*model.ckpt-9'):
        loop.train(state, step, batches, train_dir=str(tmp_path), schedule=small_run.schedule(state),
                   pace=small_run.pace(20), validate=broken, log=lambda _: None)


def test_a_checkpoint_without_its_manifest_is_passed_over_and_said_so(tmp_path):
    three_checkpoints(tmp_path)
    (tmp_path / 'model.ckpt-3.manifest.json').unlink()
    lines = []
    assert checkpoints.find_intact(str(tmp_path), lines.append).endswith('model.ckpt-2')
    assert len(lines) == 1 and 'model.ckpt-3 has no manifest' in lines[0]


def test_records_that_a_shard_should_have_count_as_bad(tmp_path):
    shards.write(tmp_path, [shards.picture(number) for number in range(30)], described=True)
    path = shards.shard(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:shards.places(path)[4][0] + 5])  # the fifth of ten is cut off, five are gone
    with pytest.raises(ValueError, match='lacks 5 records, besides .* damaged; --max_bad_records=4 allows no more'):
        datasets.open_dataset(str(tmp_path), 'train', max_bad_records=4, log=lambda _: None)
    lines = []
    dataset = datasets.open_dataset(str(tmp_path), 'train', max_bad_records=6, log=lines.append)
    dataset.report_bad(lines.append)
    assert len(dataset.bad) == 6 and f'of {tmp_path}: 6 of 30 (--max_bad_records=6)' in lines[-1]
