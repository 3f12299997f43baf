"""What a run that goes on keeps, and what it refuses: flags, threads, training set, description."""
import dataclasses
import os

import numpy as np
import pytest

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import building, specs
from alexnet_tf.run_folder import settings
from alexnet_tf.training import description, resuming
from tests.helpers import shards
from tests.helpers.saved import three_checkpoints


def test_a_training_set_in_another_order_is_another(tmp_path):
    pictures = [shards.example(b'x' * size, 0) for size in range(10, 40)]
    kinds = []
    for name, images in (('one', pictures), ('two', pictures[::-1])):
        shards.write(tmp_path / name, images)
        kinds.append(resuming.describe(datasets.open_dataset(str(tmp_path / name), 'train')))
    assert kinds[0] != kinds[1] and kinds[0].startswith('30 records of ')


RULES = {'momentum': 'refuse', 'batch_size': 'refuse', 'intra_op_threads': 'refuse', 'learning_rate': 'name',
         'train_dir': 'ignore', 'hidden_bias': 'keep', 'checkpoint_path': 'keep'}


def check(folder, now, allowed=()):
    """(what the run goes on with, lines that are logged)."""
    lines = []
    return resuming.check(str(folder), now, RULES, allowed, lines.append), lines


def test_flags_that_may_change_are_named_and_a_missing_description_too(tmp_path):
    now = dict.fromkeys(RULES, 1) | {'learning_rate': 0.5, 'train_dir': 'b'}
    kept, lines = check(tmp_path, now)
    assert kept == now and len(lines) == 1
    assert 'flags.json: whether the run was started with the same flags cannot be known' in lines[0]
    settings.write(str(tmp_path), now)
    assert check(tmp_path, now) == (now, [])
    settings.write(str(tmp_path), now | {'learning_rate': 0.01, 'momentum': 0.9, 'train_dir': 'a'})
    assert check(tmp_path, now, ['momentum']) == (
        now, ['Changed since the run was started: --momentum=1 (was 0.9), --learning_rate=0.5 (was 0.01).'])
    with pytest.raises(ValueError, match='--momentum=0.9, not 1; .*--allow_changes=momentum'):
        check(tmp_path, now)
    with pytest.raises(ValueError, match='--momentum=0.9, not 1; .*--allow_changes=batch_size,momentum'):
        check(tmp_path, now, ['batch_size'])


def test_what_says_how_a_run_begins_stays_as_it_was(tmp_path):
    now = dict.fromkeys(RULES, 1)
    begun = now | {'hidden_bias': 0.1, 'checkpoint_path': 'other/run'}
    settings.write(str(tmp_path), begun)
    assert check(tmp_path, now | {'hidden_bias': 1.0, 'checkpoint_path': None}) == (
        begun, ['--hidden_bias=1.0 has no effect now: the run was started with 0.1.'])


def test_only_what_is_refused_can_be_allowed():
    resuming.check_allowed(['momentum', 'batch_size'], RULES)
    with pytest.raises(ValueError, match='--allow_changes=learning_rate: known are momentum, batch_size'):
        resuming.check_allowed(['momentum', 'learning_rate'], RULES)


def test_the_number_of_threads_is_that_of_the_run(tmp_path):
    cores = len(os.sched_getaffinity(0))
    assert resuming.choose_threads(str(tmp_path), None) == (cores, 'one per core')
    now = dict.fromkeys(RULES) | {'intra_op_threads': cores + 1}
    settings.write(str(tmp_path), now)
    assert resuming.choose_threads(str(tmp_path), None) == (cores + 1, 'as the run was started')
    assert resuming.choose_threads(str(tmp_path), 7) == (7, '--intra_op_threads')
    with pytest.raises(ValueError, match=rf'intra_op_threads={cores + 1}, not 7.*--allow_changes=intra_op_threads'):
        check(tmp_path, now | {'intra_op_threads': 7})


@pytest.mark.parametrize('wrong', ['2', True, 0, 1025, 2.0, [2]])
def test_a_number_of_threads_that_cannot_be_is_refused(tmp_path, wrong):
    settings.write(str(tmp_path), {'intra_op_threads': wrong})
    with pytest.raises(ValueError, match='must be a whole number from 1 to 1024'):
        resuming.choose_threads(str(tmp_path), None)


# The description: model.json, the mean, flags.json ----------------------------------------------------


