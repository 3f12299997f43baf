"""The update rule, optimizers, schedules, plateau, scoring and checkpoints, against NumPy and TF1."""
import os

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.model import building, evaluation, precision, specs
from alexnet_tf.run_folder import checkpoints, metrics
from alexnet_tf.run_folder.metrics_log import MetricsLog
from alexnet_tf.training import loop, optimizers, schedules
from alexnet_tf.training.plateau import Plateau
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from nets import keras_layers, slim_checkpoints

v1 = tf.compat.v1
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, [4, 8, 8, 3], np.uint8)
LABELS = np.array([0, 2, 1, 2])
MEAN = np.array([120, 110, 100], np.float32)


def small_model():
    """conv1 3x3 -> fc8, all from the project's own layers; logits [batch, 3]."""
    tf_keras.utils.set_random_seed(1)
    images = tf_keras.Input([8, 8, 3])
    net = keras_layers.Convolution(4, 3, 2, activation='relu', name='conv1')(images)
    logits = keras_layers.Convolution(3, 4, padding='VALID', squeeze=True, name='fc8')(net)
    return tf_keras.Model(images, logits, name='small')


def small_state(optimizer='momentum', **kwargs):
    return State(small_model(), optimizers.make(optimizer), **kwargs)


def train_steps(state, rates, **kwargs):
    step = make_train_step(state, tf.distribute.get_strategy(), batch_size=4, mean=MEAN, seed=0, **kwargs)
    losses = []
    for number, rate in enumerate(rates):
        state.optimizer.learning_rate.assign(rate)
        losses.append(float(step(tf.constant(IMAGES), tf.constant(LABELS), tf.constant(number, tf.int64))))
    return losses


def loss_and_gradients(model, smoothing=0.0):
    targets = np.eye(3)[LABELS] * (1 - smoothing) + smoothing / 3
    with tf.GradientTape() as tape:
        log_probabilities = tf.nn.log_softmax(model(IMAGES.astype(np.float32) - MEAN))
        loss = -tf.reduce_mean(tf.reduce_sum(targets.astype(np.float32) * log_probabilities, 1))
    return float(loss), [gradient.numpy() for gradient in tape.gradient(loss, model.trainable_variables)]


def test_the_update_rule_is_the_papers():
    state, twin = small_state(), small_model()
    rates, decay = [0.01, 0.01, 0.001, 0.001], 0.0005
    losses = train_steps(state, rates, weight_decay=decay)
    velocities = [np.zeros(variable.shape) for variable in twin.trainable_variables]
    for number, rate in enumerate(rates):
        loss, gradients = loss_and_gradients(twin)
        assert losses[number] == pytest.approx(loss, rel=1e-5)
        for index, (variable, gradient) in enumerate(zip(twin.trainable_variables, gradients)):
            weights = variable.numpy().astype(np.float64)
            shrink = decay if 'weights' in variable.name else 0.0  # never on biases
            velocities[index] = 0.9 * velocities[index] - shrink * rate * weights - rate * gradient
            variable.assign(weights + velocities[index])
    for actual, expected in zip(state.model.trainable_variables, twin.trainable_variables):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6, err_msg=actual.name)


@pytest.mark.parametrize('name, reference', [
    ('sgd', lambda: v1.train.GradientDescentOptimizer(0.01)),
    ('adagrad', lambda: v1.train.AdagradOptimizer(0.01, 0.1)),
    ('rmsprop', lambda: v1.train.RMSPropOptimizer(0.01, 0.9, 0.9, 1.0)),
    ('ftrl', lambda: v1.train.FtrlOptimizer(0.01, -0.5, 0.1)),
    ('adadelta', lambda: v1.train.AdadeltaOptimizer(0.01, 0.95, 1.0)),
    ('adam', lambda: v1.train.AdamOptimizer(0.01, 0.9, 0.999, 1.0)),
    ('momentum', lambda: v1.train.MomentumOptimizer(0.01, 0.9)),  # the same while the rate is constant
])
def test_optimizers_equal_tf1s(name, reference):
    # TF1's RMSProp starts its mean square at 1, Keras' at 0.
    optimizer = optimizers.make(name)
    start = RANDOM.normal(size=[6]).astype(np.float32)
    gradients = RANDOM.normal(size=[3, 6]).astype(np.float32)
    ours = tf.Variable(start)
    optimizer.build([ours])
    optimizer.learning_rate.assign(0.01)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), ours)])
    with tf.Graph().as_default(), v1.Session() as session:
        theirs = v1.get_variable('w', initializer=start, use_resource=True)
        fed = v1.placeholder(tf.float32, [6])
        one = reference()
        apply = one.apply_gradients([(fed, theirs)])
        session.run(v1.global_variables_initializer())
        if name == 'rmsprop':
            session.run(one.get_slot(theirs, 'rms').assign(np.zeros(6)))
        for gradient in gradients:
            session.run(apply, {fed: gradient})
        expected = session.run(theirs)
    assert np.abs(expected - start).max() > 1e-4
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=1e-6)


