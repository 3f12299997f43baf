"""What may come from anybody is printed escaped, on whatever way."""
import unicodedata

import pytest

from alexnet_tf.console import terminal
from tests.helpers.processes import run_python

ESCAPES = '\x1b[31mred\x1b]0;title\x07\x9b2J\x08\x7f\r\u202egnp.exe\u2066\ud800'


def raw(text):
    """The characters in it that a terminal would act on."""
    return [character for character in text
            if unicodedata.category(character) in ('Cc', 'Cf', 'Cs') and character not in '\n\t']


@pytest.mark.parametrize('text, shown', [
    ('plain, ä 猫 …', 'plain, ä 猫 …'), ('\x1b[31m', '\\x1b[31m'), ('\x9b', '\\x9b'), ('a\r\nb', 'a\\r\\nb'),
    ('\u202egnp', '\\u202egnp'), ('caf\udce9', 'caf\\udce9'), ('wide\u3000space', 'wide\u3000space'), ('\0', '\\x00')])
def test_a_character_that_a_terminal_acts_on_is_shown_by_its_number(text, shown):
    assert terminal.printable(text) == shown and not raw(terminal.printable(text))


def test_of_a_long_error_the_middle_is_left_out():
    error = ValueError('/path/file: it has \n' + 'x' * 10 ** 6 + '\x1b[31m; write it again.')
    shown = terminal.sentence(error)
    assert shown.startswith('/path/file: it has \\nxxx') and shown.endswith('xxx\\x1b[31m; write it again.')
    assert ' … ' in shown and len(shown) < 2100 and terminal.sentence(ValueError('short.')) == 'short.'


PRINT_ALL_WAYS = '''
import logging, sys
from absl import logging as absl_logging
logging.getLogger('tensorflow').addHandler(logging.StreamHandler(sys.stderr))
from alexnet_tf.console import terminal
terminal.guard_terminal()
text = sys.argv[1].encode().decode('unicode_escape')
print(text, 'stdout')
print(text, 'stderr', file=sys.stderr)
sys.stdout.writelines([text])
logging.getLogger('tensorflow').warning(text + 'tensorflow')
absl_logging.warning(text + 'absl')
try:
    raise ValueError(text + 'traceback')
except ValueError:
    sys.excepthook(*sys.exc_info())
sys.exit(text + 'exit')
'''


def test_no_way_of_printing_gets_past():
    escaped = ESCAPES.encode('unicode_escape').decode()
    result = run_python('-c', PRINT_ALL_WAYS, escaped, check=False)
    assert result.returncode == 1
    for way in ('stderr', 'tensorflow', 'absl', 'traceback', 'exit'):
        assert f'{escaped}{" " * (way == "stderr")}{way}' in result.stderr, way
    assert f'{escaped} stdout\n{escaped}' in result.stdout and not raw(result.stdout + result.stderr)


def test_a_terminal_without_the_letters_gets_numbers():
    code = 'from alexnet_tf.console import terminal; terminal.guard_terminal(); print("猫 caf\\udce9")'
    assert run_python('-c', code, PYTHONIOENCODING='ascii').stdout == '\\u732b caf\\udce9\n'
