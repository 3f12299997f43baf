"""Rates of single variables: the original run's program, wrong programs, and the update rule with them."""
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.script_flags import recipes
from alexnet_tf.training import optimizers, schedules
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from nets import keras_layers

STEPS = schedules.parse_steps(recipes.STEPS_145, ['conv1', 'conv2', 'fc8'])


def test_the_original_runs_rates():
    """alexnet-2012.md: 0.01; from 25 0.001; 51 0.0001; 67 conv1 0.00001, no noise; 72 conv1 frozen; 79 0.00001.
    Biases 0.02 until they are frozen."""
    def at(epoch):
        return [schedules.stepped(STEPS, epoch, name) for name in ('conv2/weights', 'conv1/weights', 'conv2/biases',
                                                                   'conv1/biases', 'color_noise')]
    assert at(0) == [0.01, 0.01, 0.02, 0.02, None]
    assert at(24.99) == at(0)
    assert at(25) == [0.001, 0.001, 0.02, 0.02, None]
    assert at(51) == [0.0001, 0.0001, 0.02, 0.02, None]
    assert at(67) == [0.0001, 0.00001, 0.02, 0.02, 0]
    assert at(72) == [0.0001, 0, 0.02, 0, 0]
    assert at(79) == at(90) == [0.00001, 0, 0.02, 0, 0]
    settings = schedules.Steps(STEPS).settings(67, ['conv1/weights', 'fc8/weights', 'fc8/biases'])
    assert settings.rate == 0.0001 and not settings.color_noise
    assert settings.factors == pytest.approx((0.1, 1, 200))


@pytest.mark.parametrize('entries, sentence', [
    (['0.01'], "has '0.01'; entries are epoch:rate"),
    (['0:0.01', '5:conv9=0.1'], "'5:conv9=0.1'; targets are weights, biases"),
    (['0:0.01', '5:conv1/kernel=0.1'], 'targets are'),
    (['5:0.01'], 'no rate for epoch 0'),
    (['0:0'], 'the rate of all above 0'),
    (['0:0.01', '3:conv1=-1'], 'must be at least 0'),
    (['0:0.01', '3:color_noise=0.5'], 'color_noise 0 or 1'),
    (['0:0.01', 'nan:0.1'], 'must be at least 0'),
    (['0:0.01', 'inf:0.1'], 'must be at least 0'),
    (['0:0.01', '3:conv1=inf'], 'must be at least 0'),
    (['0:0.01', '3:conv9/weights=0.1'], 'targets are'),
])
def test_wrong_steps_are_refused(entries, sentence):
    with pytest.raises(ValueError, match=sentence.replace('[', '.')):
        schedules.parse_steps(entries, ['conv1'])


def test_targets_from_the_widest_to_the_narrowest():
    changes = schedules.parse_steps(['0:0.01', '1:weights=0.02', '2:conv1=0.03', '3:conv1/weights=0.04',
                                     '4:color_noise=0', '5:color_noise=1'], ['conv1', 'conv2'])
    rates = schedules.Steps(changes)
    assert rates.own_rates
    assert [rates.settings(epoch, ['conv1/weights']).factors[0] for epoch in range(4)] == pytest.approx([1, 2, 3, 4])
    assert rates.settings(3, ['conv1/biases', 'conv2/weights', 'conv2/biases']).factors == pytest.approx((3, 2, 1))
    assert [rates.settings(epoch, []).color_noise for epoch in (3, 4, 5)] == [True, False, True]


IMAGES = np.random.default_rng(0).integers(0, 256, [4, 8, 8, 3], np.uint8)
LABELS = np.array([0, 2, 1, 2])
MEAN = np.array([120, 110, 100], np.float32)


def small_model():
    """conv1 3x3 -> fc8, of the project's own layers; logits [batch, 3]."""
    tf_keras.utils.set_random_seed(1)
    images = tf_keras.Input([8, 8, 3])
    net = keras_layers.Convolution(4, 3, 2, activation='relu', name='conv1')(images)
    logits = keras_layers.Convolution(3, 4, padding='VALID', squeeze=True, name='fc8')(net)
    return tf_keras.Model(images, logits, name='small')


def gradients_of(model):
    """Of the mean cross entropy, by TensorFlow."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            LABELS, model(IMAGES.astype(np.float32) - MEAN)))
    return [gradient.numpy() for gradient in tape.gradient(loss, model.trainable_variables)]


def test_rates_of_single_variables_are_the_rule_with_their_rates():
    """Two steps with own rates against the update rule in NumPy; then conv1 is frozen and stands still at once."""
    state, twin = State(small_model(), optimizers.make('momentum'), own_rates=True), small_model()
    assert state.trainable_names == ['conv1/weights', 'conv1/biases', 'fc8/weights', 'fc8/biases']
    step = make_train_step(state, batch_size=4, mean=MEAN, seed=0)
    rates = np.array([0.001, 0.02, 0.01, 0.03])
    velocities = [np.zeros(variable.shape) for variable in twin.trainable_variables]

    def run(rates, number):
        state.follow(schedules.Settings(0.01, tuple(rates / 0.01)))
        step(tf.constant(IMAGES), tf.constant(LABELS), tf.constant(number, tf.int64))
    for number in range(2):
        gradients = gradients_of(twin)
        run(rates, number)
        for index, variable in enumerate(twin.trainable_variables):
            decay = 0.0005 if 'weights' in variable.name else 0
            velocities[index] = 0.9 * velocities[index] - rates[index] * (gradients[index] + decay * variable.numpy())
            variable.assign_add(velocities[index])
    for one, other in zip(state.trainable, twin.trainable_variables):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for number in (2, 5):  # frozen, thawed, frozen again: each time at once
        before = [variable.numpy() for variable in state.trainable]
        run(np.array([0, 0, 0.01, 0.03]), number)
        for index, variable in enumerate(state.trainable):
            assert np.array_equal(variable, before[index]) == (index < 2)
        run(rates, number + 1)
        assert not np.array_equal(state.trainable[0], before[0])
