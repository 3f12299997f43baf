"""Every flag of the training script arrives: what the script calls the library with, with the flag and without it.

One flag at a time, beside it only those that it needs, and nothing else may change. What the library does with it, the
library's tests say, and test_twin.py. A new flag fails here until ARRIVES says where it goes.
"""
import os
import shutil

import numpy as np
import pytest

import train_image_classifier
from alexnet_tf.data import datasets
from alexnet_tf.files import places
from alexnet_tf.script_flags import recipes
from alexnet_tf.script_flags.train import OPTIMIZER, ROWS
from alexnet_tf.training.schedules import Change
from tests.helpers import calls
from tests.helpers.commands import call_once, flags_of
from tests.helpers.train_calls import FUNCTIONS, TEAM

# Parts of names that are not compared.
AS_IT_IS = ('check_allowed.rules.', 'make_spec.log', 'begin.log', 'train.log', '.notice', 'begin.model', 'train.state',
            'warm_start.spec.')


def spec(**fields):
    """The fields of the network's description in all places where the script passes it on."""
    return {f'{place}.{field}': value for field, value in fields.items()
            for place in ('agreed_spec.spec', 'build.spec', 'write.spec')}


def everywhere(before, after):
    return len(before) != len(after)


# {flag: (value, {what changes: value}, other flags …)}; the settings in flags.json change always.
BACKGROUND = ('background', *'airplane automobile bird cat deer dog frog horse ship truck'.split())
NO_PLATEAU = {'Plateau.patience': None, 'Plateau.max_divisions': None, 'begin.plateau': None}
ARRIVES = {
    'train_dir': ('{other}/run', dict.fromkeys((
        'check_writable.folder', 'choose_threads.train_dir', 'hold.folder', 'agreed_spec.train_dir', 'begin.train_dir',
        'write.train_dir', 'train.train_dir'), '{other}/run')),
    'dataset_dir': ('{other}', {
        'open_splits.folder': '{other}', 'make_spec.dataset': ('other', 'train'), 'write.data_folder': '{other}',
        'train.dataset': ('other', 'train'), 'train.validation': ('other', 'validation')}),
    'dataset_name': ('flowers', {'open_splits.default_num_classes': None}),
    'dataset_split_name': ('validation', {
        'open_splits.split': 'validation', 'make_spec.dataset': ('records', 'validation'),
        'train.dataset': ('records', 'validation'), 'train.pace.num_examples': 20, 'steps.num_examples': 20,
        'train.pace.max_steps': 15, 'write.values.dataset': everywhere}),  # 90 * 20 / 128, rounded up
    'validation_split_name': ('train', {
        'open_splits.validation_split': 'train', 'train.validation': ('records', 'train')}),
    'labels_offset': (0, {'open_splits.labels_offset': 0} | spec(labels_offset=0, class_names=BACKGROUND)),
    'batch_size': (8, {'train.pace.batch_size': 8, 'steps.batch_size': 8, 'train.pace.max_steps': 540,
                       'train.pace.validate_every': 6}),
    'num_preprocessing_threads': (3, {'train.num_threads': 3}),
    'max_bad_records': (2, {'open_splits.max_bad_records': 2}),
    'data_service': ('grpc://a:1', {
        'train.service': None, 'wait_for.service.address': 'grpc://a:1', 'wait_for.service.timeout_secs': 120.0,
        'train.service.address': 'grpc://a:1', 'train.service.timeout_secs': 120.0}),
    'data_service_timeout_secs': (2.5, {
        'wait_for.service.timeout_secs': 2.5, 'train.service.timeout_secs': 2.5}),
    'mean': ('image', {'make_spec.mean': 'image'} | spec(mean='mean_image.npy'),
             f'--dataset_dir={datasets.SAMPLE_DIR}'),
    'resize_mode': ('warp', {'make_spec.resize_mode': 'warp', 'train.resize_mode': 'warp'} | spec(resize_mode='warp')),
    'resize_side_max': (300, {'check_resize_side_max.resize_side_max': 300, 'train.resize_side_max': 300}),
    'color_noise': (0.2, {'color_noise.scale': 0.2, 'train.noise.axes': lambda before, after: np.allclose(
        2 * np.array(before), after)}),
    'color_noise_kind': ('source', {'color_noise.kind': 'source', 'train.noise.divisor': 1.1}),
    'model_name': ('alexnet', {'make_spec.model_name': 'alexnet'} | spec(model_name='alexnet')),
    'recipe': ('caffe', {
        'make_spec.model_name': 'alexnet', 'make_spec.variant': 'caffe', 'check_resize_side_max.size': 227,
        **spec(model_name='alexnet', variant='caffe', image_size=227, resize_mode='warp'),
        'make_spec.resize_mode': 'warp', 'train.resize_mode': 'warp', 'build.initial_values': 'caffe',
        'build.hidden_bias': 0.1, **NO_PLATEAU, 'train.rates.decay_type': 'exponential', 'train.rates.bias_factor': 2.0,
        'train.rates.epochs_per_decay': 20.0, 'train.pace.batch_size': 256, 'steps.batch_size': 256,
        'train.pace.max_steps': 17, 'begin.own_rates': True, 'color_noise.scale': 0.0, 'train.noise': None,
        'train.noise.axes': None, 'train.noise.divisor': None, 'make_spec.dropout_form': 'inverted',
        **{f'write.values.{part.flag}': part.caffe[0] for part in recipes.RECIPES if part.flag in (
            'model_name', 'variant', 'initial_values', 'hidden_bias', 'batch_size', 'learning_rate_decay_type',
            'num_epochs_per_decay', 'bias_learning_rate_factor', 'color_noise', 'dropout_form',
            'resize_mode')}}, '--mean=rgb'),
    'variant': ('source', {'make_spec.variant': 'source'} | spec(variant='source', unscaled_dropout=0.5)),
    'train_image_size': (250, {'make_spec.image_size': 250, 'check_resize_side_max.size': 250} | spec(image_size=250)),
    'initial_values': ('caffe', {'build.initial_values': 'caffe'}),
    'hidden_bias': (0.3, {'build.hidden_bias': 0.3}),
    'dropout_keep_prob': (0.7, {'make_spec.dropout_keep_prob': 0.7, 'build.dropout_keep_prob': 0.7}),
    'dropout_form': ('original', {'make_spec.dropout_form': 'original'} | spec(unscaled_dropout=0.5)),
    'seed': (5, {'set_random_seed.seed': 5, 'train.seed': 5}),
    'precision': ('bfloat16', {'choose.precision': 'bfloat16', 'build.dtype': 'mixed_bfloat16'}),
    'weight_decay': (0.2, {'train.weight_decay': 0.2}),
    'label_smoothing': (0.1, {'train.label_smoothing': 0.1}),
    'checkpoint_path': ('/other/run', {
        'begin.warm_start': None, 'begin.warm_start.checkpoint_path': '/other/run',
        'begin.warm_start.exclude_scopes': [], 'begin.warm_start.ignore_missing': False}),
    'checkpoint_exclude_scopes': ('a/b,c', {'begin.warm_start.exclude_scopes': ['a/b', 'c']}),
    'ignore_missing_vars': ('true', {'begin.warm_start.ignore_missing': True}),
    'trainable_scopes': ('a/b,c', {'begin.trainable_scopes': ['a/b', 'c']}),
    'optimizer': ('sgd', {'make.name': 'sgd'}),
    **{row.name: (value, {f'make.{row.name}': value}) for row in OPTIMIZER
       for value in [row.default / 2 if row.default else 0.25]},
    'learning_rate': (0.5, {'train.rates.base': 0.5}),
    'bias_learning_rate_factor': (3, {'train.rates.bias_factor': 3, 'begin.own_rates': True}),
    'learning_rate_decay_type': ('fixed', NO_PLATEAU | {'train.rates.decay_type': 'fixed'}),
    'learning_rate_decay_factor': (0.3, {'train.rates.factor': 0.3}),
    'num_epochs_per_decay': (2.5, {'train.rates.epochs_per_decay': 2.5}),
    'end_learning_rate': (0.003, {'train.rates.end': 0.003}),
    'decay_epochs': ('1,2.5', {'train.rates.boundaries': (1.0, 2.5)}, '--decay_epochs=3'),
    'learning_rate_steps': ('0:0.2,5:conv1=0', {
        'train.rates.changes': (Change(0, '', 0.2), Change(5, 'conv1', 0))}, '--learning_rate_steps=0:0.1'),
    'plateau_patience': (3, {'Plateau.patience': 3}),
    'warmup_epochs': (1.5, {'train.rates.warmup_epochs': 1.5}),
    'num_epochs': (2, {'steps.num_epochs': 2.0, 'train.pace.max_steps': 1}),
    'max_number_of_steps': (9, {'steps.num_examples': None, 'steps.batch_size': None, 'steps.num_epochs': None,
                                'train.pace.max_steps': 9}),
    'validate_every_n_steps': (7, {'train.pace.validate_every': 7}),
    'log_every_n_steps': (4, {'train.pace.log_every': 4}),
    'save_interval_secs': (60, {'train.pace.save_secs': 60}),
    'save_summaries_secs': (70, {'train.pace.summary_secs': 70}),
    'summaries': ('pictures', {'train.pictures': True}),
    'max_rollbacks': (5, {'train.pace.max_rollbacks': 5}),
    'allow_changes': ('seed,dataset', {'check_allowed.allowed': ['seed', 'dataset'], 'agreed_spec.other_data': True}),
    'strategy': ('multi_worker', dict.fromkeys(
        ('make_strategy.num_clones', 'make_strategy.clone_on_cpu', 'make_strategy.model_parallel', 'build.devices')) | {
            'join.cluster.addresses': ('a:1', 'b:1'), 'join.cluster.index': 0, 'join.num_clones': 1,
            'join.timeout_secs': 300, 'join.on_cpu': False, 'join.name': 'train_image_classifier',
            'join.log': lambda _, after: after is print,
            'begin.team': TEAM, 'train.team': TEAM}),
    'cluster_timeout_secs': (20, {'join.timeout_secs': 20}),
    'num_clones': (2, {'make_strategy.num_clones': 2}),
    'model_parallel': (2, {'make_strategy.model_parallel': 2}),
    'clone_on_cpu': ('true', {'make_strategy.clone_on_cpu': True}),
    'intra_op_threads': (3, {'choose_threads.given': 3, 'set_intra_op_parallelism_threads.num_threads': 3}),
}


