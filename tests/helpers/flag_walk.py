"""Wrong values of every flag of a command, from the rows of its table."""
import importlib

from alexnet_tf.console.flag_table import LARGEST, SET, UNSET
from tests.helpers.commands import call_once, flags_of


def is_listed(row):
    """Whether a row alone does not say what is wrong for it: texts, lists, and numbers without bounds."""
    if row.refused or row.choices:
        return False
    return row.kind in (str, list) or (row.kind is float and row.low is None and row.high is None)


def wrong_values(row):
    """Values that a flag must refuse, by its row."""
    if row.refused:
        return ['true'] if row.kind is bool else ['1', 'x']
    if row.choices:
        return ['', 'no_such', row.choices[0].swapcase() + '!', ','.join(row.choices[:2] * 2)]
    if row.kind is bool:
        return ['maybe', '2', '']
    if row.kind is list:
        return []
    if row.kind is str:
        return [] if row.may_be_empty else ['']
    return wrong_numbers(row, step=1 if row.kind is int else 1e-3)


def wrong_numbers(row, step):
    values = ['x', '', 'nan', 'inf', '-inf', '1e', '0x', '1,2', '\x1b[31m1']
    if row.kind is int:
        values += ['1.5', str(10 ** 30)]
    if row.low is not None:
        values += [str(row.low - step), str(-10 ** 30)]
    if row.high is not None:
        return [*values, str(row.high + step)]
    return [*values, str(LARGEST + 1)] if row.kind is int else values


def contradictions(rows):
    """[(name, arguments)]: every flag beside a value of another one with which it has no effect, or is needed."""
    by_name, found = {row.name: row for row in rows}, []
    for row in rows:
        found += [(row.name, [f'--{row.name}={good_value(row)}', *arguments])
                  for other, values in row.works_with for arguments in settings_outside(by_name[other], values, rows)]
        if row.needed_with:
            other, value = row.needed_with
            found.append((row.name, [f'--{other}={value}']))
    return found


def settings_outside(row, values, rows):
    """Lists of arguments, each of which gives a flag a value that is not one of `values` (see Flag.works_with)."""
    if values == UNSET:
        return [[f'--{row.name}={good_value(row)}']]
    if values != SET:
        needed = {other.needed_with: f'--{other.name}={good_value(other)}' for other in rows if other.needed_with}
        return [[f'--{row.name}={value}', *filter(None, [needed.get((row.name, value))])]
                for value in row.choices if value not in values]
    if row.may_be_empty:
        return [[f'--{row.name}=']]
    return [[f'--{row.name}=0']] if row.kind is not bool and row.default else [[]]


def good_value(row):
    """A value that a flag can have; of a text, one that looks like it."""
    if row.choices:
        return row.choices[-1]
    if row.kind is bool:
        return 'true'
    texts = (text for text in ('4', 'grpc://localhost:4') if row.kind is str and (not row.valid or row.valid[0](text)))
    return row.default or {int: 3, float: 0.5}.get(row.kind) or next(texts, '4')


def outcomes(module, base, listed):
    """[(name, arguments, exit status, message)] of a command, one for each wrong value.

    Args:
      base: arguments that make a command which ends well.
      listed: {flag: lists of arguments that are wrong}; of '': of several flags together.
    """
    module = importlib.import_module(module)
    cases = [(row.name, [f'--{row.name}={value}']) for row in module.ROWS for value in wrong_values(row)]
    cases += [(name, arguments) for name, several in listed.items() for arguments in several]
    with flags_of(module.ROWS):
        results = [call_once(module, *base, *arguments) for _, arguments in cases]
    return [(*case, result.returncode, result.stderr) for case, result in zip(cases, results)]
