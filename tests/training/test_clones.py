"""A step on two devices, parts of the one CPU, is the step on one."""
import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data.color_noise import ColorNoise
from alexnet_tf.training import optimizers, schedules
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from tests.helpers import small_run

BATCH = 6
RANDOM = np.random.default_rng(4)
IMAGES = RANDOM.integers(0, 256, [BATCH, 32, 32, 3], np.uint8)
LABELS = RANDOM.integers(0, 10, [BATCH])
NOISE = ColorNoise(np.diag([30.0, 20.0, 10.0]).astype(np.float32), 1.2)
MEAN = np.array([120, 110, 100], np.float32)


def two_steps(strategy, options):
    """(losses, weights) with dropout, decay and rates of single variables; noise in the first step alone."""
    with strategy.scope():
        state = State(small_run.network(), optimizers.make('momentum'), own_rates=True)
    step = make_train_step(state, batch_size=BATCH, mean=MEAN, seed=3, weight_decay=0.5, **options)
    losses = []
    for number, noise in enumerate((True, False)):
        state.follow(schedules.Settings(0.001, (1.0, 2.0, 3.0, 4.0), noise))
        losses.append(float(step(tf.constant(IMAGES), tf.constant(LABELS), tf.constant(number, tf.int64))))
    assert step.experimental_get_tracing_count() == 1
    return losses, [variable.numpy() for variable in state.trainable]


@pytest.mark.parametrize('options', [{'noise': NOISE}, {'label_smoothing': 0.2}], ids=['noise', 'smoothing'])
def test_two_devices_share_a_batch(options):
    both = tf.distribute.MirroredStrategy(['/CPU:0', '/CPU:1'], tf.distribute.ReductionToOneDevice())
    assert both.num_replicas_in_sync == 2
    expected, found = (two_steps(strategy, options) for strategy in (tf.distribute.get_strategy(), both))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    assert np.ptp(expected[0]) > 1e-3
    for one, other in zip(expected[1], found[1]):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_a_schedule_can_turn_the_noise_off():
    def loss(noise, is_on):
        state = State(small_run.network(), optimizers.make('momentum'))
        state.follow(schedules.Settings(0.001, color_noise=is_on))
        step = make_train_step(state, batch_size=BATCH, mean=MEAN, seed=3, noise=noise)
        return float(step(tf.constant(IMAGES), tf.constant(LABELS), tf.constant(0, tf.int64)))
    without = loss(None, True)
    assert loss(NOISE, False) == pytest.approx(without, rel=1e-6)
    assert loss(NOISE, True) != pytest.approx(without, rel=1e-3)