@pytest.mark.parametrize('resumed', [False, True])
def test_only_a_resumed_run_keeps_the_mean_image_of_its_folder(tmp_path, resumed):
    """A new one takes that of its data, not what an earlier try left there, of other data or cut off by a full disk."""
    run, records = tmp_path / 'run', tmp_path / 'records'
    spec = specs.Spec('alexnet', 224, ('a', 'b'), 'mean_image.npy')
    for folder, gray in ((run, 7), (records, 8)):
        folder.mkdir()
        np.save(folder / 'mean_image.npy', np.full([256, 256, 3], gray, np.float32))
    mean = description.write(str(run), spec, {'seed': 0}, data_folder=str(records), resumed=resumed)
    assert np.unique(mean).tolist() == [7 if resumed else 8]
    for folder in (run, run / 'best'):
        assert (building.load_mean(spec, str(folder)) == mean).all() and specs.read_spec(str(folder)) == spec
    assert resuming.check(str(run), {'seed': 0}, {'seed': 'refuse'}, log=pytest.fail) == {'seed': 0}


def test_a_run_on_other_data_keeps_its_own_mean(tmp_path):
    known = specs.Spec('alexnet', 224, ('a', 'b'), (1.0, 2.0, 3.0))
    other = dataclasses.replace(known, mean=(4.0, 5.0, 6.0))
    specs.write_spec(known, str(tmp_path))
    assert description.agreed_spec(other, str(tmp_path)) == other  # nothing was trained yet
    three_checkpoints(tmp_path)
    assert description.agreed_spec(known, str(tmp_path)) == known
    agreed = description.agreed_spec(other, str(tmp_path), other_data=True)
    assert agreed == known
    assert description.write(str(tmp_path), agreed, {}, data_folder='', resumed=True).tolist() == [1, 2, 3]
    for spec, allowed, names in (
            (other, False, r'mean \(1.0, 2.0, 3.0\), not \(4.0, 5.0, 6.0\)'),
            (dataclasses.replace(other, mean='mean_image.npy'), True, "mean .*, not 'mean_image.npy'"),
            (dataclasses.replace(other, class_names=('b', 'a')), True, r"class_names \('a', 'b'\), not \('b', 'a'\)"),
            (dataclasses.replace(known, variant='caffe'), True, "variant 'paper', not 'caffe'")):
        with pytest.raises(ValueError, match=f'holds a run with {names}; no flag allows that'):
            description.agreed_spec(spec, str(tmp_path), other_data=allowed)


def test_the_spec_of_a_data_set(tmp_path):
    records = shards.write(tmp_path, [shards.picture(number) for number in range(3)])
    dataset = datasets.open_dataset(str(records), 'train')
    dataset = dataclasses.replace(dataset, info={'mean_rgb': [1, 2, 3], 'mean_image': 'mean.npy'})
    assert description.make_spec(dataset, model_name='alexnet', variant='caffe') == specs.Spec(
        'alexnet', 227, ('a', 'b', 'c'), (1, 2, 3), 0, 'caffe')
    spec = description.make_spec(dataset, model_name='alexnet', image_size=112, mean='image', dropout_keep_prob=0.7,
                                 dropout_form='original')
    assert (spec.image_size, spec.mean, spec.unscaled_dropout) == (112, 'mean.npy', 0.7)
    without = dataclasses.replace(dataset, info={})
    lines = []
    spec = description.make_spec(without, model_name='alexnet', log=lines.append)
    assert spec.mean == preprocessing.IMAGENET_MEAN_RGB
    assert len(lines) == 1 and "has no statistics of build_tfrecords: ImageNet's mean RGB and color axes" in lines[0]
    with pytest.raises(ValueError, match='--mean=image, but .* has no mean image .*use --mean=rgb'):
        description.make_spec(without, model_name='alexnet', mean='image')


def test_a_value_in_flags_json_cannot_forge_a_line(tmp_path):
    settings.write(str(tmp_path), {'rate': '1\nResuming\x1b[31m' + 'x' * 10 ** 5, 'bias': '\n', 'initial_values': '\n'})
    lines = []
    resuming.check(str(tmp_path), {'rate': 1, 'bias': 1, 'initial_values': 'caffe'},
                   {'rate': 'name', 'bias': 'name', 'initial_values': 'keep'}, log=lines.append)
    assert len(lines) == 2 and all(line.isprintable() and len(line) < 5000 for line in lines)
