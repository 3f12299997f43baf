"""A build that is killed leaves, given again, the bytes of an undisturbed one."""
import itertools
import json
import signal
import subprocess
import sys
import time

import pytest

from alexnet_tf.console import progress
from alexnet_tf.data import datasets
from alexnet_tf.neighbors import building, index
from tests.helpers.processes import NARROW, ROOT, run_python

NAMES = 'features.npy', 'index.json', 'labels.npy'


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != 'lock'}


def test_one_that_stopped_goes_on_where_it_noted(loaded, built, small_records, tmp_path, monkeypatch):
    dataset, lines = datasets.open_dataset(str(small_records), 'train'), []
    batches = building.EvaluationBatches

    def first_two(*arguments, **options):
        yield from itertools.islice(batches(*arguments, **options), 2)
        raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(building, 'EvaluationBatches', first_two)
        patch.setattr(building, 'SAVE_SECS', 0)
        building.build(loaded, dataset, str(tmp_path), batch_size=10)
    assert json.loads((tmp_path / 'building.json').read_text())['done'] == 20
    with (tmp_path / 'features.npy').open('ab') as file:
        file.write(b'a part of the next batch')
    monkeypatch.setattr(progress, 'SECONDS', 0)
    building.build(loaded, dataset, str(tmp_path), batch_size=10, log=lines.append)
    assert [line.partition(',')[0] for line in lines[1:4]] == [
        'Going on after 20 images.', '40/48 images', '48/48 images'] and lines[4].startswith('28 images in ')
    assert contents(tmp_path) == contents(built)
    building.build(loaded, dataset, str(tmp_path), batch_size=10, log=lines.append)
    assert lines[-1].endswith('has this index already: 48 images.')


def test_one_killed_just_before_its_end_is_an_index_and_the_next_build_tidies_up(loaded, built, copied, small_records):
    description = json.loads((copied / 'index.json').read_text())
    (copied / 'building.json').write_text(json.dumps(description | {'files': {}, 'done': 48}))
    assert len(index.open_index(str(copied))) == 48
    building.build(loaded, datasets.open_dataset(str(small_records), 'train'), str(copied), batch_size=10)
    assert contents(copied) == contents(built)


def test_a_second_one_at_the_same_time_is_refused_and_changes_nothing(loaded, built, small_records, tmp_path,
                                                                      monkeypatch):
    dataset, batches = datasets.open_dataset(str(small_records), 'train'), building.EvaluationBatches

    def with_another(*arguments, **options):
        for number, batch in enumerate(batches(*arguments, **options)):
            if number == 3:
                with pytest.raises(ValueError, match='--output=.* is in use by process'):
                    building.build(loaded, dataset, str(tmp_path), batch_size=10)
            yield batch
    monkeypatch.setattr(building, 'EvaluationBatches', with_another)
    building.build(loaded, dataset, str(tmp_path), batch_size=10)
    assert contents(tmp_path) == contents(built)


@pytest.mark.parametrize('file', ['index.json', 'building.json'])
def test_it_is_not_mixed_with_another(file, loaded, copied, small_records):
    (copied / 'index.json').rename(copied / file)
    with pytest.raises(ValueError, match=r"has an index whose split is 'train', not 'validation'; choose another"):
        building.build(loaded, datasets.open_dataset(str(small_records), 'validation'), str(copied), batch_size=10)


def test_features_beyond_float16_are_refused(loaded, small_records, tmp_path):
    layer = loaded.model.get_layer('fc7')
    before = layer.bias.numpy()
    layer.bias.assign(before + 1e6)
    try:
        with pytest.raises(ValueError, match='train-00000-of-00002, record 0 reach 1.*e.06, and float16 ends at 65504'):
            building.build(loaded, datasets.open_dataset(str(small_records), 'train'), str(tmp_path), batch_size=10)
    finally:
        layer.bias.assign(before)


@pytest.mark.slow
def test_kill_9_leaves_the_bytes_of_an_undisturbed_build(loaded, tmp_path):
    def command(output):
        return [*NARROW, 'alexnet_tf.retrieval', 'build', f'--checkpoint_path={loaded.checkpoint}', '--batch_size=20',
                f'--output={output}']
    run_python(*command(tmp_path / 'undisturbed'))
    killed = tmp_path / 'killed'
    for least in (20, 300, 900):
        with subprocess.Popen([sys.executable, *command(killed)], cwd=ROOT, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 300
            while done(killed) < least and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert process.poll() is None, 'it ended before it was killed'
            process.send_signal(signal.SIGKILL)
        assert 0 < done(killed) < 2000
    assert 'Going on after' in run_python(*command(killed)).stdout
    assert sorted(contents(killed)) == sorted(NAMES) and contents(killed) == contents(tmp_path / 'undisturbed')


def done(folder):
    path = folder / 'building.json'
    return json.loads(path.read_text())['done'] if path.exists() else 0
