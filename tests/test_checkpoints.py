"""Checkpoints of a run, metrics.jsonl and TensorBoard's events, model.json, the choice of arithmetic.

test_training.py has the plain cases of each.
"""
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.model import building, precision, specs
from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.run_folder.metrics_log import MetricsLog


def save(folder, step, **more):
    return checkpoints.save(str(folder), step, {'net/weights': tf.fill([4], float(step))} | more)


def steps_in(folder):
    return sorted(int(path.name.split('-')[1].split('.')[0]) for path in Path(folder).glob('model.ckpt-*.index'))


# Checkpoints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['plain', 'with space'])
def test_the_last_five_are_kept_after_every_save(tmp_path, name):
    folder = tmp_path / name
    saved = [1, 2, 3, 4, 5, 6, 7, 98, 99, 100, 1000]  # by number, not by letter
    for count, step in enumerate(saved, 1):
        save(folder, step)
        kept = saved[max(0, count - 5):count]
        assert steps_in(folder) == kept
        state = tf.train.get_checkpoint_state(str(folder))
        assert state.model_checkpoint_path == str(folder / f'model.ckpt-{step}')
        assert list(state.all_model_checkpoint_paths) == [str(folder / f'model.ckpt-{number}') for number in kept]
    assert {path.name.split('.')[0] for path in folder.iterdir()} == {'model', 'checkpoint'}  # nothing left over
    assert len(list(folder.iterdir())) == 3 * 5 + 1  # index, data, manifest; and checkpoint


