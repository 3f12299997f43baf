"""The tables of both scripts: slim's 51 + 16 flags are kept or refused, the page about them says the same, choices and
defaults are the library's, and what has no effect is refused."""
import inspect

import pytest

import eval_image_classifier
import train_image_classifier
from alexnet_tf import ablate
from alexnet_tf.data import color_noise
from alexnet_tf.model import precision
from alexnet_tf.script_flags import recipes
from alexnet_tf.training import description, optimizers, plateau, run, schedules
from alexnet_tf.training.pace import Pace
from nets import alexnet, nets_factory
from tests.helpers import flag_tables, flag_walk
from tests.helpers.commands import messages_of

# slim's own flags, from its two scripts.
SLIM_TRAIN = '''master train_dir warmup_epochs num_clones clone_on_cpu worker_replicas num_ps_tasks num_readers
num_preprocessing_threads log_every_n_steps save_summaries_secs save_interval_secs task weight_decay optimizer
adadelta_rho adagrad_initial_accumulator_value adam_beta1 adam_beta2 opt_epsilon ftrl_learning_rate_power
ftrl_initial_accumulator_value ftrl_l1 ftrl_l2 momentum rmsprop_momentum rmsprop_decay quantize_delay
learning_rate_decay_type learning_rate end_learning_rate label_smoothing learning_rate_decay_factor
num_epochs_per_decay sync_replicas replicas_to_aggregate moving_average_decay dataset_name dataset_split_name
dataset_dir labels_offset model_name preprocessing_name batch_size train_image_size max_number_of_steps
use_grayscale checkpoint_path checkpoint_exclude_scopes trainable_scopes ignore_missing_vars'''.split()
SLIM_EVAL = '''batch_size max_num_batches master checkpoint_path eval_dir num_preprocessing_threads dataset_name
dataset_split_name dataset_dir labels_offset model_name preprocessing_name moving_average_decay eval_image_size
quantize use_grayscale'''.split()

TRAIN, EVAL, ABLATE = ({row.name: row for row in module.ROWS} for module in (
    train_image_classifier, eval_image_classifier, ablate))


@pytest.mark.parametrize('rows, slim, count', [(TRAIN, SLIM_TRAIN, 51), (EVAL, SLIM_EVAL, 16)], ids=['train', 'eval'])
def test_every_flag_of_slim_is_known_and_a_refused_one_says_why(rows, slim, count):
    assert len(set(slim)) == count
    module = 'train_image_classifier' if rows is TRAIN else 'eval_image_classifier'
    refused = [name for name in slim if rows[name].refused]
    for name, message in zip(refused, messages_of(module, [[f'--{name}=1'] for name in refused])):
        assert f'refused: {rows[name].refused}' in message, message
    for name, row in rows.items():
        assert name in slim or not row.refused, name
        kept = name in slim and not row.refused
        assert row.slim.startswith('kept') if kept else row.slim == '', name


def test_the_page_about_slim_has_the_tables():
    text = flag_tables.PAGE.read_text()
    assert flag_tables.filled(text) == text, 'run: python -m tests.helpers.flag_tables'
    for name, slim in (('train', SLIM_TRAIN), ('eval', SLIM_EVAL)):
        rows = text.partition(f'<!-- flags: {name} -->')[2].partition('<!-- end -->')[0].splitlines()
        told = {row.split('`')[1]: row.split(' | ')[-1] for row in rows if row.startswith('| `')}
        assert {flag for flag, last in told.items() if last.startswith(('kept', 'refused: '))} == set(slim)
        assert {last for flag, last in told.items() if flag not in slim} == {'new |'}


# The tables say choices and defaults once more, since what knows them needs TensorFlow.


def defaults(function):
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not parameter.empty}


def test_choices_are_the_librarys():
    assert TRAIN['optimizer'].choices == optimizers.NAMES
    assert TRAIN['variant'].choices == TRAIN['initial_values'].choices == tuple(alexnet.VARIANTS)
    assert set(recipes.NAMES) == {name for name in recipes.Part.__dataclass_fields__ if name != 'flag'}
    assert TRAIN['color_noise_kind'].choices == color_noise.KINDS
    assert set(TRAIN['model_name'].choices) == set(EVAL['model_name'].choices) == set(nets_factory.models_map)
    float32, bfloat16, auto = TRAIN['precision'].choices
    assert TRAIN['precision'].choices == EVAL['precision'].choices == ABLATE['precision'].choices
    assert [precision.choose(choice)[0] for choice in (float32, bfloat16)] == ['float32', 'mixed_bfloat16']
    assert 'chosen for' in precision.choose(auto)[1]
    named = {value for row in TRAIN.values() for other, values in row.works_with if other == 'optimizer'
             for value in values}
    assert named == set(optimizers.NAMES) - {'sgd'}  # which has no flag of its own


