"""eval_image_classifier.py with narrow networks: its results, and checkpoints that come and vanish while it follows."""
import dataclasses
import glob
import json
import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.model import building, evaluation, loading, specs
from alexnet_tf.run_folder import metrics
from nets import slim_checkpoints
from tests.helpers.commands import call


def test_it_does_not_depend_on_the_batch_size_and_is_the_validation_of_training(trained, small_records, tmp_path):
    results = []
    for batch_size in (7, 20):
        folder = tmp_path / str(batch_size)
        printed = call('eval_image_classifier', f'--checkpoint_path={trained[0]}', f'--eval_dir={folder}',
                       f'--dataset_dir={small_records}', f'--batch_size={batch_size}', check=True).stdout
        results.append(json.loads((folder / 'eval_results.json').read_text()))
        assert f'eval/Accuracy[{results[-1]["accuracy"]:.5g}]' in printed
        assert f'eval/Recall_5[{results[-1]["recall_5"]:.5g}]' in printed
    first, second = results
    assert first['loss'] == pytest.approx(second.pop('loss'), rel=1e-5)
    assert first.items() >= second.items()
    assert second['num_examples'] == 20 and second['global_step'] == 6 and second['views'] == 1
    assert second['checkpoint'].endswith('model.ckpt-6')
    last = [row for row in metrics.read(trained[0]) if row['kind'] == 'validation'][-1]
    assert last['accuracy'] == first['accuracy'] and last['loss'] == pytest.approx(first['loss'], rel=1e-5)


