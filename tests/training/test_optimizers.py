"""Every optimizer through the train step, against published formulas and against TF1's of the same name."""
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import preprocessing
from alexnet_tf.data.color_noise import ColorNoise
from alexnet_tf.training import optimizers
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from nets import keras_layers

v1 = tf.compat.v1
RANDOM = np.random.default_rng(7)
IMAGES = RANDOM.integers(0, 256, [6, 8, 8, 3], np.uint8)
LABELS = np.array([0, 2, 1, 2, 0, 1])
MEAN = np.array([120, 110, 100], np.float32)
DECAY = 0.01
RATES = [0.02, 0.02, 0.005, 0.01]


def make_model():
    tf_keras.utils.set_random_seed(3)
    images = tf_keras.Input([8, 8, 3])
    net = keras_layers.Convolution(4, 3, 2, activation='relu', biases_initializer=tf_keras.initializers.Constant(0.1),
                                   name='conv1')(images)
    logits = keras_layers.Convolution(3, 4, padding='VALID', squeeze=True, name='fc8')(net)
    return tf_keras.Model(images, logits, name='small')


def run_steps(state, rates=RATES, **kwargs):
    """The real step, once a rate; returns the losses."""
    kwargs = {'mean': MEAN, 'seed': 5, 'weight_decay': DECAY} | kwargs
    step = make_train_step(state, batch_size=len(IMAGES), **kwargs)
    losses = []
    for number, rate in enumerate(rates):
        state.optimizer.learning_rate.assign(rate)
        losses.append(float(step(tf.constant(IMAGES), tf.constant(LABELS), tf.constant(number, tf.int64))))
    return losses


def loss_and_gradients(model, images, smoothing=0.0):
    """The loss averaged over the batch, without decay, and its gradients."""
    targets = np.eye(3)[LABELS] * (1 - smoothing) + smoothing / 3
    with tf.GradientTape() as tape:
        log_probabilities = tf.nn.log_softmax(model(images))
        loss = -tf.reduce_mean(tf.reduce_sum(targets.astype(np.float32) * log_probabilities, 1))
    return float(loss), [gradient.numpy().astype(np.float64)
                         for gradient in tape.gradient(loss, model.trainable_variables)]


# The published rules, in float64: (w, g, rate, s) -> w, where s keeps what a rule remembers.


def sgd(w, g, rate, s):
    return w - rate * g


def momentum(w, g, rate, s):  # the paper, section 5: the rate inside the velocity
    s['v'] = 0.8 * s.get('v', 0) - rate * g
    return w + s['v']


def adagrad(w, g, rate, s):  # Duchi, Hazan and Singer 2011
    s['sum'] = s.get('sum', 0.3) + g ** 2
    return w - rate * g / np.sqrt(s['sum'])


def adadelta(w, g, rate, s):  # Zeiler 2012, algorithm 1, times a rate
    s['g'] = 0.7 * s.get('g', 0) + 0.3 * g ** 2
    change = -np.sqrt(s.get('x', 0) + 0.01) / np.sqrt(s['g'] + 0.01) * g
    s['x'] = 0.7 * s.get('x', 0) + 0.3 * change ** 2
    return w + rate * change


def adam(w, g, rate, s):  # Kingma and Ba 2015, the form before their section 2.1: epsilon beside the raw root
    s['t'] = s.get('t', 0) + 1
    s['m'] = 0.8 * s.get('m', 0) + 0.2 * g
    s['v'] = 0.95 * s.get('v', 0) + 0.05 * g ** 2
    rate *= np.sqrt(1 - 0.95 ** s['t']) / (1 - 0.8 ** s['t'])
    return w - rate * s['m'] / (np.sqrt(s['v']) + 0.01)


def ftrl(w, g, rate, s):  # McMahan et al. 2013, with the power -0.5 of the flags' default made -0.4
    before = s.get('n', 0.2)
    s['n'] = before + g ** 2
    s['z'] = s.get('z', 0) + g - (s['n'] ** 0.4 - before ** 0.4) / rate * w
    shrunk = np.clip(s['z'], -0.001, 0.001) - s['z']
    return shrunk / (s['n'] ** 0.4 / rate + 2 * 0.02)


def rmsprop(w, g, rate, s):  # Hinton's lecture 6e, with TF's momentum; TF1 began at a mean square of 1, Keras at 0
    s['square'] = 0.7 * s.get('square', 0) + 0.3 * g ** 2
    s['v'] = 0.6 * s.get('v', 0) + rate * g / np.sqrt(s['square'] + 0.01)
    return w - s['v']


FLAGS = {'momentum': 0.8, 'adagrad_initial_accumulator_value': 0.3, 'adadelta_rho': 0.7, 'opt_epsilon': 0.01,
         'adam_beta1': 0.8, 'adam_beta2': 0.95, 'ftrl_initial_accumulator_value': 0.2, 'ftrl_l1': 0.001,
         'ftrl_l2': 0.02, 'ftrl_learning_rate_power': -0.4, 'rmsprop_decay': 0.7, 'rmsprop_momentum': 0.6}


@pytest.mark.parametrize('rule', [sgd, momentum, adagrad, adadelta, adam, ftrl, rmsprop],
                         ids=lambda rule: rule.__name__)