@pytest.mark.parametrize('function, same', [
    (optimizers.make, {name: name for name in defaults(optimizers.make)}),
    (schedules.Decay, {'factor': 'learning_rate_decay_factor', 'epochs_per_decay': 'num_epochs_per_decay',
                       'end': 'end_learning_rate', 'warmup_epochs': 'warmup_epochs',
                       'bias_factor': 'bias_learning_rate_factor'}),
    (Pace, {'log_every': 'log_every_n_steps', 'save_secs': 'save_interval_secs',
            'summary_secs': 'save_summaries_secs'}),
    (plateau.Plateau, {'patience': 'plateau_patience'}),
    (color_noise.color_noise, {'scale': 'color_noise', 'kind': 'color_noise_kind'}),
    (run.pieces, {name: name for name in ('weight_decay', 'label_smoothing', 'resize_side_max')}),
    (description.make_spec, {name: name for name in ('variant', 'mean', 'dropout_keep_prob', 'dropout_form')})])
def test_defaults_are_the_librarys(function, same):
    known = defaults(function)
    assert {name: TRAIN[flag].default for name, flag in same.items()} == {name: known[name] for name in same}


def test_recipes_name_flags_and_values_that_they_take():
    for part in recipes.RECIPES:
        row = TRAIN[part.flag]
        for name in recipes.NAMES:
            value = getattr(part, name)[0]
            assert type(value) is row.kind and (not row.choices or value in row.choices), part.flag
    for flag, value in recipes.SAMPLE.items():
        assert type(value) is TRAIN[flag].kind


# What has no effect -------------------------------------------------------------------------------------


@pytest.mark.parametrize('module, rows', [('train_image_classifier', TRAIN), ('eval_image_classifier', EVAL)])
def test_a_flag_without_effect_beside_another_is_refused(module, rows):
    cases = flag_walk.contradictions(rows.values())
    assert {name for name, _ in cases} == {row.name for row in rows.values() if row.works_with or row.needed_with}
    messages = messages_of(module, [['--dataset_dir=/no/such', *arguments] for _, arguments in cases])
    for (name, arguments), message in zip(cases, messages):
        is_given = arguments[0].startswith(f'--{name}=')
        sentence = f'--{name} has no effect with' if is_given else f' needs --{name}. '
        assert sentence in message, (arguments, message)


CONTRADICTIONS = {
    'this machine has 0 GPUs, where it needs 2': ['--model_parallel=2'],
    'do not go together': ['--model_parallel=2', '--num_clones=2', '--clone_on_cpu'],
    'does not divide among --num_clones=3': ['--num_clones=3', '--clone_on_cpu', '--batch_size=32'],
    'trains alexnet, not --model_name=alexnet_v2': ['--recipe=paper', '--model_name=alexnet_v2'],
    'these are of --model_name=alexnet': ['--dropout_form=original'],
    '--learning_rate_decay_type=steps needs --learning_rate_steps. ': ['--learning_rate_decay_type=steps'],
    "has '0:x'": ['--learning_rate_decay_type=steps', '--learning_rate_steps=0:x'],
    '--num_epochs has no effect with --max_number_of_steps=0': ['--num_epochs=5', '--max_number_of_steps=0'],
    'momentum and sgd can': ['--bias_learning_rate_factor=2', '--optimizer=adam'],
    '--resize_side_max=100; for crops of 224 pixels it must be at least 256': ['--resize_side_max=100'],
    '--learning_rate has no effect with --learning_rate_decay_type=steps': ['--recipe=source', '--learning_rate=0.1'],
    '--plateau_patience has no effect with --learning_rate_decay_type=fixed; leave it out, or choose --learning_rate_de'
    'cay_type=plateau.': ['--plateau_patience=3', '--learning_rate_decay_type=fixed'],
    '; leave it out, or choose --learning_rate_decay_type=exponential|polynomial.': ['--num_epochs_per_decay=2'],
    '--num_epochs has no effect with --max_number_of_steps=5; leave it out.': [
        '--num_epochs=2', '--max_number_of_steps=5'],
    '--ignore_missing_vars has no effect without --checkpoint_path; give both, or neither.': ['--ignore_missing_vars'],
    'has no mean image': ['--recipe=caffe', '--num_epochs=1'],
    'not understood: False': ['--clone_on_cpu', 'False'],
}


def test_flags_that_contradict_each_other(small_records, tmp_path, narrow):
    common = [f'--train_dir={tmp_path}', f'--dataset_dir={small_records}']
    messages = messages_of('train_image_classifier', [common + case for case in CONTRADICTIONS.values()])
    for sentence, message in zip(CONTRADICTIONS, messages):
        assert sentence in message and 'File "' not in message, message
    assert {path.name for path in tmp_path.iterdir()} <= {'lock'}  # nothing was written for them
