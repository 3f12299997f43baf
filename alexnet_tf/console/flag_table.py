"""A flag is one row of a command's table: all that is said about the flag stands there.

`define` makes absl's flags of the rows; `check_values` and `check_effects` refuse what cannot be meant. The comparison
on resuming (`Flag.resume`) and the tables of docs/slim.md come from the rows, too.
"""
import dataclasses
import difflib
import math
import re
import sys
from collections.abc import Callable
from typing import Any

from absl import flags

LARGEST = 2 ** 31 - 1  # of whole numbers; more does not fit into TensorFlow's int32
# Values of another flag with which a flag takes effect, in place of a tuple of values.
SET, UNSET = 'set', 'unset'
# What resuming a run does about another value (Flag.resume).
REFUSE, NAME, KEEP, IGNORE = 'refuse', 'name', 'keep', 'ignore'


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag.

    kind: str, int, float, bool or list (of texts, with commas between).
    low, high: bounds, both allowed. choices: the only values.
    valid: (function of the value, what is wrong otherwise).
    works_with: ((other flag, values), …): this flag takes effect only while the other one has one of these values; SET:
      any but None, False, 0 and ''; UNSET: None. Giving it otherwise is an error.
    needed_with: (other flag, value) with which this flag must have a value.
    check_path: function of the value that raises ValueError for a file or folder that is not there, or cannot be meant.
    resume: what a run that goes on does about another value than the one it was started with: REFUSE it, NAME it, KEEP
      the old one, or IGNORE the difference.
    may_be_empty: whether the empty text means something; for other flags it is an error, since `--dataset_dir=$UNSET`
      would train on the sample.
    slim: what became of slim's flag of this name, for docs/slim.md; '': slim has none.
    refused: why slim's flag of this name is refused.
    """
    name: str
    kind: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple = ()
    valid: tuple[Callable, str] | None = None
    works_with: tuple = ()
    needed_with: tuple = ()
    check_path: Callable | None = None
    resume: str = NAME
    required: bool = False
    may_be_empty: bool = False
    slim: str = ''
    refused: str = ''


def define(rows):
    """Defines the flags of a table."""
    for row in rows:
        if row.choices:
            flags.DEFINE_enum(row.name, row.default, row.choices, row.help)
        elif row.kind in (int, float):
            make = flags.DEFINE_integer if row.kind is int else flags.DEFINE_float
            high = LARGEST if row.kind is int and row.high is None else row.high
            make(row.name, row.default, row.help, row.low, high)
        else:
            make = {str: flags.DEFINE_string, bool: flags.DEFINE_bool, list: flags.DEFINE_list}[row.kind]
            make(row.name, row.default, row.help)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[row.name])  # which --help lists
        if row.refused:
            flags.register_validator(row.name, lambda value: value is None, message=f'refused: {row.refused}')
        if row.valid:
            flags.register_validator(row.name, *row.valid)


def sentence_of(error, rows):
    """What an absl flags.Error says about the flags of a table, with the rule and the remedy."""
    text = str(error)
    if isinstance(error, flags.UnrecognizedFlagError):
        names = [row.name for row in rows if not row.refused]
        names += [f'no{row.name}' for row in rows if row.kind is bool and not row.refused]
        near = difflib.get_close_matches(error.flagname, names, 3)
        return f'--{error.flagname} is no flag of this command; ' + (
            f'did you mean {" or ".join(f"--{name}" for name in near)}?' if near else '--help lists them.')
    found = re.match(r'flag --(\w+)=', text)
    row = next((row for row in rows if found and row.name == found[1]), None)
    if row is None:
        return text.removeprefix('ERROR:: ').removesuffix('.') + '; --help explains the flags.'
    of_its_kind = error.__context__ is None  # else the parser's own words follow the value
    value = flags.FLAGS[row.name].value if of_its_kind else text[found.end():].removesuffix(f': {error.__context__}')
    rule = row.valid[1] if row.valid and of_its_kind else _rule(row)
    return f'--{row.name}={",".join(value) if isinstance(value, list) else value}; it {rule.rstrip(".")}.'


def _rule(row):
    """What must hold for a flag's value, after "it"."""
    if row.refused:
        return f'is refused: {row.refused}'
    if row.choices:
        return f'must be one of {", ".join(row.choices)}'
    if row.kind is bool:
        return 'must be true or false'
    high = LARGEST if row.kind is int and row.high is None else row.high
    bounds = f' from {row.low} to {high}' if None not in (row.low, high) else (
        f' of at least {row.low}' if row.low is not None else f' of at most {high}' if high is not None else '')
    return f'must be a {"whole " if row.kind is int else ""}number{bounds}'


def check_values(rows):
    """Refuses values that no flag can have. Raises: ValueError."""
    for row in rows:
        _check_value(row, flags.FLAGS[row.name])


def check_effects(rows):
    """Refuses flags that would have no effect beside the others. Raises: ValueError."""
    for row in rows:
        for other, values in row.works_with:
            given = flags.FLAGS[row.name].present and (flags.FLAGS[row.name].value or row.kind not in (bool, list))
            if given and not _is_one_of(flags.FLAGS[other].value, values):
                raise ValueError(_no_effect(row.name, other, values))
        if row.needed_with and not flags.FLAGS[row.name].value:
            other, value = row.needed_with
            if flags.FLAGS[other].value == value:
                raise ValueError(f'--{other}={value} needs --{row.name}. {row.help}')


def check_paths(rows):
    """Refuses, before TensorFlow is loaded, what names a file or folder that is not there. Raises: ValueError."""
    for row in rows:
        value = flags.FLAGS[row.name].value
        if row.check_path and value and all(
                _is_one_of(flags.FLAGS[other].value, values) for other, values in row.works_with):
            row.check_path(value)


def _check_value(row, flag):
    value = flag.value
    if row.required and value in (None, []):
        raise ValueError(f'--{row.name} is missing: {row.help.removeprefix("Required: ")}')
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'--{row.name}={value}; it must be a finite number.')
    if flag.present and value == '' and not row.may_be_empty:
        raise ValueError(f'--{row.name}= is empty; give a value, or leave the flag out.')
    if isinstance(value, list) and '' in value:
        raise ValueError(f'--{row.name} has an empty entry; take it out.')


def _is_one_of(value, values):
    if values in (SET, UNSET):
        return bool(value) if values == SET else value is None
    return value in values


def _no_effect(name, other, values):
    value = flags.FLAGS[other].value
    if values == SET and (value is None or value is False):
        return f'--{name} has no effect without --{other}; give both, or neither.'
    choose = '' if values in (SET, UNSET) else f', or choose --{other}={"|".join(values)}'
    return f'--{name} has no effect with --{other}={value}; leave it out{choose}.'