def test_published_rules_with_decay_and_changing_rate(rule):
    state, twin = State(make_model(), optimizers.make(rule.__name__, **FLAGS)), make_model()
    memories = [{} for _ in twin.trainable_variables]
    start = [variable.numpy() for variable in twin.trainable_variables]
    losses = run_steps(state)
    for rate, loss in zip(RATES, losses):
        expected, gradients = loss_and_gradients(twin, IMAGES - MEAN)
        assert loss == pytest.approx(expected, rel=1e-4)
        for variable, gradient, memory in zip(twin.trainable_variables, gradients, memories):
            w = variable.numpy().astype(np.float64)
            if variable.name.endswith('weights:0'):
                gradient = gradient + DECAY * w
            variable.assign(rule(w, gradient, rate, memory))
    for actual, expected, before in zip(state.model.trainable_variables, twin.trainable_variables, start):
        moved = np.abs(expected.numpy() - before).max()
        assert moved > 1e-3
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3 * moved, err_msg=actual.name)


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


def test_adagrad_with_slims_defaults_has_no_epsilon():
    # slim gave its AdagradOptimizer no --opt_epsilon, which is 1 by default and would rule the root.
    ours = tf.Variable([1.0, 2.0])
    optimizer = optimizers.make('adagrad')
    optimizer.build([ours])
    optimizer.learning_rate.assign(0.1)
    gradient = np.array([0.2, -0.05], np.float32)
    optimizer.apply_gradients([(tf.constant(gradient), ours)])
    np.testing.assert_allclose(ours, [1, 2] - 0.1 * gradient / np.sqrt(0.1 + gradient ** 2), rtol=1e-5)


def test_every_name_makes_an_optimizer_of_its_own():
    kinds = {name: type(optimizers.make(name)).__name__.lower() for name in optimizers.NAMES}
    assert kinds == {name: name for name in optimizers.NAMES}
    assert float(optimizers.make('momentum').momentum) == 0.9  # the paper
    assert float(optimizers.make('sgd').momentum) == 0


def test_decay_alone_shrinks_weights_and_spares_biases():
    model = make_model()
    model.get_layer('fc8').kernel.assign(tf.zeros([4, 4, 4, 3]))  # cuts conv1 off: its gradient is decay alone
    before = model.get_layer('conv1').kernel.numpy(), model.get_layer('conv1').bias.numpy()
    run_steps(State(model, optimizers.make('sgd')), [0.5], weight_decay=0.1)
    np.testing.assert_allclose(model.get_layer('conv1').kernel, 0.95 * before[0], rtol=1e-6)
    np.testing.assert_array_equal(model.get_layer('conv1').bias, before[1])


def test_a_scope_that_fits_no_variable_is_refused():
    with pytest.raises(ValueError, match="'conv7', which matches no variable; the variables are small/conv1/biases"):
        State(make_model(), optimizers.make('momentum'), trainable_scopes=['conv7'])


def test_frozen_scopes_do_not_decay_and_several_scopes_are_united():
    model = make_model()
    before = {variable.name: variable.numpy() for variable in model.weights}
    scopes = ['small/conv1/biases', 'small/fc8/biases']
    run_steps(State(model, optimizers.make('momentum'), trainable_scopes=scopes), weight_decay=0.1)
    changed = {variable.name for variable in model.weights if not np.array_equal(variable, before[variable.name])}
    assert changed == {'conv1/biases:0', 'fc8/biases:0'}


def test_the_step_trains_on_noisy_images():
    axes = np.diag([9.0, 5.0, 3.0]).astype(np.float32)
    state, twin = State(make_model(), optimizers.make('sgd')), make_model()
    run_steps(state, [0.01, 0.01], noise=ColorNoise(axes), weight_decay=0.0)
    for number in range(2):  # the noise of step n is that of the seed [seed, n]
        images = preprocessing.add_color_noise(IMAGES - MEAN, tf.constant([5, number], tf.int64), axes)
        for variable, gradient in zip(twin.trainable_variables, loss_and_gradients(twin, images)[1]):
            variable.assign_sub(0.01 * gradient)
    plain = make_model()
    run_steps(State(plain, optimizers.make('sgd')), [0.01, 0.01], weight_decay=0.0)
    for actual, expected, other in zip(state.model.weights, twin.weights, plain.weights):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
        assert not np.allclose(actual, other, rtol=1e-4, atol=1e-6)


def test_the_smoothed_loss():
    expected, _ = loss_and_gradients(make_model(), IMAGES - MEAN, smoothing=0.1)
    plain, _ = loss_and_gradients(make_model(), IMAGES - MEAN)
    losses = run_steps(State(make_model(), optimizers.make('sgd')), [0.01], label_smoothing=0.1)
    assert losses == pytest.approx([expected], rel=1e-5) and abs(expected - plain) > 1e-3 * plain


def test_smoothing_leaves_a_share_on_the_right_label():
    # Logits of all zeros: every target that sums to 1 costs log(3); a target of 1 + share / 3 would cost more.
    model = make_model()
    model.get_layer('fc8').kernel.assign(tf.zeros([4, 4, 4, 3]))
    model.get_layer('fc8').bias.assign([0.0, 0.0, 0.0])
    state = State(model, optimizers.make('sgd'))
    assert run_steps(state, [1.0], label_smoothing=0.3, weight_decay=0.0) == pytest.approx([np.log(3)], rel=1e-6)
    # Then fc8's biases moved by -rate * mean(softmax - target): labels are equally frequent, so by nothing.
    np.testing.assert_allclose(model.get_layer('fc8').bias, [0, 0, 0], atol=1e-7)
