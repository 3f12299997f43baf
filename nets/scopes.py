"""Arg scopes: defaults for a network's layers, set with a `with` statement as in slim.

`nets.arg_scope(scope)` needs only this package. When tf_slim is loaded, `tf_slim.arg_scope(scope)` takes effect too,
and so do a caller's own settings for `tf_slim.conv2d`.
"""
import contextlib
import dataclasses
import sys
import threading
from typing import Any

import tensorflow as tf
import tf_keras

_KEY = 'nets.conv2d'
_stack = threading.local()


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
        return dataclasses.replace(
            self, activation_fn=self.activation_fn if row.relu else None,
            weights_initializer=_weights_initializer(row.init) or self.weights_initializer or _GLOROT(),
            biases_initializer=bias if callable(bias) else tf_keras.initializers.Constant(bias or 0.0))


_GLOROT = tf_keras.initializers.GlorotUniform


def _weights_initializer(init):
    """The Keras initializer of a rows.Init (None: none), valid for get_variable as well."""
    if init is None:
        return None
    if init.kind == 'glorot_uniform':
        return _GLOROT()
    if init.kind == 'normal':
        return tf_keras.initializers.RandomNormal(0.0, init.stddev)
    # Keras does not rescale a truncated normal: stddev is that of the normal before it is cut at 2 deviations.
    return tf_keras.initializers.TruncatedNormal(0.0, init.stddev)


# Settings of slim.conv2d that change nothing in these networks when they have this value.
_WITHOUT_EFFECT = {'padding': 'SAME', 'data_format': (None, 'NHWC'), 'normalizer_fn': None,
                   'normalizer_params': None, 'rate': 1, 'reuse': None, 'variables_collections': None}


@contextlib.contextmanager
def arg_scope(scope):
    """Inside the `with` block, `scope` (from an `…_arg_scope()` function) sets the defaults of layers."""
    if not isinstance(scope, dict):
        raise ValueError(f'nets.arg_scope got a {type(scope).__name__}; it takes what '
                         'alexnet_v2_arg_scope() or alexnet_arg_scope() returned. For a list of layers '
                         'use tf_slim.arg_scope.')
    scopes = _own_scopes()
    scopes.append(scope)
    try:
        yield scope
    finally:
        scopes.pop()


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
    slim_scopes = sys.modules.get('tf_slim.ops.arg_scope')
    if slim_scopes is not None:
        scope = slim_scopes.current_arg_scope()
        layers = sys.modules['tf_slim.layers']
        settings |= scope.get(layers.conv2d._key_op, scope.get(_KEY, {}))
    if _own_scopes():
        settings |= _own_scopes()[-1].get(_KEY, {})
    fields = {field.name for field in dataclasses.fields(ConvDefaults)}
    for key, value in settings.items():
        if key in fields or key == 'outputs_collections':  # the latter slim's own networks override too
            continue
        allowed = _WITHOUT_EFFECT.get(key, ())
        if value not in (allowed if isinstance(allowed, tuple) else (allowed,)):
            raise ValueError(f'the arg scope sets {key}={value!r} for conv2d, which this network cannot '
                             f'follow; it follows {", ".join(sorted(fields))}.')
    return ConvDefaults(**{key: value for key, value in settings.items() if key in fields})


def _own_scopes():
    if not hasattr(_stack, 'scopes'):
        _stack.scopes = []
    return _stack.scopes
