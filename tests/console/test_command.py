"""How a command ends: which errors become a sentence, with which exit status."""
import types

import pytest
import tensorflow as tf

from alexnet_tf.console import signals
from alexnet_tf.console.flag_table import Flag
from tests.helpers.commands import call


def command_that(raises):
    def main():
        print('begun')
        raise raises
    return types.SimpleNamespace(ROWS=(Flag('folder', str, None, 'A folder.'),), main=main)


@pytest.mark.parametrize('error, status, sentence', [
    (ValueError('--folder=a; give b.'), 1, 'x: --folder=a; give b.'),
    (ValueError('a name with \x1b[31m and \u202e'), 1, 'x: a name with \\x1b[31m and \\u202e'),
    (OSError(28, 'No space left on device'), 1, 'x: [Errno 28] No space left on device'),
    (MemoryError('Unable to allocate 1 GiB'), 1, 'x: out of memory; free some, or lower --batch_size where there is '
     'one. Unable to allocate 1 GiB'),
    (tf.errors.ResourceExhaustedError(None, None, 'OOM when\nallocating'), 1, 'x: out of memory or disk space; free '
     'some, or lower --batch_size where there is one. OOM when allocating'),
    (tf.errors.DataLossError(None, None, 'corrupted record'), 1, 'x: corrupted record'),
    (BrokenPipeError(), 1, 'x: what it prints cannot be written any more (the program behind | has ended).'),
    (signals.Stopped(15, 'stopped by SIGTERM at step 3, which is saved; the same command goes on from there.'), 143,
     'x: stopped by SIGTERM at step 3, which is saved; the same command goes on from there.'),
    (KeyboardInterrupt(), 130, 'x: interrupted; the same command can be given again.')],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else '')
def test_an_error_that_users_can_mend_is_one_sentence(error, status, sentence, capsys):
    result = call(command_that(error))
    assert (result.returncode, result.stdout) == (status, 'begun\n')
    assert (result.stderr or capsys.readouterr().err.removesuffix('\n')) == sentence


@pytest.mark.parametrize('error', [KeyError('a'), RuntimeError('b'), AssertionError('c')])
def test_a_defect_of_the_program_keeps_its_traceback(error):
    result = call(command_that(error))
    assert result.returncode == -1 and f'{type(error).__name__}: ' in result.stderr and 'Traceback' in result.stderr


def test_a_lone_argument_is_the_flag_that_may_be_given_without_its_name():
    from absl import flags
    module = types.SimpleNamespace(ROWS=(Flag('folder', str, None, 'A folder.'),),
                                   main=lambda: print(flags.FLAGS.folder))
    assert call(module, 'here', positional='folder', check=True).stdout == 'here\n'
    for arguments in (['here'], ['--folder=a', 'here'], ['one', 'two']):
        positional = 'folder' if len(arguments) > 1 else None
        result = call(module, *arguments, positional=positional)
        assert result.returncode == 1 and 'not understood: ' + ' '.join(
            argument for argument in arguments if argument[0] != '-') in result.stderr
