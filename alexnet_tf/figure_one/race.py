"""Which learning rate trains fastest: all of them race, an epoch at a time, and slow ones are dropped.

A curve is the training error after each epoch, in percent. None at its end: the loss was no longer finite. What comes
next depends on the curves alone, so that a race that was killed goes on as if nothing had been.
"""
import math

THRESHOLD = 25.0  # percent; the paper's
MARGIN = 2.0  # points, which chance alone does not make


def epochs_to(curve, threshold=THRESHOLD):
    """Epochs until the error is at most the threshold, on a straight line between two epochs; None: never.

    A first epoch that ends there counts as a whole one.
    """
    for epoch, error in enumerate(curve, 1):
        if error is not None and error <= threshold:
            before = curve[epoch - 2] if epoch > 1 else error
            return epoch - (threshold - error) / (before - error) if epoch > 1 else 1.0
    return None


def fastest(curves):
    """The rate that reached the threshold first; if none did, that of the lowest error. curves: {rate: curve}."""
    def place(rate):
        return epochs_to(curves[rate]) or math.inf, _lowest(curves[rate])
    return min(curves, key=place)


def faster(rate, curves):
    """A rate that shows that this one is slow: its error was lower by MARGIN after 3/4 as many epochs. None: none."""
    curve = curves[rate]
    for epoch in range(2, len(curve) + 1):
        for other in curves:
            if _lowest(curves[other][:3 * epoch // 4]) < _lowest(curve[:epoch]) - MARGIN:
                return other
    return None


def next_rate(curves, max_epochs):
    """The rate that trains for the next epoch; None: the race is over."""
    racing = _racing(curves, max_epochs)
    return min(racing, key=lambda rate: len(curves[rate]), default=None)


def _racing(curves, max_epochs):
    return [rate for rate, curve in curves.items() if len(curve) < _last(curves, max_epochs)
            and None not in curve and faster(rate, curves) is None]


def _last(curves, max_epochs):
    """The epoch after which no rate can come in first."""
    reached = [math.ceil(epochs) for epochs in map(epochs_to, curves.values()) if epochs]
    return min([max_epochs, *reached])


def _lowest(curve):
    return min((error for error in curve if error is not None), default=math.inf)
