"""How every command starts, in processes of their own: help and wrong flags answer without TensorFlow, and print
nothing that could act on a terminal."""
import importlib
import json
import os
import re
import subprocess
import sys
import unicodedata

import pytest

from tests.helpers.processes import ROOT, run_python, run_pythons

SCRIPTS = ('train_image_classifier', 'eval_image_classifier')
# One wrong call of every command, with a character that terminals act on: refused by absl, or by the command itself.
WRONG = {
    'train_image_classifier': ['--optimizer=sg\x1b[31md'], 'eval_image_classifier': ['--checkpoint_path=,\x1b]0;x'],
    'build_tfrecords': ['--input_dir=/no', '--output_dir=/no', '--seed=\x1b[31m'],
    'export': ['\x9b31mx', '--output_dir=x'],
    'import_weights': ['--variant=\x07', '--source=/no', '--output_dir=/no'], 'ablate': ['--seeds=0,\x07'],
    'compare_curve': ['one', 'two\x1b[2J'], 'predict': ['--views=\x1b[31m', 'x.jpg'],
    'inspect_dataset': ['--seed=\x1b[31m', '/no'], 'visualize': ['\x1b[31mkernels'], 'retrieval': ['\x1b[31mbuild'],
    'data_service': ['--dispatcher=grpc://\x1b[31m:1'], 'demo': ['--port=\x1b[31m'],
    'figure1': ['--rates=\x1b[31m1']}
HEAVY = ('tensorflow', 'tf_keras', 'tensorflow_datasets', 'onnx', 'scipy', 'apache_beam', 'matplotlib', 'faiss',
         'gradio')


def command_line(name):
    """Arguments of Python that start a command and let it list what it imports."""
    return ['-X', 'importtime', *([f'{name}.py'] if name in SCRIPTS else ['-m', f'alexnet_tf.{name}'])]


def split_imports(result):
    """(modules that a process imported, the rest of its stderr)."""
    lines = result.stderr.splitlines()
    imported = {line.rpartition('|')[2].strip() for line in lines if line.startswith('import time:')}
    assert 'absl.flags' in imported
    return imported, [line for line in lines if not line.startswith('import time:')]


def assert_light(result):
    assert not split_imports(result)[0].intersection(HEAVY), f'{result.args} imports what it does not need'


@pytest.mark.parametrize('name', WRONG)
def test_help_needs_no_tensorflow_and_has_every_flag(name):
    result = run_python(*command_line(name), '--help')
    assert_light(result)
    for row in importlib.import_module(name if name in SCRIPTS else f'alexnet_tf.{name}').ROWS:
        assert re.search(rf'^ +--(\[no\])?{row.name}:', result.stdout, re.M), f'--help lacks {row.name}'


@pytest.mark.parametrize('arguments, status', [(['--help'], 1), (['--print_recipe'], 1)])
def test_a_pipe_that_nobody_reads_leaves_no_traceback(arguments, status):
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run([sys.executable, 'train_image_classifier.py', *arguments], cwd=ROOT, stdout=writing,
                            stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert result.returncode == status and 'Traceback' not in result.stderr and result.stderr.count('\n') <= 1


def test_help_of_an_installed_command_has_its_flags_too(tmp_path):
    (tmp_path / 'alexnet-export').write_text('import sys\nfrom alexnet_tf.export import cli\nsys.exit(cli())\n')
    printed = run_python(tmp_path / 'alexnet-export', '--help', check=False, PYTHONPATH=str(ROOT)).stdout
    assert printed.startswith('A SavedModel for serving') and '--checkpoint_path: A checkpoint' in printed


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_flag_needs_no_tensorflow_and_prints_nothing_raw(name):
    result = run_python(*command_line(name), *WRONG[name], check=False)
    assert_light(result)
    check_refusal(name, result)


def check_refusal(name, result, status=1):
    _, lines = split_imports(result)
    raw = [character for character in result.stdout + ''.join(lines) if unicodedata.category(character) == 'Cc'
           and character != '\n']
    case = f'{name}: {result.returncode} {lines}'
    assert result.returncode == status and not raw, case
    assert len(lines) == 1 and lines[0].startswith(f'{name}: '), case  # and no notes of TensorFlow's


def test_print_recipe_and_a_comparison_without_a_picture_need_no_tensorflow(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text(json.dumps({'kind': 'validation', 'step': 9, 'accuracy': 0.1}) + '\n')
    (tmp_path / 'flags.json').write_text('{"batch_size": 128}')
    recipe, compared = run_pythons([*command_line('train_image_classifier'), '--print_recipe', '--recipe=caffe'],
                                   [*command_line('compare_curve'), tmp_path, '--output='])
    assert '--variant=caffe' in recipe.stdout and 'After 0.0 epochs: 10.0 % top-1' in compared.stdout
    for result in (recipe, compared):
        assert_light(result)


def test_paths_that_are_not_there_need_no_tensorflow(tmp_path):
    """tests/commands/test_paths.py has the other commands, in one process."""
    cases = {'eval_image_classifier': ('--checkpoint_path={}/\x07such', 'no checkpoint at --checkpoint_path='),
             'import_weights': ('--source={}/\x07such', 'no file and no checkpoint at')}
    results = run_pythons(*([*command_line(name), argument.format(tmp_path), *(
        [f'--output_dir={tmp_path}/out'] if name == 'import_weights' else [])]
        for name, (argument, _) in cases.items()), check=False)
    for (name, (_, sentence)), result in zip(cases.items(), results):
        assert_light(result)
        assert sentence in result.stderr
        check_refusal(name, result)


def test_an_error_after_tensorflow_is_loaded_is_one_sentence_too(tmp_path):
    result = run_python(*command_line('train_image_classifier'), '--model_parallel=2', '--clone_on_cpu',
                        f'--train_dir={tmp_path}/\x9b31mx', check=False)
    assert 'these are of --model_name=alexnet' in result.stderr
    check_refusal('train_image_classifier', result)
