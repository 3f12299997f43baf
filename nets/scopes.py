"""Arg scopes: defaults for a network's layers, set with a `with` statement as in slim.

`nets.arg_scope(scope)` needs nothing but this package; `tf_slim.arg_scope(scope)` takes effect as
well when tf_slim is loaded, and so do settings for `tf_slim.conv2d` that a caller makes there.
"""
import contextlib
import dataclasses
import sys
import threading
from typing import Any

import tensorflow as tf

_KEY = 'nets.conv2d'
_stack = threading.local()


@dataclasses.dataclass(frozen=True)
class ConvDefaults:
    """What a row that says nothing else gets. Names and meanings are those of slim's conv2d."""
    activation_fn: Any = tf.nn.relu
    weights_initializer: Any = None
    weights_regularizer: Any = None
    biases_initializer: Any = None
    biases_regularizer: Any = None
    trainable: bool = True


# Settings of slim.conv2d that leave a network of this package as it is when they have this value.
_WITHOUT_EFFECT = {'padding': 'SAME', 'data_format': (None, 'NHWC'), 'normalizer_fn': None,
                   'normalizer_params': None, 'rate': 1, 'reuse': None, 'variables_collections': None}


@contextlib.contextmanager
def arg_scope(scope):
    """Makes `scope`, the result of an `…_arg_scope()` function, the default inside the `with` block."""
    if not isinstance(scope, dict):
        raise ValueError(f'nets.arg_scope got {type(scope).__name__}; it takes what '
                         'alexnet_v2_arg_scope() or alexnet_arg_scope() returned. For lists of layers '
                         'use tf_slim.arg_scope.')
    scopes = _own_scopes()
    scopes.append(scope)
    try:
        yield scope
    finally:
        scopes.pop()


def conv_scope(**defaults):
    """The scope dictionary for ConvDefaults' fields, valid for `nets.arg_scope` and `tf_slim.arg_scope`."""
    scope = {_KEY: defaults}
    layers = sys.modules.get('tf_slim.layers')
    if layers is not None:  # so that slim layers which the caller adds to the network get them too
        scope[layers.conv2d._key_op] = dict(defaults, padding='SAME')
        scope[layers.fully_connected._key_op] = dict(defaults)
        scope[layers.max_pool2d._key_op] = {'padding': 'VALID'}
    return scope


def current_defaults():
    """The ConvDefaults in force here; `nets.arg_scope` goes before `tf_slim.arg_scope`.

    Raises ValueError for a setting of tf_slim.conv2d which the networks cannot follow.
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
        # outputs_collections: slim's own networks override it too.
        if key in fields or key == 'outputs_collections':
            continue
        allowed = _WITHOUT_EFFECT.get(key, ())
        if value not in (allowed if isinstance(allowed, tuple) else (allowed,)):
            raise ValueError(f'the arg scope sets {key}={value!r} for conv2d, which this network cannot '
                             f'follow; it takes {", ".join(sorted(fields))}.')
    return ConvDefaults(**{key: value for key, value in settings.items() if key in fields})


def _own_scopes():
    if not hasattr(_stack, 'scopes'):
        _stack.scopes = []
    return _stack.scopes
