"""What the training script does whatever the flags: what it says, and what it calls the library with."""
import os
import shlex

import pytest

import train_image_classifier
from alexnet_tf.console import loading, signals
from alexnet_tf.model import evaluation
from alexnet_tf.run_folder import checkpoints, settings
from alexnet_tf.script_flags.train import ROWS
from alexnet_tf.training import joining, run
from tests.helpers import calls
from tests.helpers.commands import call_once, flags_of, messages_of
from tests.helpers.train_calls import FUNCTIONS, MODEL, TEAM, SimpleNamespace


def state_at(step, best=0.25):
    return SimpleNamespace(step=SimpleNamespace(numpy=lambda: step), best_accuracy=SimpleNamespace(numpy=lambda: best))


@pytest.fixture
def train(small_records, tmp_path):
    """A function of arguments, step, result and team of the run; gives (what the script prints, what it calls)."""
    def called(*arguments, step=0, result=None, team=TEAM):
        others = {(run, 'begin'): lambda *_, **__: state_at(step), (run, 'train'): lambda *_, **__: result,
                  (joining, 'join'): lambda *_, **__: team, (loading, 'load_tensorflow'): None,
                  (signals, 'noted'): None}
        with flags_of(ROWS), calls.noted(FUNCTIONS | others) as found:
            done = call_once(train_image_classifier, f'--train_dir={tmp_path / "a run"}',
                             f'--dataset_dir={small_records}', '--precision=float32', *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), found
    return called


@pytest.fixture
def message(small_records, tmp_path):
    """A function of arguments that gives the script's error; '': there is none."""
    def said(*arguments):
        with calls.noted(FUNCTIONS):
            return messages_of('train_image_classifier', [
                [f'--train_dir={tmp_path}', f'--dataset_dir={small_records}', *arguments]])[0]
    return said


def test_what_a_run_is_made_of(train):
    found = train()[1]
    assert found['check_writable.flag'] == 'train_dir' and found['open_splits.default_num_classes'] == 1000
    assert found['build.devices'] == 'towers' and found['begin.model'] is MODEL
    assert found['begin.optimizer'] == 'optimizer' and found['begin.plateau'] == 'plateau'
    assert found['train.state'].best_accuracy.numpy() == 0.25 and found['train.mean'] == [1, 2, 3]
    assert found['noted.name'] == 'train_image_classifier' and isinstance(found['train.notice'], signals.Notice)
    # 48 images, 128 at once: an epoch is less than a step, 90 epochs are 33.75
    assert (found['train.pace.max_steps'], found['train.pace.validate_every']) == (34, 1)
    assert found['check_resize_side_max.size'] == 224
    assert found['write.values.precision'] == 'float32' and found['write.values.dataset'].startswith('48 records of ')


@pytest.mark.parametrize('step', [0, 1])
def test_only_a_run_past_its_first_step_is_resumed(train, step):
    assert train(step=step)[1]['write.resumed'] == (step == 1)


def test_what_it_says(train, small_records, tmp_path):
    said, _ = train('--batch_size=8', result=evaluation.Result(20, 0.5, 0.75, 1.0))
    trained, folder = shlex.quote(str(tmp_path / 'a run')), shlex.quote(str(small_records))
    assert said == [
        'Threads per operation: 2 (why).', 'Precision: float32 (--precision).',
        f"{small_records} has no statistics of build_tfrecords: ImageNet's mean RGB and color axes are used.",
        f'Training alexnet_v2 with 7 parameters on 48 images of 10 classes from {small_records}: steps 0 to 540, 6.0 '
        'steps per epoch.',
        'Finished at step 540: top-1 50.00%, top-5 75.00% of 20 validation images (best top-1: 25.00%).',
        f'Next: python eval_image_classifier.py --checkpoint_path={trained} --dataset_dir={folder} --views=10, or '
        f'python -m alexnet_tf.export --checkpoint_path={trained} --output_dir=exported']


def test_what_it_says_at_the_end_of_other_runs(train, tmp_path):
    *_, none = train('--max_number_of_steps=0')[0]
    assert none == 'No step was asked for, so none was trained and nothing saved.'
    *_, without_validation, following = train('--max_number_of_steps=1')[0]
    assert without_validation.startswith('Training ') and following.startswith('Next: ')
    for step in (5, 6):
        *_, already, following = train('--max_number_of_steps=5', step=step)[0]
        assert already.startswith(f'{tmp_path / "a run"} is trained to step {step} already; for more give a ')
        assert following.startswith('Next: ')


def test_the_sample_needs_no_folder_afterwards(small_records, tmp_path):
    with flags_of(ROWS), calls.noted(FUNCTIONS):
        said = call_once(train_image_classifier, f'--train_dir={tmp_path}').stdout
    assert 'on 2000 images of 10 classes' in said
    trained = f'--checkpoint_path={shlex.quote(str(tmp_path))}'
    assert said.splitlines()[-1] == (f'Next: python eval_image_classifier.py {trained} --views=10, or python -m '
                                     f'alexnet_tf.export {trained} --output_dir=exported')


@pytest.mark.parametrize('arguments', [
    '--optimizer=sgd --bias_learning_rate_factor=2', '--optimizer=adam',
    '--optimizer=sgd --learning_rate_decay_type=steps --learning_rate_steps=0:0.1',
    '--validation_split_name= --learning_rate_decay_type=fixed', '--num_clones=2 --batch_size=6',
    '--strategy=one_device', '--strategy=mirrored --num_clones=2', '--strategy=multi_worker --clone_on_cpu',
    '--strategy=multi_worker --num_clones=2'])
def test_what_goes_together_is_not_refused(arguments, message):
    assert message(*arguments.split()) == ''