def test_unknown_optimizer():
    with pytest.raises(ValueError, match="unknown optimizer 'lion'; known are adadelta"):
        optimizers.make('lion')


def test_label_smoothing():
    expected, _ = loss_and_gradients(small_model(), smoothing=0.1)
    assert train_steps(small_state(), [0.01], label_smoothing=0.1)[0] == pytest.approx(expected, rel=1e-5)
    assert train_steps(small_state(), [0.01])[0] != pytest.approx(expected, rel=1e-3)


def test_trainable_scopes():
    state = small_state(trainable_scopes=['small/fc8'])
    before = [variable.numpy() for variable in state.model.weights]
    train_steps(state, [0.01])
    for old, variable in zip(before, state.model.weights):
        assert np.array_equal(old, variable) == variable.name.startswith('conv1'), variable.name
    with pytest.raises(ValueError, match="'.*', which fits no variable; there are small/conv1/biases"):
        small_state(trainable_scopes=['conv7'])


def rate(step, decay_type, **kwargs):
    return schedules.learning_rate(step, decay_type=decay_type, base=0.1, steps_per_epoch=50, **kwargs)


def test_schedules_by_hand():
    assert rate(700, 'fixed') == 0.1
    assert [rate(step, 'piecewise', boundaries=[2, 4.5]) for step in (99, 100, 224, 225)] == pytest.approx(
        [0.1, 0.01, 0.01, 0.001])
    assert rate(3, 'plateau', divisions=2) == pytest.approx(0.001)
    assert [rate(step, 'fixed', warmup_epochs=2) for step in (0, 25, 99, 100)] == pytest.approx([0, 0.025, 0.099, 0.1])
    with pytest.raises(ValueError, match='known are plateau'):
        rate(0, 'cosine')


@pytest.mark.parametrize('step', [0, 99, 100, 101, 250, 1000])
def test_schedules_equal_slims(step):
    with tf.Graph().as_default(), v1.Session() as session:
        exponential = session.run(v1.train.exponential_decay(0.1, step, 100, 0.94, staircase=True))
        polynomial = session.run(v1.train.polynomial_decay(0.1, step, 100, 0.0001, power=1.0))
    assert rate(step, 'exponential', decay_factor=0.94, epochs_per_decay=2) == pytest.approx(exponential)
    assert rate(step, 'polynomial', epochs_per_decay=2, end=0.0001) == pytest.approx(polynomial)


def test_plateau_and_its_state_in_a_checkpoint(tmp_path):
    plateau = Plateau(patience=2, max_divisions=2)
    decisions = [plateau.update(error) for error in (0.9, 0.8, 0.8, 0.85)]
    assert decisions == [False, False, False, True] and int(plateau.divisions) == 1
    assert not plateau.update(0.81)
    path = slim_checkpoints.save(plateau.variables, str(tmp_path / 'plateau'))
    resumed = Plateau(patience=2, max_divisions=2)
    slim_checkpoints.load(resumed.variables, path)
    assert [resumed.update(error) for error in (0.82, 0.7, 0.7, 0.7, 0.7)] == [True, False, False, False, False]
    assert int(resumed.divisions) == 2 and float(resumed.best) == pytest.approx(0.7)


def scoring_model(classes):
    images = tf_keras.Input([224, 224, 3])
    tf_keras.utils.set_random_seed(2)
    pooled = tf_keras.layers.AveragePooling2D(56)(images)
    return tf_keras.Model(images, tf_keras.layers.Dense(classes)(tf_keras.layers.Flatten()(pooled)))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


@pytest.mark.parametrize('batch_size', [1, 3, 10, 100])
@pytest.mark.parametrize('classes, num_views', [(7, 1), (3, 1), (7, 10)])
def test_evaluation_equals_numpy(batch_size, classes, num_views):
    squares = RANDOM.integers(0, 256, [10, 256, 256, 3], np.uint8)
    labels = RANDOM.integers(0, classes, 10)
    model = scoring_model(classes)
    offsets = [(16, 16)] if num_views == 1 else [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]
    crops = [squares[:, top:top + 224, left:left + 224] - MEAN for top, left in offsets]
    crops += [crop[:, :, ::-1] for crop in crops] if num_views == 10 else []
    probabilities = np.mean([softmax(model(crop).numpy().astype(np.float64)) for crop in crops], 0)
    ranks = (probabilities > probabilities[np.arange(10), labels][:, None]).sum(1)
    step = evaluation.make_eval_step([(model, MEAN, 224)], num_views=num_views)
    batches = tf.data.Dataset.from_tensor_slices((squares, labels)).batch(batch_size)
    result, scores, seen = evaluation.evaluate(step, batches, 10, keep_scores=True)
    assert (result.num_examples, result.accuracy, result.recall_5) == (10, (ranks < 1).mean(), (ranks < 5).mean())
    assert result.loss == pytest.approx(-np.log(probabilities[np.arange(10), labels]).mean(), rel=1e-4)
    np.testing.assert_allclose(softmax(scores), probabilities, atol=1e-5)
    np.testing.assert_array_equal(seen, labels)
    limited, _, _ = evaluation.evaluate(step, batches, 10, max_num_batches=1)
    assert limited.num_examples == min(batch_size, 10)