def test_saving_a_step_again_replaces_it(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    path = save(tmp_path, 3, **{'net/biases': tf.ones([2])})
    assert steps_in(tmp_path) == [1, 2, 3]
    assert tf.train.load_variable(path, 'net/biases').tolist() == [1, 1]


def test_other_files_stay(tmp_path):
    (tmp_path / 'model.ckpt-final.index').write_text('mine')
    (tmp_path / 'notes.txt').write_text('mine')
    for step in range(1, 8):
        save(tmp_path, step)
    assert (tmp_path / 'notes.txt').exists() and (tmp_path / 'model.ckpt-final.index').exists()


def test_a_folder_can_be_moved(tmp_path):
    save(tmp_path / 'old', 1)
    save(tmp_path / 'old', 2)
    shutil.move(tmp_path / 'old', tmp_path / 'new')
    assert checkpoints.find(str(tmp_path / 'new')) == str(tmp_path / 'new' / 'model.ckpt-2')
    assert tf.train.latest_checkpoint(str(tmp_path / 'new')) == str(tmp_path / 'new' / 'model.ckpt-2')


def test_find(tmp_path):
    assert checkpoints.find(str(tmp_path)) is None
    assert checkpoints.find(str(tmp_path / 'absent')) is None
    for step in (9, 10):
        save(tmp_path, step)
    latest = str(tmp_path / 'model.ckpt-10')
    for given in (str(tmp_path), str(tmp_path) + '/', latest, latest + '.index', latest + '.data-00000-of-00001'):
        assert checkpoints.find(given) == latest, given
    assert checkpoints.find(str(tmp_path / 'model.ckpt-1')) is None  # not the first letters of another
    os.remove(tmp_path / 'checkpoint')  # someone copied only the checkpoints
    assert checkpoints.find(str(tmp_path)) == latest


@pytest.mark.parametrize('sign', list('*?[]\\'))
def test_folders_that_tensorflow_takes_for_patterns_are_refused(tmp_path, sign):
    with pytest.raises(ValueError, match='TensorFlow cannot read checkpoints from; choose another folder'):
        checkpoints.find(str(tmp_path / f'run{sign}1'))


def test_find_takes_the_one_that_tensorflows_file_names_where_slim_wrote(tmp_path):
    for step in (1, 2):
        os.remove(save(tmp_path, step) + checkpoints.MANIFEST)
    (tmp_path / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-1"\n')
    assert checkpoints.find(str(tmp_path)) == str(tmp_path / 'model.ckpt-1')


def test_step_of(tmp_path):
    assert checkpoints.step_of(save(tmp_path, 70)) == 70  # by its name
    assert checkpoints.step_of(save(tmp_path, 80, global_step=tf.constant(12, tf.int64))) == 12
    path = checkpoints.named.save({'w': tf.ones([1])}, str(tmp_path / 'bare'))
    assert checkpoints.step_of(path) == 0
    with pytest.raises(ValueError, match='no readable checkpoint'):
        checkpoints.step_of(str(tmp_path / 'absent'))


def test_best_shares_its_data_and_outlives_the_rolling(tmp_path):
    first = save(tmp_path, 1)
    checkpoints.save_best(str(tmp_path), first)
    for file in ('.index', '.data-00000-of-00001'):
        assert os.path.samefile(first + file, tmp_path / 'best' / f'model.ckpt-1{file}')
    for step in range(2, 9):
        save(tmp_path, step)
    assert steps_in(tmp_path) == [4, 5, 6, 7, 8] and steps_in(tmp_path / 'best') == [1]
    best = tf.train.latest_checkpoint(str(tmp_path / 'best'))
    assert tf.train.load_variable(best, 'net/weights').tolist() == [1] * 4
    for step in (8, 8, 6):  # also the same again, and an older one
        checkpoints.save_best(str(tmp_path), str(tmp_path / f'model.ckpt-{step}'))
        assert steps_in(tmp_path / 'best') == [step]
        assert tf.train.latest_checkpoint(str(tmp_path / 'best')) == str(tmp_path / 'best' / f'model.ckpt-{step}')
    assert steps_in(tmp_path) == [4, 5, 6, 7, 8]  # taking from best takes nothing from the folder


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='cannot write the checkpoint .*file/model.ckpt-1'):
        save(tmp_path / 'file', 1)


# Metrics ----------------------------------------------------------------------------------------------


def events(folder):
    """{(tag, step): [values]} as TensorBoard would read them."""
    found = {}
    for path in sorted(Path(folder).glob('events.out.tfevents.*')):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == 'scalars'
                found.setdefault((value.tag, event.step), []).append(float(tf.make_ndarray(value.tensor)))
    return found


def test_rows_and_events_say_the_same(tmp_path):
    log = MetricsLog(str(tmp_path / 'new'), 0)
    log.write('train', 10, loss=2.5, learning_rate=0.01)
    log.write('validation', 10, accuracy=0.25)
    log.write('train', 20, loss=1.5, learning_rate=0.001)
    rows = metrics.read(str(tmp_path / 'new'))  # on disk at once, before close()
    log.close()
    assert rows == [{'kind': 'train', 'step': 10, 'loss': 2.5, 'learning_rate': 0.01},
                    {'kind': 'validation', 'step': 10, 'accuracy': 0.25},
                    {'kind': 'train', 'step': 20, 'loss': 1.5, 'learning_rate': 0.001}]
    assert events(tmp_path / 'new') == {
        ('train/loss', 10): [2.5], ('train/learning_rate', 10): [pytest.approx(0.01)],
        ('validation/accuracy', 10): [0.25],
        ('train/loss', 20): [1.5], ('train/learning_rate', 20): [pytest.approx(0.001)]}


@pytest.mark.parametrize('start_step, kept', [(0, []), (9, []), (10, [10, 10]), (20, [10, 10, 20]),
                                              (99, [10, 10, 20, 30])])
def test_rows_behind_the_start_are_taken_out(tmp_path, start_step, kept):
    log = MetricsLog(str(tmp_path), 0)
    for kind, step in (('train', 10), ('validation', 10), ('train', 20), ('train', 30)):
        log.write(kind, step, loss=1.0)
    log.close()
    MetricsLog(str(tmp_path), start_step).close()
    assert [row['step'] for row in metrics.read(str(tmp_path))] == kept


@pytest.mark.parametrize('cut', range(1, 40, 6))
def test_a_line_cut_anywhere_is_left_out_and_later_rows_are_whole(tmp_path, cut):
    log = MetricsLog(str(tmp_path), 0)
    log.write('train', 10, loss=1.0)
    log.write('train', 20, loss=2.0)
    log.close()
    path = tmp_path / metrics.METRICS_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    expected = [10, 20] if cut == 1 else [10]  # with cut 1 only the end of the line is missing
    assert [row['step'] for row in metrics.read(str(tmp_path))] == expected
    log = MetricsLog(str(tmp_path), 20)
    log.write('train', 30, loss=3.0)
    log.close()
    assert [json.loads(line)['step'] for line in path.read_text().splitlines()] == expected + [30]


def test_a_folder_without_metrics_has_no_rows(tmp_path):
    assert metrics.read(str(tmp_path)) == []


# model.json -------------------------------------------------------------------------------------------


def test_specs_with_a_mean_image(tmp_path):
    spec = specs.Spec('alexnet_v2', 112, ('n01440764', '鱼', 'a "quoted" name'), 'mean_image.npy')
    specs.write_spec(spec, str(tmp_path / 'deep' / 'folder'))
    assert specs.read_spec(str(tmp_path / 'deep' / 'folder')) == spec and spec.num_classes == 3
    image = np.random.default_rng(0).uniform(0, 255, [128, 128, 3])
    np.save(tmp_path / 'mean_image.npy', image)
    mean = building.load_mean(spec, str(tmp_path))
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, image.astype(np.float32))
    rgb = building.load_mean(specs.Spec('alexnet', 224, ('a',), (1, 2.5, 3)), str(tmp_path / 'absent'))
    assert rgb.dtype == np.float32 and rgb.tolist() == [1, 2.5, 3]


