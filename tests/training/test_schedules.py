"""Schedules at hand-computed points, slim's two against TF1, and their edges; the plateau's rules; a run's length."""
import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.training import pace, schedules
from alexnet_tf.training.plateau import Plateau
from nets import slim_checkpoints

v1 = tf.compat.v1
EVERY_TYPE = pytest.mark.parametrize('decay_type', schedules.DECAY_TYPES)


def rate(step, decay_type, *, base=0.4, steps_per_epoch=10, divisions=0, **kwargs):
    return schedules.Decay(decay_type, base, **kwargs).rate(step / steps_per_epoch, divisions)


@pytest.mark.parametrize('decay_type, kwargs, expected', [
    ('fixed', {}, {0: 0.4, 10 ** 9: 0.4}),
    ('exponential', {'factor': 0.5, 'epochs_per_decay': 3}, {0: 0.4, 29: 0.4, 30: 0.2, 59: 0.2, 60: 0.1}),
    ('exponential', {'factor': 0.5, 'epochs_per_decay': 0.5}, {4: 0.4, 5: 0.2, 10: 0.1}),
    ('polynomial', {'end': 0.0, 'epochs_per_decay': 4}, {0: 0.4, 10: 0.3, 39: 0.01, 40: 0, 41: 0, 900: 0}),
    ('polynomial', {'end': 0.2, 'epochs_per_decay': 4}, {0: 0.4, 20: 0.3, 40: 0.2, 900: 0.2}),
    ('piecewise', {'boundaries': (2, 4, 4)}, {0: 0.4, 19: 0.4, 20: 0.04, 39: 0.04, 40: 0.0004}),
    ('piecewise', {'boundaries': ()}, {0: 0.4, 1000: 0.4}),
    # The order of boundaries does not matter: each that is past counts.
    ('piecewise', {'boundaries': (3, 1), 'factor': 0.5}, {9: 0.4, 10: 0.2, 30: 0.1}),
    ('plateau', {}, {0: 0.4, 1000: 0.4}),
    ('plateau', {'divisions': 3}, {0: 0.0004}),
    # As in slim, the warm-up only limits the schedule, whose first division falls into it here.
    ('piecewise', {'boundaries': (1, 3), 'warmup_epochs': 2}, {0: 0, 9: 0.18, 10: 0.04, 20: 0.04, 30: 0.004}),
    ('plateau', {'divisions': 1, 'warmup_epochs': 2}, {1: 0.02, 5: 0.04, 20: 0.04}),
    ('fixed', {'warmup_epochs': 0.5}, {0: 0, 1: 0.08, 4: 0.32, 5: 0.4}),
])
def test_by_hand(decay_type, kwargs, expected):
    assert {step: rate(step, decay_type, **kwargs) for step in expected} == pytest.approx(expected, rel=1e-12)


def test_without_a_word_a_rate_falls_as_in_slims_flags_but_over_thirty_epochs():
    assert rate(299, 'exponential') == 0.4 and rate(300, 'exponential') == pytest.approx(0.04)
    assert rate(150, 'polynomial') == pytest.approx((0.4 + 0.0001) / 2) and rate(300, 'polynomial') == 0.0001


def test_steps_per_epoch_need_not_be_whole():
    # 2000 examples in batches of 32: 62.5 steps per epoch, so epoch 1 begins within step 62, epoch 2 with step 125.
    rates = [rate(step, 'piecewise', steps_per_epoch=62.5, boundaries=(1, 2)) for step in (62, 63, 124, 125)]
    assert rates == pytest.approx([0.4, 0.04, 0.04, 0.004])


@pytest.mark.parametrize('examples, batch_size, epochs', [(1000, 3, 3), (9469, 7, 7), (2000, 32, 2), (100, 7, 7)])
def test_divided_exactly_when_the_epochs_end_in_a_whole_step(examples, batch_size, epochs):
    """examples / batch_size is rounded; the division must not come a step late for it."""
    end = examples * epochs // batch_size
    assert end * batch_size == examples * epochs
    for times in range(1, 30):
        rates = [rate(times * end + late, 'exponential', steps_per_epoch=examples / batch_size, factor=0.5,
                      epochs_per_decay=epochs) for late in (-1, 0)]
        assert rates == pytest.approx([0.4 * 0.5 ** (times - 1), 0.4 * 0.5 ** times])


@EVERY_TYPE
def test_a_rate_is_a_function_of_its_step(decay_type):
    kwargs = {'boundaries': (1, 2), 'warmup_epochs': 0.5, 'epochs_per_decay': 2.0}
    steps = list(range(60))
    forwards = [rate(step, decay_type, **kwargs) for step in steps]
    backwards = [rate(step, decay_type, **kwargs) for step in reversed(steps)]
    assert forwards == backwards[::-1]
    assert all(isinstance(value, float) and 0 <= value <= 0.4 for value in forwards)