@pytest.mark.parametrize('strategy, beside, remedy', [
    ('one_device', '--num_clones=2', '--num_clones is for mirrored and multi_worker'),
    ('mirrored', '--num_clones=1', 'it needs --num_clones'),
    ('multi_worker', '--model_parallel=2', 'are trained on one machine'),
    ('multi_worker', '--clone_on_cpu --num_clones=2', 'a worker has one device on a CPU'),
    ('multi_worker', '--data_service=grpc://a:1', 'each worker reads its part')])
def test_a_strategy_that_contradicts_other_flags_is_refused(strategy, beside, remedy, message):
    said = message(f'--strategy={strategy}', *beside.split())
    assert remedy in said and f'--strategy={strategy}' in said


def test_a_plateau_of_no_validation_is_refused(message):
    assert '--learning_rate_decay_type=plateau needs a validation split' in message(
        '--learning_rate_decay_type=plateau', '--validation_split_name=')


def test_a_run_that_goes_on_keeps_the_settings_it_began_with(train, tmp_path, monkeypatch):
    begun = train('--hidden_bias=0.5')[1]
    settings.write(str(tmp_path / 'a run'), {
        name.removeprefix('write.values.'): value for name, value in begun.items() if 'write.values.' in name})
    monkeypatch.setattr(checkpoints, 'find', lambda folder: f'{folder}/model.ckpt-1')
    assert train('--hidden_bias=0.25')[1]['write.values.hidden_bias'] == 0.5


@pytest.mark.parametrize('arguments', [
    '--bias_learning_rate_factor=2', '--learning_rate_decay_type=steps --learning_rate_steps=0:0.1'])
def test_rates_of_single_variables_are_refused_where_the_optimizer_cannot(arguments, message):
    assert '--optimizer=adam cannot give single variables a rate of their own' in message(
        '--optimizer=adam', *arguments.split())


def test_what_a_killed_run_left_half_written_is_removed(train, tmp_path):
    (tmp_path / 'a run').mkdir()
    stray = tmp_path / 'a run' / 'model.ckpt-7.manifest.json.123.partial'
    stray.write_text('{')
    said, _ = train()
    assert not stray.exists() and 'what was left half written: model.ckpt-7.manifest.json.123.partial.' in said[2]


def test_tensorflow_is_loaded_by_what_holds_its_notes_back(small_records, tmp_path):
    loaded = []
    with calls.noted(FUNCTIONS | {(loading, 'load_tensorflow'): lambda: loaded.append(True)}):
        assert messages_of('train_image_classifier', [
            [f'--train_dir={tmp_path}', f'--dataset_dir={small_records}']]) == [''] and loaded


# Several workers -----------------------------------------------------------------------------------------


@pytest.fixture
def worker():
    """The second worker's Team; `compared` is what it was asked to compare."""
    class Second(type(TEAM)):
        index, count, is_chief, strategy = 1, 2, False, TEAM.strategy

        def compare(self, values):
            self.compared = values
    return Second()


def test_the_chief_alone_speaks_and_writes(train, worker, tmp_path, capsys):
    printed, found = train('--strategy=multi_worker', team=worker, result=evaluation.Result(20, 0.5, 0.75, 1.0))
    assert printed == ['Threads per operation: 2 (why).', 'Precision: float32 (--precision).']
    assert not found['write.is_chief'] and 'hold.folder' not in found and not (tmp_path / 'a run').exists()
    for log in (found['make_spec.log'], found['begin.log'], found['train.log']):
        log('a line')
    assert not capsys.readouterr().out
    assert train('--strategy=multi_worker')[1]['write.is_chief']


def test_workers_compare_what_they_must_share(train, worker):
    _, found = train('--strategy=multi_worker', '--seed=7', '--precision=bfloat16', team=worker)
    assert found['begin.team'] is found['train.team'] is worker
    assert found['write.values.precision'] == 'bfloat16'
    assert {what: worker.compared[what] for what in ('--seed', '--precision', '--batch_size')} == {
        '--seed': 7, '--precision': 'mixed_bfloat16', '--batch_size': 128}
    assert worker.compared['a training set of'].startswith('48 records of ')
    assert worker.compared['a validation set of'].startswith('20 records of ') and worker.compared['TensorFlow']
    assert not {'--train_dir', '--dataset_dir', '--num_preprocessing_threads', '--cluster_timeout_secs'} & set(
        worker.compared)
    _, found = train('--strategy=multi_worker', '--precision=auto', team=worker)  # what it is on this machine
    assert {worker.compared['--precision'].replace('mixed_', ''), found['write.values.precision']} < {
        'float32', 'bfloat16'}


def test_what_a_cluster_needs_is_passed_on(train, monkeypatch):
    monkeypatch.delenv(loading.LEVEL, raising=False)
    assert not train()[1].keys() & {'join.cluster.index'} and loading.LEVEL not in os.environ
    monkeypatch.setenv(loading.LEVEL, '')  # so that what the script sets is taken back
    monkeypatch.delenv(loading.LEVEL)
    _, found = train('--strategy=multi_worker', '--clone_on_cpu')
    assert found['join.on_cpu'] and os.environ[loading.LEVEL] == '3'


def test_a_cluster_that_no_strategy_is_given_for_is_refused(message, monkeypatch):
    monkeypatch.setenv('TF_CONFIG', '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    said = message('--max_number_of_steps=0')
    assert 'TF_CONFIG' in said and '--strategy=multi_worker' in said


def test_a_batch_that_workers_cannot_share_is_refused(message):
    assert '--batch_size=3' in message('--strategy=multi_worker', '--batch_size=3')