@pytest.mark.parametrize('damage', [
    '', 'no json', '[]', '"text"', 'null', '{}', '{"model_name": "alexnet"}',
    '{"model_name": "alexnet", "image_size": 224, "class_names": 7, "mean": [1, 2, 3]}',
    '{"model_name": "alexnet", "image_size": 224, "class_names": ["a"], "mean": 7}',
    '{"model_name": "alexnet", "image_size": 224, "class_names": ["a"], "mean": [1, 2, 3], "unknown": 1}'])
def test_a_damaged_model_json_is_named(tmp_path, damage):
    (tmp_path / 'model.json').write_text(damage)
    with pytest.raises(ValueError, match=re.escape(f'cannot read {tmp_path / "model.json"}')):
        specs.read_spec(str(tmp_path))


@pytest.mark.parametrize('content', [b'', b'text', b'\x93NUMPY\x01\x00'])
def test_a_damaged_mean_image_is_named(tmp_path, content):
    (tmp_path / 'mean.npy').write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f'cannot read the mean image {tmp_path / "mean.npy"}')):
        building.load_mean(specs.Spec('alexnet', 224, ('a',), 'mean.npy'), str(tmp_path))


def test_a_mean_image_of_another_size_says_what_to_do(tmp_path):
    np.save(tmp_path / 'mean.npy', np.zeros([224, 224, 3], np.float32))
    with pytest.raises(ValueError, match=r'shape \(224, 224, 3\).*must be \(256, 256, 3\).*--mean=rgb'):
        building.load_mean(specs.Spec('alexnet', 224, ('a',), 'mean.npy'), str(tmp_path))


# Arithmetic -------------------------------------------------------------------------------------------


def test_precision_as_asked_is_the_same_everywhere():
    assert precision.choose('float32') == ('float32', 'float32, as asked')
    assert precision.choose('bfloat16') == ('mixed_bfloat16', 'bfloat16 with float32 variables, as asked')


@pytest.mark.parametrize('value', ['float16', 'Float32', 'mixed_bfloat16', '', None])
def test_other_precisions_are_refused(value):
    with pytest.raises(ValueError, match=f'precision is {value!r}; it must be float32, bfloat16 or auto'):
        precision.choose(value)


def test_auto_goes_by_this_processor():
    policy, reason = precision.choose('auto')
    gpus = tf.config.get_visible_devices('GPU')
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0])['compute_capability']
        able, processor = capability[0] >= 8, f'GPU of compute capability {capability[0]}.{capability[1]}'
    else:
        cpuinfo = Path('/proc/cpuinfo')
        text = cpuinfo.read_text() if cpuinfo.exists() else ''
        flags = [flag for flag in ('amx_bf16', 'avx512_bf16') if re.search(rf'\b{flag}\b', text)]
        able, processor = bool(flags), f'CPU with {" and ".join(flags)}' if flags else 'CPU without AVX512_BF16 and AMX'
    assert policy == ('mixed_bfloat16' if able else 'float32')
    assert reason.endswith(f'chosen for a {processor}')
    assert reason.startswith('bfloat16 with float32 variables' if able else 'float32,')