@EVERY_TYPE
def test_rates_never_rise_after_the_warm_up(decay_type):
    rates = [rate(step, decay_type, boundaries=(2, 3.5), warmup_epochs=1, epochs_per_decay=2) for step in range(100)]
    unlimited = [rate(step, decay_type, boundaries=(2, 3.5), epochs_per_decay=2) for step in range(10)]
    assert rates[:10] == pytest.approx([min(0.04 * step, unlimited[step]) for step in range(10)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    if decay_type not in ('fixed', 'plateau'):  # Plateau's divisions come from its own count
        assert rates[-1] < rates[10]


@pytest.mark.parametrize('kwargs', [{'epochs_per_decay': 4, 'factor': 0.94, 'end': 0.001},
                                    {'epochs_per_decay': 0.7, 'factor': 0.5, 'end': 0.0}])
def test_slims_schedules_over_many_steps(kwargs):
    steps = np.arange(100)
    decay_steps = round(10 * kwargs['epochs_per_decay'])
    with tf.Graph().as_default(), v1.Session() as session:
        step = v1.placeholder(tf.int64, [])
        both = (v1.train.exponential_decay(0.4, step, decay_steps, kwargs['factor'], staircase=True),
                v1.train.polynomial_decay(0.4, step, decay_steps, kwargs['end'], power=1.0, cycle=False))
        slims = np.array([session.run(both, {step: number}) for number in steps])
    ours = [[rate(number, kind, **kwargs) for kind in ('exponential', 'polynomial')] for number in steps]
    np.testing.assert_allclose(ours, slims, rtol=1e-5, atol=1e-7)


def test_plateau_divides_three_times_and_no_more():
    plateau = Plateau()  # the paper: three times
    divided_at = [number for number in range(1, 41) if plateau.update(0.5)]
    # Validation 1 sets the minimum; five that do not beat it make a division, and so on.
    assert divided_at == [6, 11, 16]
    assert rate(0, 'plateau', base=0.01, divisions=int(plateau.divisions)) == pytest.approx(1e-5)


def test_plateau_counts_anew_after_an_improvement_however_small():
    plateau = Plateau(patience=3)
    errors = [0.5, 0.6, 0.6, 0.5 - 1e-9, 0.5, 0.5, 0.49, 0.8, 0.49, 0.9, 0.9]
    assert [plateau.update(error) for error in errors] == [False] * 9 + [True, False]
    assert float(plateau.best.numpy()) == 0.49


def test_an_equal_error_is_no_improvement():
    # Errors as validation gives them: 1 - k / n, none of which float32 holds exactly.
    for error in (1 - 1 / 3, 1 - 571 / 1000, 1 - 0.1):
        plateau = Plateau(patience=1)
        assert [plateau.update(error) for _ in range(2)] == [False, True], error


@pytest.mark.parametrize('interrupted_after', range(1, 12))
def test_plateau_resumed_anywhere_decides_as_one_that_went_on(interrupted_after, tmp_path):
    errors = [0.9, 0.8, 0.85, 0.8, 0.7, 0.7, 0.75, 0.6999, 0.8, 0.8, 0.8, 0.8, 0.1]
    whole = Plateau(patience=2)
    expected = [whole.update(error) for error in errors]
    assert sum(expected) == 3
    first, second = Plateau(patience=2), Plateau(patience=2)
    decisions = [first.update(error) for error in errors[:interrupted_after]]
    named = {'some/weights': tf.Variable([1.0])} | first.variables
    slim_checkpoints.load(second.variables, slim_checkpoints.save(named, str(tmp_path / 'model.ckpt-1')))
    decisions += [second.update(error) for error in errors[interrupted_after:]]
    assert decisions == expected


@pytest.mark.parametrize('examples, batch_size, epochs, expected', [
    (2000, 32, 2, 125), (1000, 3, 3, 1000), (9469, 7, 7, 9469), (100, 32, 1, 4), (100, 32, 0.01, 1), (100, 32, 0, 0),
    (4, 8, 2 * pace.LARGEST, pace.LARGEST)])
def test_steps_of_epochs_are_rounded_up(examples, batch_size, epochs, expected):
    assert pace.steps(examples, batch_size=batch_size, num_epochs=epochs) == expected


@pytest.mark.parametrize('epochs', [1e308, 2 * pace.LARGEST + 2])
def test_more_steps_than_can_be_counted_are_refused(epochs):
    with pytest.raises(ValueError, match=r'--num_epochs=.* would be .* steps; it must be at most 2147483647'):
        pace.steps(4, batch_size=8, num_epochs=epochs)


def test_rates_of_biases_are_a_multiple_of_the_common_one():
    names = ('conv1/weights', 'conv1/biases')
    twice = schedules.Decay('piecewise', 0.4, boundaries=(1,), bias_factor=2.0)
    assert twice.own_rates and twice.settings(1, names) == schedules.Settings(pytest.approx(0.04), (1.0, 2.0))
    common = schedules.Decay('plateau', 0.4)
    assert not common.own_rates and common.settings(9, names, 2) == schedules.Settings(pytest.approx(0.004), (1.0, 1.0))


def test_without_divisions_no_plateau_has_divided():
    plateau = schedules.Decay('plateau', 0.4)
    assert plateau.rate(1) == plateau.settings(1, ()).rate == 0.4
    assert plateau.settings(1, ()).color_noise is True
