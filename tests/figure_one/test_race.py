"""Epochs to 25 % by hand, who is dropped, and who trains next."""
import pytest

from alexnet_tf.figure_one import race


@pytest.mark.parametrize('curve, epochs', [
    ([80.0, 50.0, 30.0, 20.0], 3.5), ([80.0, 25.0, 24.0], 2.0), ([24.0], 1.0), ([50.0, 26.0], None), ([], None),
    ([60.0, 20.0, 30.0], 1 + 35 / 40), ([60.0, None], None)])
def test_epochs_to(curve, epochs):
    assert race.epochs_to(curve) == (epochs if epochs is None else pytest.approx(epochs))


def test_the_fastest_is_the_first_there_else_the_one_of_the_lowest_error():
    assert race.fastest({'a': [60.0, 30.0, 24.0], 'b': [50.0, 26.0, 20.0], 'c': [30.0, 28.0, 26.0]}) == 'b'
    assert race.fastest({'a': [60.0, 40.0], 'b': [50.0, 45.0], 'c': [70.0, None]}) == 'a'


def test_a_rate_is_dropped_when_another_was_better_after_three_quarters_of_the_epochs():
    curves = {'a': [70.0, 50.0], 'b': [85.0, 71.9], 'c': [80.0, 72.1]}
    assert race.faster('a', curves) is None
    assert race.faster('b', curves) is None  # 1.9 points may be chance
    assert race.faster('c', curves) == 'a'
    assert race.faster('c', {'a': [70.0, 50.0], 'c': [80.0, 72.1, 40.0]}) == 'a'  # it stays dropped
    assert race.faster('d', {'a': [70.0], 'd': [90.0]}) is None  # after one epoch nobody is
    slow = [90.0, 80.0, 70.0, 60.0, 55.0, 52.0, 51.0]
    assert race.faster('d', {'a': [99.0, 99.0, 57.9], 'd': slow[:3]}) is None
    assert race.faster('d', {'a': [99.0, 99.0, 57.9], 'd': slow[:4]}) == 'a'
    assert race.faster('d', {'a': [99.0, 99.0, 99.0, 99.0, 48.9, 40.0], 'd': slow[:6]}) is None
    assert race.faster('d', {'a': [99.0, 99.0, 99.0, 99.0, 48.9, 40.0], 'd': slow}) == 'a'


def order(errors, max_epochs):
    """The rates in the order in which they train. errors: {rate: its whole curve}."""
    curves, trained = {rate: [] for rate in errors}, []
    while (rate := race.next_rate(curves, max_epochs)) is not None:
        trained.append(rate)
        curves[rate].append(errors[rate][len(curves[rate])])
    return ''.join(trained)


def test_all_train_in_turns_until_none_can_come_in_first():
    # c is not finite in epoch 2; b comes in during epoch 3, which a still ends
    assert order({'a': [80.0, 60.0, 24.0, 0.0], 'b': [75.0, 50.0, 20.0, 0.0], 'c': [70.0, None]}, 9) == 'abcabcab'
    assert order({'a': [80.0, 79.0, 78.0], 'b': [75.0, 74.0, 73.0]}, 2) == 'abab'
    assert order({'a': [60.0, 20.0], 'b': [90.0, 89.0, 88.0]}, 9) == 'abab'
    assert order({'a': [20.0], 'b': [30.0]}, 9) == 'ab'
    assert order({'a': [60.0, 50.0, 40.0, 20.0], 'b': [90.0, 89.0]}, 9) == 'ababaa'
