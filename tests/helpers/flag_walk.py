"""Tries wrong values of every flag of one command, in this process.

    python -m tests.helpers.flag_walk MODULE JSON      # JSON: {"base": [flags], "listed": {flag: [[arguments], …]}}

Wrong values come from each flag's own definition (type, bounds, choices), and for texts and lists from `listed`. The
last line that is printed is JSON: {"flags": {name: kind}, "outcomes": [[name, arguments, exit status, message], …]};
exit status -1: an exception that would have been a traceback; 0: the command took the value and ran to its end.
"""
import importlib
import json
import sys
import traceback

from absl import flags

from alexnet_tf.console import command

TOO_LARGE = 2 ** 31


def define(module):
    """Defines the flags of a command. Returns their names."""
    before = set(flags.FLAGS)
    (getattr(module, 'define_flags', None) or module._define_flags)()
    return sorted(set(flags.FLAGS) - before)


def kind_of(flag):
    """'refused', 'choice', 'boolean', 'number', 'unbounded number', 'list' or 'text'."""
    if flag.help.startswith('Refused: '):
        return 'refused'
    names = {'EnumParser': 'choice', 'BooleanParser': 'boolean', 'ListParser': 'list', 'ArgumentParser': 'text'}
    name = type(flag.parser).__name__
    if name in names:
        return names[name]
    assert name in ('FloatParser', 'IntegerParser'), f'{flag.name}: {name} is new here; say what is wrong for it'
    bounds = flag.parser.lower_bound, flag.parser.upper_bound
    return 'number' if any(bound is not None for bound in bounds) else 'unbounded number'


def wrong_values(flag):
    """Values that a flag must refuse, by its definition."""
    parser, kind = flag.parser, kind_of(flag)
    if kind == 'refused':
        return ['true'] if flag.boolean else ['1', 'x']
    if kind == 'choice':
        return ['', 'no_such', parser.enum_values[0].swapcase() + '!', ','.join(parser.enum_values[:2] * 2)]
    if kind == 'boolean':
        return ['maybe', '2', '']
    if kind == 'list':
        return []
    if kind == 'text':
        return ['']
    whole = type(parser).__name__ == 'IntegerParser'
    step = 1 if whole else 1e-3
    values = ['x', '', 'nan', 'inf', '-inf', '1e', '0x', '1,2', '\x1b[31m1'] + ['1.5', str(10 ** 30)] * whole
    if parser.lower_bound is not None:
        values += [str(parser.lower_bound - step), str(-10 ** 30)]
    if parser.upper_bound is not None:
        return values + [str(parser.upper_bound + step)]
    return values + [str(TOO_LARGE)] * whole


def may_be_empty(module):
    return getattr(module, 'MAY_BE_EMPTY', ())


def outcome(module, arguments):
    """(exit status, message) of a command with these arguments."""
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    try:
        rest = flags.FLAGS(['x', *arguments])
        command.guarded('x', module.main, rest, may_be_empty=may_be_empty(module))
    except flags.Error as error:
        return 1, str(error)  # absl prints it and exits with 1
    except SystemExit as end:
        return (1, end.code) if isinstance(end.code, str) else (end.code, '')
    except BaseException:
        return -1, traceback.format_exc()
    return 0, ''


def main():
    module, (base, listed) = importlib.import_module(sys.argv[1]), (
        json.loads(sys.argv[2])[key] for key in ('base', 'listed'))
    names = define(module)
    kinds = {name: kind_of(flags.FLAGS[name]) for name in names}
    tried = []
    for name in names:
        cases = [[f'--{name}={value}'] for value in wrong_values(flags.FLAGS[name])]
        cases = [] if name in may_be_empty(module) else cases
        tried += [(name, arguments, *outcome(module, [*base, *arguments]))
                  for arguments in cases + listed.get(name, [])]
    for arguments in listed.get('', []):  # pairs that contradict each other
        tried.append(('', arguments, *outcome(module, [*base, *arguments])))
    print(json.dumps({'flags': kinds, 'outcomes': tried}))


if __name__ == '__main__':
    main()
