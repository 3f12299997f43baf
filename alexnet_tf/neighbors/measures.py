"""How good a ranking of images by their distance is: average precision, and precision among the first ten.

Codes have few different distances, so that many images share one. Their order would be luck; here nothing depends on
it.
"""
import numpy as np


def average_precision(distances, relevant):
    """The mean of the precision at each relevant image, 0..1. One precision holds for all images of one distance.

    So does scikit-learn's average_precision_score count.

    Args:
      distances: [images], of one query. relevant: bool [images], at least one of them.
    """
    order = np.argsort(distances, kind='stable')
    ends = _ends(distances[order])
    right = np.cumsum(relevant[order])[ends]
    return float(np.sum(np.diff(right, prepend=0) * right / (ends + 1)) / right[-1])


def precision_at(count, distances, relevant):
    """The share of relevant images among the `count` nearest, 0..1.

    Of images of one distance that do not all fit, each is as likely as the other: the expectation counts.
    """
    order = np.argsort(distances, kind='stable')
    ends = _ends(distances[order])
    last = np.searchsorted(ends, count - 1)  # the group that fills the places
    before, right = (0, 0) if last == 0 else (ends[last - 1] + 1, relevant[order[:ends[last - 1] + 1]].sum())
    share = relevant[order[before:ends[last] + 1]].mean()
    return float((right + (count - before) * share) / count)


def _ends(ordered):
    """Where the groups of equal ones end, in a sorted array."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
