"""What TensorFlow writes while it loads: nobody sees it, unless loading fails. In processes of their own."""
import os
import subprocess
import sys

import pytest

from tests.helpers.processes import ROOT, run_python

NOTE = 'I0000 port.cc a note\n'
LOAD = '''
import os, sys
from alexnet_tf.console import loading
loading.load_tensorflow()
loading.load_tensorflow()
os.write(2, b'after\\n')
'''
DEVICES = 'class config: list_physical_devices = lambda: os.write(2, b"E0000 failed call to cuInit\\n")\n'


@pytest.fixture
def tensorflow(tmp_path):
    """A function that makes a package of this name, which writes a note and then does something; its folder."""
    def make(then):
        (tmp_path / 'tensorflow.py').write_text(f'import os, signal\nos.write(2, {NOTE.encode()!r})\n{then}\n')
        return {'PYTHONPATH': f'{tmp_path}{os.pathsep}{ROOT}', 'TF_CPP_MIN_LOG_LEVEL': '2'}
    return make


def test_notes_of_a_start_that_goes_well_are_not_shown_and_what_comes_later_is(tensorflow):
    assert run_python('-c', LOAD, **tensorflow(DEVICES)).stderr == 'after\n'


def test_who_asks_for_notes_gets_them(tensorflow):
    shown = run_python('-c', LOAD, **tensorflow(DEVICES) | {'TF_CPP_MIN_LOG_LEVEL': '0'}).stderr
    assert shown == f'{NOTE}E0000 failed call to cuInit\nafter\n'


@pytest.mark.parametrize('given, seen', [(None, '1'), ('0', '0'), ('1', '1')])
def test_onednn_is_on_before_tensorflow_is_imported_unless_it_was_switched_off(given, seen, tensorflow):
    environment = os.environ | tensorflow('print(os.environ["TF_ENABLE_ONEDNN_OPTS"])\n' + DEVICES)
    del environment['TF_ENABLE_ONEDNN_OPTS']
    if given is not None:
        environment['TF_ENABLE_ONEDNN_OPTS'] = given
    code = LOAD + 'print(loading.uses_onednn())'
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.stdout.split() == [seen, str(seen == '1')], result.stderr


@pytest.mark.parametrize('then, status, last', [
    ('raise ImportError("libstdc++.so.6: version not found")', 1, 'ImportError: libstdc++.so.6: version not found'),
    ('os.write(2, b"F0000 inconsistent\\n"); os.abort()', -6, 'F0000 inconsistent'),
    ('os.kill(os.getpid(), signal.SIGSEGV)', -11, NOTE.strip())])
def test_a_start_that_fails_shows_why(tensorflow, then, status, last):
    process = subprocess.Popen([sys.executable, '-c', LOAD], stderr=subprocess.PIPE, text=True, cwd=ROOT,
                               env=os.environ | tensorflow(then))
    shown = process.stderr.read()  # up to the end of the process that keeps the text, too
    assert process.wait() == status and shown.startswith(NOTE) and shown.splitlines()[-1] == last


def test_a_signal_while_it_loads_shows_its_sentence_alone(tensorflow):
    code = f'from alexnet_tf.console import signals\nwith signals.noted("x"):\n    exec({LOAD!r})'
    result = run_python('-c', code, check=False, **tensorflow('os.kill(os.getpid(), signal.SIGTERM)'))
    assert result.returncode == 143 and result.stderr.startswith('x: stopped by SIGTERM')


def test_an_interrupted_start_shows_no_notes(tensorflow):
    interrupt = 'signal.signal(signal.SIGINT, signal.default_int_handler)\nos.kill(os.getpid(), signal.SIGINT)'
    result = run_python('-c', LOAD, check=False, **tensorflow(interrupt))
    assert NOTE not in result.stderr and 'KeyboardInterrupt' in result.stderr


@pytest.mark.parametrize('closed', ['2>&-', '1>&- 2>&-', '0<&-'])
def test_a_command_whose_standard_streams_are_closed_runs(closed, tensorflow):
    """The files it opens must not take their places: TensorFlow would write its notes into them."""
    code = ('from alexnet_tf.console import terminal; terminal.guard_terminal(); import os, sys\n'
            'file = open(os.devnull); print("out"); print("error", file=sys.stderr); assert file.fileno() > 2' + LOAD)
    result = subprocess.run(['sh', '-c', f'exec "$0" -c "$1" {closed}', sys.executable, code], cwd=ROOT,
                            env=os.environ | tensorflow(DEVICES))
    assert result.returncode == 0
