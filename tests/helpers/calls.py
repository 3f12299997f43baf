"""What a command calls the library with, as a flat dictionary in which two calls of the command can be compared."""
import contextlib
import dataclasses
import functools
import inspect
import os
from unittest import mock

import numpy as np

from alexnet_tf.console.flag_table import SET, UNSET
from alexnet_tf.data import datasets
from tests.helpers import commands, flag_walk


@contextlib.contextmanager
def noted(functions):
    """Inside a `with`, notes arguments; gives the dictionary {'function.argument': value}, which fills.

    Args:
      functions: {(module or class, name): what takes the function's place, or None: it is called itself}. A second call
        of a function is noted as 'function 2'.
    """
    found, counts = {}, {}
    with contextlib.ExitStack() as stack:
        for (place, name), substitute in functions.items():
            stack.enter_context(mock.patch.object(
                place, name, _noting(getattr(place, name), substitute, found, counts, name)))
        yield found


def _noting(function, substitute, found, counts, name):
    signature = inspect.signature(function)

    @functools.wraps(function)
    def noting(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        counts[name] = counts.get(name, 0) + 1
        title = name if counts[name] == 1 else f'{name} {counts[name]}'
        for argument, value in bound.arguments.items():
            if signature.parameters[argument].kind is inspect.Parameter.VAR_KEYWORD:
                found.update(flat(title, value))
            else:
                found.update(flat(f'{title}.{argument}', value))
        return (substitute or function)(*args, **kwargs)
    return noting


def flat(name, value):
    """{name: value}; of a dataclass or dictionary one entry for each field."""
    if isinstance(value, datasets.Dataset):
        return {name: (os.path.basename(value.folder), value.split)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, dict):
        return {path: leaf for field, inner in value.items() for path, leaf in flat(f'{name}.{field}', inner).items()}
    return {name: value.tolist() if isinstance(value, np.ndarray) and value.size < 10 else
            value.shape if isinstance(value, np.ndarray) else value}


def differences(before, after):
    """{name: value after} of what differs between two such dictionaries; what is not there any more is None."""
    return {name: after.get(name) for name in before | after
            if name not in before or name not in after or before[name] != after[name]}


# Flags ---------------------------------------------------------------------------------------------------


def flags_beside(row, rows):
    """Arguments with which a flag takes effect (Flag.works_with); SET: the other one gets what it looks like."""
    others = {other.name: other for other in rows}
    return [f'--{other}={flag_walk.good_value(others[other]) if values == SET else values[0]}'
            for other, values in row.works_with if values != UNSET and (
                not others[other].default if values == SET else others[other].default not in values)]


def of_command(module, functions, *arguments, positional=None):
    """What a command calls functions with (see `noted`); 'exit': its exit status, 'said': its error."""
    with noted(functions) as found:
        result = commands.call_once(module, *arguments, positional=positional)
    return found | {'exit': result.returncode, 'said': result.stderr}


def check(row, rows, call, value, expected, *beside):
    """Compares two calls of a command: with a flag and without it; only what is expected may differ.

    Args:
      call: function of arguments that gives what is noted. beside: further arguments of both calls.
      expected: {name: value, or function of (value before, after) that is true}.
    """
    beside = [*flags_beside(row, rows), *beside]
    before, after = call(*beside), call(*beside, f'--{row.name}={value}')
    found = differences(before, after)
    assert set(found) == set(expected), (row.name, {name: (before.get(name), found[name]) for name in found})
    for name, wanted in expected.items():
        good = wanted(before.get(name), found[name]) if callable(wanted) else found[name] == wanted
        assert good, (row.name, name, before.get(name), found[name], wanted)
