"""Flags as rows: what absl makes of each kind, which values are refused, and which flags have no effect."""
import pytest
from absl import flags

from alexnet_tf.console import flag_table
from alexnet_tf.console.flag_table import SET, UNSET, Flag
from tests.helpers.commands import flags_of

ROWS = (
    Flag('name', str, None, 'A text.'), Flag('split', str, 'train', "A split; '' for none.", may_be_empty=True),
    Flag('count', int, 5, 'A number.', 1), Flag('share', float, 0.5, 'A share.', 0, 1),
    Flag('yes', bool, False, 'A switch.'),
    Flag('kind', str, 'plain', 'A choice.', choices=('plain', 'steps', 'other')),
    Flag('steps', list, [], 'Some steps.', works_with=(('kind', ('steps', 'other')),), needed_with=('kind', 'steps')),
    Flag('even', int, None, 'An even number.', valid=(lambda value: value is None or value % 2 == 0, 'must be even')),
    Flag('beside', int, None, 'A number.', works_with=(('yes', SET), ('name', UNSET))),
    Flag('old', str, None, 'Refused: it is gone.', refused='it is gone.'))


@pytest.fixture
def parse():
    """Parses arguments; {name: value}."""
    with flags_of(ROWS) as values:
        def parse(*arguments):
            for row in ROWS:
                values[row.name].unparse()
            values(['x', *arguments])
            return {row.name: values[row.name].value for row in ROWS}
        yield parse


def test_a_flag_has_the_kind_and_the_default_of_its_row(parse):
    assert parse() == {row.name: row.default for row in ROWS}
    found = parse('--name=a', '--split=', '--count=7', '--share=1', '--yes', '--kind=other', '--steps=a,b', '--even=4')
    given = {'name': 'a', 'split': '', 'count': 7, 'share': 1.0, 'yes': True, 'kind': 'other', 'steps': ['a', 'b'],
             'even': 4}
    assert found == {row.name: row.default for row in ROWS} | given
    flag_table.check_values(ROWS)


@pytest.mark.parametrize('arguments, sentence', [
    (['--count=0'], '--count=0; it must be a whole number from 1 to 2147483647.'),
    (['--count=x: y'], '--count=x: y; it must be a whole number from 1 to 2147483647.'),
    (['--count=2147483648'], '--count=2147483648; it must be a whole number from 1 to 2147483647.'),
    (['--count', '--share=1'], '--count=--share=1; it must be a whole number from 1 to 2147483647.'),
    (['--share=1.1'], '--share=1.1; it must be a number from 0 to 1.'),
    (['--share=..'], '--share=..; it must be a number from 0 to 1.'),
    (['--yes=2'], '--yes=2; it must be true or false.'),
    (['--beside=1.5'], '--beside=1.5; it must be a whole number of at most 2147483647.'),
    (['--kind=none'], '--kind=none; it must be one of plain, steps, other.'),
    (['--even=3'], '--even=3; it must be even.'),
    (['--even=x'], '--even=x; it must be a whole number of at most 2147483647.'),
    (['--old=1'], '--old=1; it is refused: it is gone.'),
    (['--quality=1'], '--quality is no flag of this command; --help lists them.'),
    (['--spilt=a'], '--spilt is no flag of this command; did you mean --split?'),
    (['--noyess'], '--noyess is no flag of this command; did you mean --noyes or --yes?'),
    (['--odl=1'], '--odl is no flag of this command; --help lists them.'),  # refused flags are not proposed
    (['--count'], 'Missing value for flag --count; --help explains the flags.')])
def test_a_wrong_flag_is_one_sentence_with_value_and_rule(arguments, sentence, parse):
    with pytest.raises(flags.Error) as refused:
        parse(*arguments)
    assert flag_table.sentence_of(refused.value, ROWS) == sentence


def test_required_flags_must_be_given():
    row = Flag('must', str, None, 'A text.', required=True)
    with flags_of([row]) as values:
        values(['x'])
        with pytest.raises(ValueError, match='--must is missing: A text.'):
            flag_table.check_values([row])
        values(['x', '--must=a'])
        flag_table.check_values([row])


@pytest.mark.parametrize('arguments, sentence', [
    (['--share=nan'], '--share=nan; it must be a finite number.'),
    (['--name='], '--name= is empty; give a value, or leave the flag out.'),
    (['--kind=steps', '--steps=a,'], '--steps has an empty entry; take it out.')])
def test_values_that_no_flag_can_have(arguments, sentence, parse):
    parse(*arguments)
    with pytest.raises(ValueError) as refused:
        flag_table.check_values(ROWS)
    assert str(refused.value) == sentence


@pytest.mark.parametrize('arguments, sentence', [
    (['--kind=steps'], '--kind=steps needs --steps. Some steps.'),
    (['--steps=a'], '--steps has no effect with --kind=plain; leave it out, or choose --kind=steps|other.'),
    (['--beside=1'], '--beside has no effect without --yes; give both, or neither.'),
    (['--beside=1', '--yes', '--name=a'], '--beside has no effect with --name=a; leave it out.')])
def test_flags_without_effect(arguments, sentence, parse):
    parse(*arguments)
    with pytest.raises(ValueError) as refused:
        flag_table.check_effects(ROWS)
    assert str(refused.value) == sentence


def test_flags_that_take_effect_are_allowed(parse):
    for arguments in ([], ['--kind=steps', '--steps=a'], ['--kind=other'], ['--beside=1', '--yes']):
        parse(*arguments)
        flag_table.check_values(ROWS)
        flag_table.check_effects(ROWS)


def test_the_flags_of_a_table_are_gone_after_the_with():
    with flags_of(ROWS[:1]):
        assert 'name' in flags.FLAGS
    assert 'name' not in flags.FLAGS