def test_ten_views_of_a_slim_checkpoint_that_is_followed(trained, small_records, tmp_path):
    # Without model.json beside it, by the names of slim's variables alone, as a slim user's checkpoint is.
    for path in trained[0].glob('model.ckpt-6.*'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arguments = (f'--checkpoint_path={tmp_path}', f'--dataset_dir={small_records}')
    refused = call('eval_image_classifier', *arguments)
    assert refused.returncode == 1 and '--model_name' in refused.stderr
    printed = call('eval_image_classifier', *arguments, '--model_name=alexnet_v2', '--views=10',
                   '--wait_for_checkpoints', '--wait_timeout_secs=0.1', check=True).stdout
    assert 'with 10 views' in printed and 'No new checkpoint' in printed
    assert json.loads((tmp_path / 'eval' / 'eval_results.json').read_text())['views'] == 10


# Checkpoints that vanish ------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def kept(tmp_path_factory, narrow_networks):
    """A folder with one checkpoint of an untrained alexnet_v2 for the sample's classes."""
    folder = tmp_path_factory.mktemp('vanishing') / 'kept'
    names = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').class_names
    spec = specs.Spec('alexnet_v2', 224, names, (120.0, 110.0, 100.0), 1)
    specs.write_spec(spec, str(folder))
    variables = slim_checkpoints.named_variables(building.build(spec))
    slim_checkpoints.save({name: 0.01 * tf.random.stateless_normal(variable.shape, [1, 2])
                           for name, variable in variables.items()}, str(folder / 'model.ckpt-1'))
    return folder


def copy_of(kept, name):
    """A run's folder with the same checkpoint."""
    folder = kept.parent / name
    folder.mkdir()
    for path in kept.iterdir():
        os.link(path, folder / path.name)
    return folder


def remove(run, *endings):
    for path in glob.glob(os.path.join(run, 'model.ckpt-1.*')):
        if any(ending in path for ending in endings):
            os.remove(path)


class Vanishing:
    """A checkpoint's reader: it vanishes while its third variable is read."""

    def __init__(self, reader, run):
        self._reader, self._run, self._left = reader, run, 3

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def get_tensor(self, name):
        self._left -= 1
        if self._left == 0:
            remove(self._run, '.index', '.data')
            raise IndexError('Read less bytes than requested')  # what TensorFlow raises when it cannot go on
        return self._reader.get_tensor(name)


@pytest.fixture
def vanish(monkeypatch):
    """Arranges that training goes on when the network for model.ckpt-1 was built: model.ckpt-2 comes, and the files of
    the first vanish, as `how` says."""
    read, build = slim_checkpoints.read, building.build

    def arrange(how, run):
        def go_on():
            if how != 'cut':
                for path in run.glob('model.ckpt-1.*'):
                    os.link(path, run / path.name.replace('ckpt-1', 'ckpt-2'))
            if how == 'between':
                remove(run, '.index', '.data')
            elif how in ('data first', 'index first'):  # and the other a moment later, as two calls of os.remove are
                first, second = ('.data', '.index') if how == 'data first' else ('.index', '.data')
                remove(run, first)
                threading.Timer(0.5, remove, [run, second]).start()
            elif how == 'cut':  # stays, and is damaged
                path, = run.glob('model.ckpt-1.data*')
                content = path.read_bytes()[:1000]
                path.unlink()
                path.write_bytes(content)

        def build_and_go_on(*args, **kwargs):
            model = build(*args, **kwargs)
            if not list(run.glob('model.ckpt-2.*')):
                go_on()
            return model
        monkeypatch.setattr(building, 'build', build_and_go_on)
        if how == 'amid':
            monkeypatch.setattr(slim_checkpoints, 'read', lambda path: (
                Vanishing(read(path), run) if path.endswith('-1') else read(path)))
    return arrange


FOLLOW = ('--wait_for_checkpoints', '--wait_timeout_secs=0.7')


def evaluate(run, records, *arguments):
    return call('eval_image_classifier', f'--checkpoint_path={run}', f'--dataset_dir={records}', *arguments)


@pytest.mark.parametrize('how', ['amid', 'between', 'data first', 'index first'])
def test_a_checkpoint_that_vanishes_while_it_is_read_is_named_and_the_next_one_scored(
        how, kept, small_records, vanish):
    run = copy_of(kept, how.replace(' ', '_'))
    vanish(how, run)
    result = evaluate(run, small_records, *FOLLOW)
    assert result.returncode == 0, result.stderr
    first = result.stdout.find('model.ckpt-1 cannot be scored (it was removed by the training run); going on')
    second = result.stdout.find(f'Scoring alexnet_v2 from {run}/model.ckpt-2 on 20 images')
    assert 0 <= first < second, result.stdout
    assert result.stdout.count('eval/Accuracy') == 1 and 'No new checkpoint in' in result.stdout
    found = json.loads((run / 'eval' / 'eval_results.json').read_text())
    assert (found['num_examples'], found['global_step']) == (20, 2)


def test_a_damaged_checkpoint_that_stays_ends_the_evaluation(kept, small_records, vanish):
    run = copy_of(kept, 'cut')
    vanish('cut', run)
    result = evaluate(run, small_records, *FOLLOW)
    assert result.returncode == 1 and 'is damaged or was removed' in result.stderr
    assert not (run / 'eval').exists()


def test_without_waiting_the_next_one_is_scored_too_unless_it_was_asked_for_by_name(kept, small_records, vanish):
    run, named = copy_of(kept, 'once'), copy_of(kept, 'named')
    vanish('between', run)
    result = evaluate(run, small_records)
    assert result.returncode == 0, result.stderr
    assert f'{run}/model.ckpt-1 was removed by the training run; going on with the next.' in result.stdout
    assert f'Scoring alexnet_v2 from {run}/model.ckpt-2 on 20 images' in result.stdout
    vanish('between', named)
    result = evaluate(named / 'model.ckpt-1', small_records)
    assert result.returncode == 1
    assert 'damaged or was removed' in result.stderr or 'no readable checkpoint at' in result.stderr


def test_the_next_checkpoint_is_loaded_into_the_same_model_unless_the_network_is_another(kept):
    run = copy_of(kept, 'reused')
    first = loading.load(str(run))
    biases = slim_checkpoints.named_variables(first.model)['alexnet_v2/fc8/biases']
    stored = biases.numpy()
    biases.assign(0 * biases)
    again = loading.load(str(run), reuse=first)
    assert again.model is first.model and stored.any()
    np.testing.assert_array_equal(biases.numpy(), stored)
    (run / 'model.json').unlink()  # a link to the one in `kept`
    specs.write_spec(dataclasses.replace(first.spec, mean=(1.0, 2.0, 3.0)), str(run))
    assert loading.load(str(run), reuse=first).model is not first.model


def test_following_a_run_that_keeps_one_checkpoint_builds_and_traces_once(kept, small_records, monkeypatch):
    """Another thread writes checkpoints and removes the one before at once, as fast as they are scored."""
    run, stop, last = copy_of(kept, 'followed'), threading.Event(), 3
    results, made = run / 'eval' / 'eval_results.json', []

    def train():
        for step in range(1, last):
            while not stop.wait(0.02) and (not results.exists()
                                           or json.loads(results.read_text())['global_step'] < step):
                pass
            for path in sorted(kept.glob('model.ckpt-1.*')):  # the data before the index, as TensorFlow does
                os.link(path, run / path.name.replace('ckpt-1', f'ckpt-{step + 1}'))
            for path in run.glob(f'model.ckpt-{step}.*'):
                path.unlink()
    for module, name in ((building, 'build'), (evaluation, 'make_eval_step')):
        make = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, make=make, **kwargs: made.append(make) or make(*args, **kwargs))
    thread = threading.Thread(target=train)
    thread.start()
    try:
        result = evaluate(run, small_records, '--wait_for_checkpoints', '--wait_timeout_secs=1')
    finally:
        stop.set()
        thread.join()
    assert result.stdout.count('eval/Accuracy') == last, result.stdout + result.stderr
    assert json.loads(results.read_text())['global_step'] == last
    assert len(made) == 2


def test_an_eval_dir_that_cannot_be_written_is_refused_before_the_scoring(kept, small_records):
    run = copy_of(kept, 'unwritable')
    (run / 'eval').write_text('')  # where results go when nothing is said
    result = evaluate(run, small_records)
    assert result.returncode == 1 and '--eval_dir=' in result.stderr
    assert 'Scoring' not in result.stdout
