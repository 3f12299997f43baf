"""What a `with` statement sets; above all arg scopes, defaults for a network's layers, as in slim.

`nets.arg_scope(scope)` needs only this package. When tf_slim is loaded, `tf_slim.arg_scope(scope)` takes effect too,
and so do a caller's own settings for `tf_slim.conv2d`.
"""
import contextlib
import contextvars
import dataclasses
import sys
from typing import Any

import tensorflow as tf
import tf_keras

_KEY = 'nets.conv2d'
_own_scope = contextvars.ContextVar('nets.arg_scope', default=None)


@dataclasses.dataclass(frozen=True)
class ConvDefaults:
    """What the arg scope says about every convolution. Names and meanings are those of slim's conv2d."""
    activation_fn: Any = tf.nn.relu
    weights_initializer: Any = None
    weights_regularizer: Any = None
    biases_initializer: Any = None
    biases_regularizer: Any = None
    trainable: bool = True

    def of(self, row):
        """The same settings for one Conv row: what the row itself says takes precedence, and nothing stays open."""
        bias = self.biases_initializer if row.bias is None else row.bias
        if row.init:
            # Keras does not rescale a truncated normal: stddev is that of the normal before it is cut at 2 deviations.
            weights = {'normal': tf_keras.initializers.RandomNormal,
                       'truncated_normal': tf_keras.initializers.TruncatedNormal}[row.init.kind](0.0, row.init.stddev)
        else:
            weights = self.weights_initializer or tf_keras.initializers.GlorotUniform()
        return dataclasses.replace(
            self, activation_fn=self.activation_fn if row.relu else None, weights_initializer=weights,
            biases_initializer=bias if callable(bias) else tf_keras.initializers.Constant(bias or 0.0))


# Settings of slim.conv2d that change nothing in these networks when they have this value.
_WITHOUT_EFFECT = {'padding': ['SAME'], 'data_format': [None, 'NHWC'], 'normalizer_fn': [None],
                   'normalizer_params': [None], 'rate': [1], 'reuse': [None], 'variables_collections': [None]}


@contextlib.contextmanager
def within(variable, value):
    """Inside the `with` block, a ContextVar has this value. Each thread has its own."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


def arg_scope(scope):
    """Inside the `with` block, `scope` (from an `…_arg_scope()` function) sets the defaults of layers."""
    if not isinstance(scope, dict):
        raise ValueError(f'nets.arg_scope got a {type(scope).__name__}; it takes what '
                         'alexnet_v2_arg_scope() or alexnet_arg_scope() returned. For a list of layers '
                         'use tf_slim.arg_scope.')
    return within(_own_scope, scope)


def conv_scope(**defaults):
    """A scope with these fields of ConvDefaults, for `nets.arg_scope` and `tf_slim.arg_scope`."""
    scope = {_KEY: defaults}
    layers = sys.modules.get('tf_slim.layers')
    if layers is not None:  # slim layers that the caller adds to the network get the same settings
        scope[layers.conv2d._key_op] = dict(defaults, padding='SAME')
        scope[layers.fully_connected._key_op] = dict(defaults)
        scope[layers.max_pool2d._key_op] = {'padding': 'VALID'}
    return scope


def current_defaults():
    """The ConvDefaults in force here; `nets.arg_scope` takes precedence over `tf_slim.arg_scope`.

    Raises: ValueError for a setting of tf_slim.conv2d that the networks cannot follow.
    """
    settings = {}
    if 'tf_slim.ops.arg_scope' in sys.modules:
        scope = sys.modules['tf_slim.ops.arg_scope'].current_arg_scope()
        settings |= scope.get(sys.modules['tf_slim.layers'].conv2d._key_op, scope.get(_KEY, {}))
    settings |= (_own_scope.get() or {}).get(_KEY, {})
    fields = {field.name for field in dataclasses.fields(ConvDefaults)}
    for key, value in settings.items():
        followed = key in fields or key == 'outputs_collections'  # the latter slim's own networks override too
        if not followed and value not in _WITHOUT_EFFECT.get(key, []):
            raise ValueError(f'the arg scope sets {key}={value!r} for conv2d, which this network cannot '
                             f'follow; it follows {", ".join(sorted(fields))}.')
    return ConvDefaults(**{key: value for key, value in settings.items() if key in fields})
