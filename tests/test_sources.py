"""Rules that the sources keep: commands guard the terminal, and nothing runs what a file says."""
import ast

from tests.helpers.processes import ROOT


def test_every_command_guards_the_terminal():
    commands = [path for path in (*ROOT.glob('*.py'), *ROOT.glob('alexnet_tf/*.py'))
                if path.name != '__init__.py']
    assert len(commands) > 8
    for path in commands:
        assert "__name__ == '__main__'" in path.read_text() and 'command.run(' in path.read_text(), path


# What runs, unpacks or unpickles what a file says.
READS_PICKLES = 'numpy_files.py'  # with stand-ins of its own for what a pickle names
RUNS_SAVED_MODELS = 'exported.py'  # where --saved_model of predict asks for it
READS_TAR_HEADERS = 'tar_members.py'  # one block at a time, and unpacks nothing
FORBIDDEN_MODULES = {'tarfile', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib', 'runpy', 'ctypes', 'yaml'}
FORBIDDEN_CALLS = {'eval', 'exec', '__import__', 'import_module', 'system', 'popen', 'extract', 'extractall',
                   'unpack_archive', 'load_model', 'model_from_json', 'enable_unsafe_deserialization'}


def test_the_project_unpacks_no_archive_and_runs_nothing_that_a_file_says():
    sources = [*ROOT.glob('*.py'), *ROOT.rglob('alexnet_tf/**/*.py'), *ROOT.glob('nets/*.py')]
    assert len(sources) > 60
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            allowed = {'tarfile'} if path.name == READS_TAR_HEADERS else set()
            assert not FORBIDDEN_MODULES & set(names) - allowed, path
            assert not (allowed and 'tarfile.open' in ast.unparse(node) and isinstance(node, ast.Call)), path
            assert 'pickle' not in names or path.name == READS_PICKLES, path
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
                assert called not in FORBIDDEN_CALLS, f'{path}: {called}'
                runs = 'saved_model.load' in ast.unparse(node.func)
                assert not runs or path.name == RUNS_SAVED_MODELS, path
                assert not any(keyword.arg == 'allow_pickle' and keyword.value.value is not False
                               for keyword in node.keywords), path