def test_every_flag_has_its_place():
    assert set(ARRIVES) | {'print_recipe'} == {row.name for row in ROWS if not row.refused}


@pytest.fixture(scope='module')
def other(small_records, tmp_path_factory):
    """A second folder of the same records."""
    return shutil.copytree(small_records, tmp_path_factory.mktemp('place') / 'other')


@pytest.fixture
def call(small_records, tmp_path, monkeypatch):
    """A function of arguments that gives what the script calls the library with."""
    monkeypatch.setattr(places, 'check_checkpoint', lambda _: None)  # what is not there is given all the same

    def noted(*arguments):
        folder = tmp_path / str(len(os.listdir(tmp_path)))
        found = calls.of_command(train_image_classifier, FUNCTIONS, f'--train_dir={folder}',
                                 f'--dataset_dir={small_records}', '--precision=float32', *arguments)
        assert found['exit'] == 0, found['said']
        kept = {name: value for name, value in found.items() if not any(skipped in name for skipped in AS_IT_IS)}
        names = {str(folder): 'the train_dir', small_records.name: 'records'}
        return {name: names.get(value, value) if isinstance(value, str) else
                (names.get(value[0], value[0]), value[1]) if isinstance(value, tuple) and len(value) == 2 else value
                for name, value in kept.items()}
    return noted


@pytest.mark.parametrize('row', [row for row in ROWS if row.name in ARRIVES], ids=lambda row: row.name)
def test_a_flag_arrives_and_changes_nothing_else(row, call, other):
    value, expected, *beside = ARRIVES[row.name]
    fill = {'{other}': str(other), '{other}/run': f'{other}/run'}
    with flags_of(ROWS) as flags:
        parsed = flags[row.name].parser.parse(str(fill.get(value, value)))
        expected = {name: fill.get(wanted, wanted) if isinstance(wanted, str) else wanted
                    for name, wanted in expected.items()}
        calls.check(row, ROWS, call, fill.get(value, value), {f'write.values.{row.name}': parsed} | expected, *beside)


def test_print_recipe_prints_and_does_nothing_else():
    with flags_of(ROWS), calls.noted(FUNCTIONS) as found:
        result = call_once(train_image_classifier, '--print_recipe', '--recipe=caffe')
    assert not found and result.stdout.count('\n') == len(recipes.RECIPES)
