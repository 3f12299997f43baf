"""run.begin and run.train: what is put together there reaches the state, the step, the batches and the validation."""
import inspect

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.data import batches, datasets, preprocessing
from alexnet_tf.data.color_noise import ColorNoise
from alexnet_tf.model import evaluation
from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.training import loop, optimizers, run, start, summaries
from alexnet_tf.training.pace import Pace
from alexnet_tf.training.plateau import Plateau
from alexnet_tf.training.schedules import Change, Decay, Steps
from alexnet_tf.training.step import make_train_step
from alexnet_tf.training.team import Alone
from nets import ops
from tests.helpers import small_run

MEAN = np.array([120, 110, 100], np.float32)
BATCH, SIZE = 4, 32


@pytest.fixture(scope='module')
def splits():
    """The first 40 training and 20 validation images of the sample, of which two bad ones may be left out."""
    return [small_run.first(datasets.open_dataset(datasets.SAMPLE_DIR, split, max_bad_records=2), count)
            for split, count in (('train', 40), ('validation', 20))]


def new_state(**options):
    return run.begin(small_run.network(), optimizer=optimizers.make('momentum'), **options)


# Beginning --------------------------------------------------------------------------------------------


def test_a_state_as_it_is_asked_for():
    plateau = Plateau(2)
    state = new_state(trainable_scopes=['small/fc8'], plateau=plateau, own_rates=True, log=pytest.fail)
    assert state.trainable_names == ['fc8/weights', 'fc8/biases'] and state.plateau is plateau
    assert state.rate_factors.numpy().tolist() == [1, 1]
    state = new_state(log=pytest.fail)
    assert len(state.trainable) == 4 and state.plateau is None and state.rate_factors is None


def test_it_goes_on_from_the_folder(tmp_path):
    lines, state = [], new_state()
    state.step.assign(7)
    checkpoints.save(str(tmp_path), 7, state.tensors())
    assert int(new_state(train_dir=str(tmp_path), log=lines.append).step) == 7 and 'Resuming from' in lines[-1]
    assert int(new_state(train_dir=str(tmp_path / 'new'), log=lines.append).step) == 0 and 'Fresh' in lines[-1]


def test_how_it_begins_is_passed_on(monkeypatch):
    given = {}
    monkeypatch.setattr(start, 'restore', lambda state, folder, **options: given.update(options))
    options = {'warm_start': 'a WarmStart', 'team': 'a Team', 'log': print}
    new_state(train_dir='a folder', **options)
    assert given == options


# Pieces -----------------------------------------------------------------------------------------------


def first_batch(splits, step, **options):
    options = {'batch_size': BATCH, 'seed': 3, 'mean': MEAN} | options
    images, labels = next(iter(run.pieces(new_state(), *splits, **options)[1](step)))
    return images.numpy(), labels.numpy()


@pytest.mark.parametrize('options', [{}, {'resize_side_max': 50}, {'augment': False}, {'seed': 5, 'num_threads': 1}])
def test_batches_are_those_of_the_seed_and_the_step(splits, options):
    found, labels = first_batch(splits, 2, **options)
    seed, crop = options.get('seed', 3), {name: options[name] for name in ('resize_side_max', 'augment')
                                          if name in options}
    examples = [splits[0].example(position) for position in batches.positions(seed, 2 * BATCH, BATCH, 40)]
    expected = [preprocessing.training_image(image, tf.constant([seed, 2 * BATCH + row], tf.int64), size=SIZE, **crop)
                for row, (image, _) in enumerate(examples)]
    np.testing.assert_array_equal(found, expected)
    assert labels.tolist() == [label for _, label in examples]


