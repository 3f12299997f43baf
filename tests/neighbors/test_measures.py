"""The measures, by hand, by enumeration, and by scikit-learn's count."""
import itertools

import numpy as np
import pytest

from alexnet_tf.neighbors import measures


def test_average_precision_by_hand():
    relevant = np.array([True, False, True, False, True])  # at ranks 1, 3, 5
    assert measures.average_precision(np.arange(5.0), relevant) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert measures.average_precision(np.arange(5.0)[::-1], relevant) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert measures.average_precision(np.array([0, 1, 1, 1, 2]), relevant) == pytest.approx((1 + 2 / 4 + 3 / 5) / 3)
    assert measures.average_precision(np.zeros(5), relevant) == pytest.approx(3 / 5)


def test_precision_is_the_mean_over_all_orders_of_equal_ones():
    random = np.random.default_rng(0)
    for _ in range(20):
        distances, relevant = random.integers(0, 3, 6), random.random(6) < 0.5
        for count in (1, 3, 6):
            shares = [relevant[list(order[:count])].mean() for order in itertools.permutations(range(6))
                      if (np.diff(distances[list(order)]) >= 0).all()]
            assert measures.precision_at(count, distances, relevant) == pytest.approx(np.mean(shares))


def test_average_precision_is_scikit_learns():
    ranking = pytest.importorskip('sklearn.metrics', reason="compares with scikit-learn's average precision")
    random = np.random.default_rng(1)
    for levels in (3, 30, 10_000):
        distances, relevant = random.integers(0, levels, 200), random.random(200) < 0.2
        assert measures.average_precision(distances, relevant) == pytest.approx(
            ranking.average_precision_score(relevant, -distances))