def test_a_dead_network_scores_at_chance():
    model = scoring_model(10)
    for variable in model.weights:
        variable.assign(tf.zeros_like(variable))
    batches = [(tf.zeros([10, 256, 256, 3], tf.uint8), tf.range(10, dtype=tf.int64))]
    result, _, _ = evaluation.evaluate(evaluation.make_eval_step([(model, MEAN, 224)]), batches, 10)
    assert (result.accuracy, result.recall_5) == (0.1, 0.5)


def test_checkpoints_roll_and_the_best_stays(tmp_path):
    folder = str(tmp_path)
    for step in (1, 2, 3, 10, 20, 30, 100):
        tensors = {'a/weights': tf.fill([3], float(step)), 'global_step': tf.constant(step)}
        path = checkpoints.save(folder, step, tensors)
        if step == 2:
            checkpoints.save_best(folder, path)
    state = tf.train.get_checkpoint_state(folder)
    assert [os.path.basename(name) for name in state.all_model_checkpoint_paths] == [
        f'model.ckpt-{step}' for step in (3, 10, 20, 30, 100)]
    assert sorted(path.name for path in tmp_path.glob('*.index')) == sorted(
        f'model.ckpt-{step}.index' for step in (3, 10, 20, 30, 100))
    assert checkpoints.find(folder) == tf.train.latest_checkpoint(folder) == os.path.join(folder, 'model.ckpt-100')
    best = checkpoints.find(os.path.join(folder, 'best'))
    assert tf.train.load_variable(best, 'a/weights').tolist() == [2, 2, 2] and checkpoints.step_of(best) == 2
    checkpoints.save_best(folder, os.path.join(folder, 'model.ckpt-30'))
    assert [path.name for path in (tmp_path / 'best').glob('*.index')] == ['model.ckpt-30.index']
    assert checkpoints.find(os.path.join(folder, 'model.ckpt-30.index')) == os.path.join(folder, 'model.ckpt-30')
    assert checkpoints.find(os.path.join(folder, 'model.ckpt-1')) is None


def test_metrics_of_a_resumed_run_have_every_step_once(tmp_path):
    log = MetricsLog(str(tmp_path), 0)
    for step in (10, 20, 30):
        log.write('train', step, loss=step / 10)
    log.close()
    with open(tmp_path / metrics.METRICS_FILE, 'a') as file:
        file.write('{"kind": "train", "st')  # cut off by a kill
    log = MetricsLog(str(tmp_path), 20)
    log.write('train', 30, loss=3.5)
    log.close()
    assert [(row['step'], row['loss']) for row in metrics.read(str(tmp_path))] == [(10, 1), (20, 2), (30, 3.5)]


def test_specs_are_read_as_written_and_damage_is_named(tmp_path):
    folder = str(tmp_path)
    assert specs.read_spec(folder) is None
    spec = specs.Spec('alexnet', 224, ('cat', 'ä dog'), (1.5, 2.0, 3.0))
    specs.write_spec(spec, folder)
    assert specs.read_spec(folder) == spec
    np.save(tmp_path / 'small.npy', np.zeros([2, 2, 3]))
    for mean, message in (('small.npy', 'has shape'), ('none.npy', 'cannot read the mean image')):
        with pytest.raises(ValueError, match=message):
            building.load_mean(specs.Spec('alexnet', 224, ('a',), mean), folder)
    (tmp_path / 'model.json').write_text('{"model_name"')
    with pytest.raises(ValueError, match='cannot read .*model.json'):
        specs.read_spec(folder)


def test_precision():
    assert precision.choose('float32')[0] == 'float32' and precision.choose('bfloat16')[0] == 'mixed_bfloat16'
    policy, reason = precision.choose('auto')
    assert ('chosen for a' in reason) and policy == ('mixed_bfloat16' if reason.startswith('bfloat16') else 'float32')
    with pytest.raises(ValueError, match='must be float32, bfloat16 or auto'):
        precision.choose('float16')


def test_a_run_made_longer_is_the_run_that_was_long(tmp_path):
    batch = (tf.constant(IMAGES), tf.constant(LABELS))

    def plateau_after(*ends):
        state = small_state(plateau=Plateau(patience=2))
        step = make_train_step(state, tf.distribute.get_strategy(), batch_size=4, mean=MEAN, seed=0)
        for end in ends:  # 13 is off the grid of validations, which are every 5 steps
            loop.train(
                state, step, lambda _: [batch] * 40, train_dir=str(tmp_path / str(ends)),
                schedule=lambda _: schedules.Settings(0.0),
                pace=loop.Pace(max_steps=end, batch_size=4, num_examples=4, validate_every=5),
                validate=lambda: evaluation.Result(4, 0.5, 1.0, 1.0), log=lambda _: None)
        return int(state.plateau.divisions), int(state.plateau.waited), float(state.plateau.best)
    assert plateau_after(13, 31) == plateau_after(31) == (2, 1, 0.5)