def test_the_step_has_the_mean_the_noise_the_smoothing_and_the_decay(splits):
    """The loss and fc8's biases, which do not decay, and its weights, beside TensorFlow's operations."""
    noise = ColorNoise(np.diag([30.0, 20.0, 10.0]).astype(np.float32), 1.2)
    state, twin = new_state(), small_run.network()
    step, batches_from, _ = run.pieces(state, *splits, batch_size=BATCH, seed=3, mean=MEAN, noise=noise,
                                       weight_decay=0.5, label_smoothing=0.2)
    images, labels = next(iter(batches_from(0)))
    state.optimizer.learning_rate.assign(0.001)
    loss = float(step(images, labels, tf.constant(0, tf.int64)))
    seed = tf.constant([3, 0], tf.int64)
    draws = tf.random.stateless_normal([BATCH, 3], preprocessing.stream(seed, 3)).numpy()
    inputs = (images.numpy() - MEAN + (draws @ noise.axes)[:, None, None]) / 1.2
    targets = np.eye(10)[labels] * 0.8 + 0.02
    with ops.dropout_draws(preprocessing.stream(seed, 4)), tf.GradientTape() as tape:
        expected = -tf.reduce_mean(tf.reduce_sum(targets * tf.nn.log_softmax(
            tf.cast(twin(inputs.astype(np.float32), training=True), tf.float64)), 1))
    weights, biases = (getattr(twin.get_layer('fc8'), name) for name in ('kernel', 'bias'))
    gradients = tape.gradient(expected, [weights, biases])
    assert loss == pytest.approx(float(expected), rel=1e-5)
    layer = state.model.get_layer('fc8')
    np.testing.assert_allclose(layer.bias, biases - 0.001 * gradients[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.kernel, weights - 0.001 * (gradients[0] + 0.5 * weights), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('function', [run.pieces, make_train_step])
def test_without_a_word_weights_decay_by_the_papers_rate_and_targets_are_sharp(function):
    parameters = inspect.signature(function).parameters
    assert [parameters[name].default for name in ('weight_decay', 'label_smoothing', 'noise')] == [0.0005, 0.0, None]


def test_the_validation_scores_the_middle_of_every_image_once(splits):
    state = new_state()
    state.model.get_layer('fc8').kernel.assign(0.01 * tf.random.stateless_normal([4, 4, 8, 10], [1, 2]))
    result = run.pieces(state, *splits, batch_size=BATCH, seed=3, mean=MEAN)[2]()
    examples = [splits[1].example(position) for position in range(20)]
    images = np.stack([preprocessing.central_crop(preprocessing.evaluation_image(image, size=SIZE), SIZE)
                       for image, _ in examples])
    logits, labels = state.model(images - MEAN).numpy(), np.array([label for _, label in examples])
    assert result.num_examples == 20 and result.accuracy == np.mean(logits.argmax(1) == labels)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert result.loss == pytest.approx(float(tf.reduce_mean(losses)), rel=1e-4)
    calls = []
    run.pieces(state, *splits, batch_size=BATCH, seed=3, mean=MEAN)[2](lambda: calls.append(None))
    assert calls
    assert run.pieces(state, splits[0], batch_size=BATCH, seed=3, mean=MEAN)[2] is None


class Second(Alone):
    """The second of two workers."""
    index, count, is_chief = 1, 2, False


def test_a_worker_reads_its_part(splits, monkeypatch):
    made = {}
    for name in ('TrainingBatches', 'ServiceBatches', 'EvaluationBatches'):
        monkeypatch.setattr(run, name, lambda *data, name=name, **options: made.setdefault(name, (*data, options)))

    def make(**options):
        run.pieces(new_state(), *splits, batch_size=BATCH, seed=3, mean=MEAN, resize_mode='warp', num_threads=3,
                   team=Second(), **options)[1](5)
    make()
    how = {'image_size': SIZE, 'resize_mode': 'warp', 'num_threads': 3}
    training = {'seed': 3, 'batch_size': BATCH, 'start_step': 5, 'resize_side_max': None, 'augment': True,
                'rows': (2, 4)} | how
    assert made == {'TrainingBatches': (splits[0], training),
                    'EvaluationBatches': (splits[1], {'batch_size': 100, 'part': (10, 20)} | how)}
    make(service='a Service')
    assert made['ServiceBatches'] == (splits[0], training | {'service': 'a Service'})


def test_a_worker_validates_its_part(splits, monkeypatch):
    scored, evaluate = [], evaluation.evaluate
    monkeypatch.setattr(evaluation, 'evaluate', lambda *values, **options: scored.append(values[2]) or evaluate(
        *values, **options))
    validate = run.pieces(new_state(), *splits, batch_size=BATCH, seed=3, mean=MEAN, team=Second())[2]
    assert validate().num_examples == 10 and scored == [10]

    class Idle(Second):
        def share(self, number):
            return number, number
    assert run.pieces(new_state(), *splits, batch_size=BATCH, seed=3, mean=MEAN, team=Idle())[2]() is None


# Training ---------------------------------------------------------------------------------------------


def train(folder, splits, **options):
    lines = []
    result = run.train(new_state(), *splits, train_dir=str(folder), log=lines.append, **{
        'pace': Pace(3, BATCH, 40, validate_every=2, log_every=1), 'rates': Decay('polynomial', 0.003, end=0.0,
                                                                                 epochs_per_decay=0.3),
        'seed': 3, 'mean': MEAN} | options)
    return result, lines


def test_a_run_writes_and_says_what_it_does(splits, tmp_path):
    result, lines = train(tmp_path, splits)
    rows = metrics.read(str(tmp_path))
    assert [(row['kind'], row['step']) for row in rows] == [
        ('train', 1), ('train', 2), ('validation', 2), ('train', 3), ('validation', 3)]
    assert [row['learning_rate'] for row in rows if row['kind'] == 'train'] == pytest.approx([0.003, 0.002, 0.001])
    assert result.loss == rows[-1]['loss'] and result.num_examples == 20
    assert sum(line.startswith('step ') for line in lines) == 3
    assert lines[-2:] == [f'Bad records left out of split {split!r} of {datasets.SAMPLE_DIR}: 0 of {count} '
                          '(--max_bad_records=2).' for split, count in (('train', 40), ('validation', 20))]


def test_a_run_of_several_workers_has_its_team_everywhere(splits, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(run, 'pieces', lambda *_, **options: given.setdefault('pieces', options) and (None,) * 3)
    monkeypatch.setattr(loop, 'train', lambda *_, **options: given.setdefault('loop', options))
    team = Second()
    train(tmp_path, splits, team=team, pictures=True)
    assert given['pieces']['team'] is given['loop']['team'] is team and given['loop']['pictures'] is None


@pytest.mark.parametrize('noise_on', [0.0, 1.0])
def test_pictures_show_the_noise_while_there_is_some(splits, tmp_path, monkeypatch, noise_on):
    seen = []
    monkeypatch.setattr(summaries, 'batch', lambda *_, noise_on, **__: seen.append(float(noise_on)) or np.zeros(
        [1, 2, 2, 3], np.uint8))
    train(tmp_path, splits, pictures=True, rates=Steps((Change(0, '', 0.001),
                                                        *([Change(0, 'color_noise', 0)] if not noise_on else []))))
    assert seen and set(seen) == {noise_on}


def test_a_batch_of_more_images_than_there_are_is_noted(splits, tmp_path):
    small = small_run.first(splits[0], BATCH)
    for count in (BATCH, BATCH - 1):
        _, lines = train(tmp_path / str(count), [small_run.first(small, count)], pace=Pace(1, BATCH, count))
        noted = [line for line in lines if line.startswith(f'Note: a batch of {BATCH} is more than the {count} train')]
        assert len(noted) == (count < BATCH)


def test_without_a_validation_split_there_is_no_result(splits, tmp_path):
    result, lines = train(tmp_path, splits[:1])
    assert result is None and sum('Bad records' in line for line in lines) == 1


def test_a_run_that_is_stopped_reports_its_bad_records_too(splits, tmp_path):
    notice, lines = signals.Notice(), []
    notice.number = signals.SIGNALS[0]
    with pytest.raises(signals.Stopped):
        run.train(new_state(), *splits, train_dir=str(tmp_path), notice=notice, log=lines.append, seed=0, mean=MEAN,
                  pace=Pace(3, BATCH, 40), rates=Decay('fixed', 0.1))
    assert sum('Bad records' in line for line in lines) == 2
