"""Numbers that are not finite end a run before a checkpoint holds them."""
import math

import tensorflow as tf


class NotFinite(ValueError):
    """The loss or a weight is NaN or infinite."""


def check_loss(loss, what, step):
    """Raises NotFinite unless the loss (float) is finite. what: for the message, as 'The loss'."""
    if not math.isfinite(loss):
        raise NotFinite(f'{what} is {loss} at step {step}.')


def check_variables(variables, step):
    """Raises NotFinite naming the first of {name: variable} that holds NaN or infinity."""
    for name, whole in variables.items():
        for part in getattr(whole, 'parts', [whole]):
            if part.dtype.is_floating and not _all_finite(tf.convert_to_tensor(part)):
                raise NotFinite(f'{name} is not finite at step {step}.')


@tf.function(autograph=False, reduce_retracing=True)
def _all_finite(tensor):
    return tf.reduce_all(tf.math.is_finite(tensor))
