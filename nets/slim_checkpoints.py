"""Slim's TF1 checkpoints for Keras models: weights by slim's names, as `alexnet_v2/conv1/weights`.

The project's own training checkpoints have the same names, so that slim's code can read them.
"""
import os
import re

import tensorflow as tf

from nets import checkpoint_index


class Parts:
    """One variable whose last axis is cut into parts on several devices."""

    def __init__(self, parts):
        self.parts = parts
        self.dtype = parts[0].dtype
        self.sizes = [part.shape[-1] for part in parts]
        self.shape = tf.TensorShape([*parts[0].shape[:-1], sum(self.sizes)])

    def assign(self, value):
        for part, share in zip(self.parts, tf.split(value, self.sizes, -1)):
            part.assign(share)

    def __tf_tensor__(self, dtype=None, name=None):
        with tf.device('/CPU:0'):
            return tf.concat([tf.cast(part, dtype or part.dtype) for part in self.parts], -1, name=name)


def joined(variables):
    """{name: variable}, with `…/part_0/…` and `…/part_1/…` as one Parts under the name without `part_…`."""
    found = {}
    for name, variable in variables.items():
        found.setdefault(re.sub(r'/part_\d', '', name), {})[name] = variable
    return {name: next(iter(parts.values())) if set(parts) == {name} else Parts([parts[key] for key in sorted(parts)])
            for name, parts in found.items()}


def named_variables(model):
    """{slim's name: variable} of a model; the scope is the layers' own (`alexnet_v2/conv1`), else the model's name."""
    names = joined({variable.name.split(':')[0]: variable for variable in model.weights})
    return {name if name.count('/') > 1 else f'{model.name}/{name}': variable for name, variable in names.items()}


def save(tensors, path):
    """Writes {name: tensor or variable} as a TF1 checkpoint (`path.index`, `path.data-…`). Returns path.

    Raises: ValueError when the folder can't be written.
    """
    names = sorted(tensors)
    try:
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=[''] * len(names),
                          tensors=[tf.convert_to_tensor(tensors[name]) for name in names])
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).split('}} ')[-1].split(' [Op:')[0]  # without TensorFlow's internal names
        raise ValueError(f'cannot write the checkpoint {path}: {reason}.') from error
    return path


def save_slim_checkpoint(model, path):
    """Saves a Keras model's weights under slim's names, for a TF1 Saver to read. Returns path."""
    return save(named_variables(model), path)


def read(path):
    """A reader of the checkpoint at `path`. Raises ValueError when there is none that can be read."""
    try:
        prefix = tf.train.latest_checkpoint(path) if os.path.isdir(path) else path
        if prefix and os.path.exists(prefix + '.index'):  # else it is of TensorFlow's first format, or not there
            checkpoint_index.check(prefix + '.index')
        reader = tf.train.load_checkpoint(path)
        reader.get_variable_to_shape_map()  # names that are not text fail here
        return reader
    except (tf.errors.OpError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f'no readable checkpoint at {path!r}: {error}. Give a folder with checkpoints '
                         'or a path such as model.ckpt-1000, without .index.') from error


def load_slim_checkpoint(model, path, *, exclude_scopes=(), ignore_missing=False):
    """Loads a model's weights by slim's names.

    Args:
      path: a checkpoint, or a folder whose latest checkpoint is taken.
      exclude_scopes: prefixes of the names of variables to leave as they are.
      ignore_missing: leave variables that the checkpoint lacks as they are, instead of failing.

    Returns: (loaded, left): lists of names.

    Raises: ValueError where names are missing, shapes or kinds of number differ, or nothing would be loaded; then no
      variable has changed. Also for a damaged checkpoint.
    """
    return load(named_variables(model), path, exclude_scopes=exclude_scopes, ignore_missing=ignore_missing)


def load(variables, path, *, exclude_scopes=(), ignore_missing=False):
    """As load_slim_checkpoint, for {name: variable}. bfloat16 variables get rounded values."""
    reader = read(path)
    wanted = {name: variable for name, variable in variables.items()
              if not any(in_scope(name, scope) for scope in exclude_scopes)}
    loaded = _loadable(wanted, reader, path, ignore_missing)
    for name in loaded:
        try:
            value = reader.get_tensor(name)
            wanted[name].assign(tf.cast(value, tf.bfloat16) if wanted[name].dtype == tf.bfloat16 else value)
        except (tf.errors.OpError, IndexError, TypeError, ValueError) as error:
            # IndexError: the data file is cut off. TypeError, ValueError: it holds text or integers here.
            raise ValueError(f'the checkpoint {path} is damaged or was removed: {error}') from error
    return loaded, sorted(set(variables) - set(loaded))


def _loadable(wanted, reader, path, ignore_missing):
    """The sorted names to load. Raises ValueError where the checkpoint does not fit the variables."""
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    missing = sorted(set(wanted) - set(shapes))
    if missing and not ignore_missing:
        raise ValueError(f'the checkpoint {path} lacks {", ".join(missing)} (it has, for example, '
                         f'{", ".join(sorted(shapes)[:4])}). Is it of another network? If not, exclude their scopes or '
                         'ignore missing variables.')
    names = sorted(set(wanted) & set(shapes))
    wrong = [f'{name} {shapes[name]} instead of {wanted[name].shape.as_list()}'
             for name in names if shapes[name] != wanted[name].shape.as_list()]
    if wrong:
        raise ValueError(f'shapes in the checkpoint {path} differ: {"; ".join(wrong)}. For another number of classes '
                         'exclude the scope of fc8.')
    other = [f'{name} {types[name].name}' for name in names
             if types[name].is_floating != wanted[name].dtype.is_floating]
    if other:  # assigning would silently round them or drop an imaginary part
        raise ValueError(f'the checkpoint {path} holds numbers of another kind: {", ".join(other)}. Take a checkpoint '
                         'of a network, or exclude their scopes.')
    if not names:
        raise ValueError(f'nothing to load from the checkpoint {path}: it has no variable of the network whose scope '
                         'is not excluded.')
    return names


def in_scope(name, scope):
    """Whether a variable's name is in a scope, for slim's flags any prefix."""
    return name.startswith(scope)
