"""Weights in slim's TF1 checkpoints, by name (`alexnet_v2/conv1/weights`), for Keras models.

The same names serve the project's own training checkpoints, so that slim's code can read them.
"""
import os
import re

import tensorflow as tf


class Parts:
    """A variable whose last axis is cut into parts on several devices, seen as one."""

    def __init__(self, parts):
        self.parts = parts
        *axes, _ = parts[0].shape
        self.shape = tf.TensorShape([*axes, sum(part.shape[-1] for part in parts)])

    def assign(self, value):
        """Gives each part its share of the values."""
        for part, share in zip(self.parts, tf.split(value, [part.shape[-1] for part in self.parts], -1)):
            part.assign(share)

    def __tf_tensor__(self, dtype=None, name=None):
        with tf.device('/CPU:0'):
            return tf.concat([tf.cast(part, dtype or part.dtype) for part in self.parts], -1, name=name)


def joined(variables):
    """{name: variable}, those named `…/part_0/…`, `…/part_1/…` as one Parts under the name without that."""
    found = {}
    for name, variable in variables.items():
        found.setdefault(re.sub(r'/part_\d', '', name), {})[name] = variable
    return {name: next(iter(parts.values())) if set(parts) == {name} else Parts([parts[key] for key in sorted(parts)])
            for name, parts in found.items()}


def named_variables(model):
    """{slim's name: variable} of a model's weights.

    The scope is the model's name, or what a function put before its layers' names (`alexnet_v2/conv1`).
    """
    names = joined({variable.name.split(':')[0]: variable for variable in model.weights})
    return {name if name.count('/') > 1 else f'{model.name}/{name}': variable for name, variable in names.items()}


def save(tensors, path):
    """Writes {name: tensor or variable} as a TF1 checkpoint (`path.index`, `path.data-…`).

    Returns: path. Raises: ValueError when the folder can't be written.
    """
    names = sorted(tensors)
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=[''] * len(names),
                          tensors=[tf.convert_to_tensor(tensors[name]) for name in names])
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).split('}} ')[-1].split(' [Op:')[0]  # less TensorFlow's names of its own
        raise ValueError(f'cannot write the checkpoint {path}: {reason}.') from error
    return path


def save_slim_checkpoint(model, path):
    """Saves a Keras model's weights under slim's names, readable by a TF1 Saver. Returns path."""
    return save(named_variables(model), path)


def read(path):
    """A checkpoint's reader. Raises ValueError when there is none at `path` or it can't be read."""
    try:
        return tf.train.load_checkpoint(path)
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ValueError(f'no readable checkpoint at {path!r}: {error}. Give a folder with checkpoints '
                         'or a path such as model.ckpt-1000, without .index.') from error


def load_slim_checkpoint(model, path, *, exclude_scopes=(), ignore_missing=False):
    """Loads weights by slim's names from a checkpoint file or the latest of a folder.

    Args:
      exclude_scopes: prefixes of names to leave as they are.
      ignore_missing: leave variables that the checkpoint lacks as they are, instead of failing.

    Returns: (loaded, left): lists of names.

    Raises: ValueError naming what is missing, has another shape, or that nothing was loaded.
    """
    return load(named_variables(model), path, exclude_scopes=exclude_scopes, ignore_missing=ignore_missing)


def load(variables, path, *, exclude_scopes=(), ignore_missing=False):
    """load_slim_checkpoint for {name: variable}. bfloat16 variables get the rounded values."""
    reader = read(path)
    shapes = reader.get_variable_to_shape_map()
    wanted = {name: variable for name, variable in variables.items()
              if not any(in_scope(name, scope) for scope in exclude_scopes)}
    missing = sorted(set(wanted) - set(shapes))
    if missing and not ignore_missing:
        raise ValueError(f'the checkpoint {path} lacks {", ".join(missing)} (it has, for example, '
                         f'{", ".join(sorted(shapes)[:4])}); is it of another network? Otherwise exclude '
                         'their scopes or ignore missing variables.')
    wrong = [f'{name} {shapes[name]} instead of {wanted[name].shape.as_list()}'
             for name in sorted(set(wanted) & set(shapes)) if shapes[name] != wanted[name].shape.as_list()]
    if wrong:
        raise ValueError(f'shapes in the checkpoint {path} differ: {"; ".join(wrong)}. For other classes '
                         'exclude the scope of fc8.')
    loaded = sorted(set(wanted) & set(shapes))
    types = reader.get_variable_to_dtype_map()
    other = [f'{name} {types[name].name}' for name in loaded if types[name].is_floating != _is_floating(wanted[name])]
    if other:  # assigning would round them, or leave out an imaginary part, without a word
        raise ValueError(f'the checkpoint {path} holds numbers of another kind: {", ".join(other)}.')
    if not loaded:
        raise ValueError(f'nothing to load from the checkpoint {path}: no name of the network is in it.')
    for name in loaded:
        try:
            value = reader.get_tensor(name)
            rounded = getattr(wanted[name], 'dtype', None) == tf.bfloat16
            wanted[name].assign(tf.cast(value, tf.bfloat16) if rounded else value)
        except (tf.errors.OpError, IndexError, TypeError, ValueError) as error:
            # IndexError: the data file is cut off; TypeError, ValueError: it holds text or whole numbers there
            raise ValueError(f'the checkpoint {path} is damaged or was removed: {error}') from error
    return loaded, sorted(set(variables) - set(loaded))


def _is_floating(variable):
    return getattr(variable, 'parts', [variable])[0].dtype.is_floating


def in_scope(name, scope):
    """Whether a variable's name lies in a scope, given as slim's flags take it: a prefix of the name."""
    return name.startswith(scope)
