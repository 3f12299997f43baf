"""The plan of the house: what is a command, what is a part, and that imports run one way."""
import ast
import importlib
import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ('alexnet_tf', 'nets')
FILES = {'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): path
         for package in PACKAGES for path in sorted((ROOT / package).rglob('*.py'))}
OTHERS = ('utils.py',)  # one that there is not
FOLDERS = ('', 'alexnet_tf', 'tests', 'tests/faults')  # from which pages name files
SCRIPTS = ('train_image_classifier', 'eval_image_classifier')
COMMANDS = [name for name in FILES if name.count('.') == 1 and name.startswith('alexnet_tf.')
            and FILES[name].name != '__init__.py']


def imports_of(path):
    """Names of the modules of this project that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path} has a relative import'
            found |= {name if (name := f'{node.module}.{alias.name}') in FILES else node.module for alias in node.names}
    return {name for name in found if name.partition('.')[0] in PACKAGES + SCRIPTS}


IMPORTS = {name: imports_of(path) for name, path in FILES.items()}


def part_of(module):
    """'data' for alexnet_tf.data.records; a command is a part of its own, nets is one."""
    return module if module in COMMANDS else module.split('.')[1] if module.startswith('alexnet_tf.') else 'nets'


def cycle(graph):
    """Names that lead from one to the next and back; None: there is no such way. graph: {name: names it leads to}."""
    done = set()

    def walk(name, way):
        if name in way:
            return [*way[way.index(name):], name]
        for other in sorted(graph.get(name, ())) if name not in done else ():
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return None
    return next(filter(None, (walk(name, []) for name in graph)), None)


def test_the_parser_and_the_search_see_what_is_there():
    assert {'alexnet_tf.training.loop', 'alexnet_tf.data.batches'} <= IMPORTS['alexnet_tf.training.run']
    assert len(FILES) > 50 and len(COMMANDS) >= 5
    assert cycle({'a': {'b'}, 'b': {'c', 'd'}, 'd': {'b'}}) == ['b', 'd', 'b'] and cycle({'a': {'b'}, 'b': ()}) is None


def test_no_module_imports_itself_by_way_of_others():
    assert cycle(IMPORTS) is None


def test_no_part_imports_itself_by_way_of_others():
    parts = {}
    for name, imported in IMPORTS.items():
        parts.setdefault(part_of(name), set()).update(part_of(other) for other in imported)
    assert cycle({name: others - {name} for name, others in parts.items()}) is None


@pytest.mark.parametrize('name', sorted(FILES))
def test_imports_run_one_way(name):
    """Scripts and commands -> parts of alexnet_tf -> nets."""
    for other in IMPORTS[name]:
        assert other not in (*SCRIPTS, *COMMANDS), f'{name} imports the command {other}'
        if name.startswith('nets'):
            assert other.startswith('nets'), f'{name} imports {other}'
        elif name not in COMMANDS and part_of(name) != 'script_flags':
            assert part_of(other) != 'script_flags', f'{name} imports {other}'


@pytest.mark.parametrize('name', sorted(COMMANDS) + list(SCRIPTS))
def test_what_stands_directly_in_alexnet_tf_is_a_command(name):
    module = importlib.import_module(name)
    assert module.ROWS and callable(module.main) and callable(module.cli)


def test_every_command_is_on_the_path_of_an_installed_package():
    lines = (ROOT / 'pyproject.toml').read_text(encoding='utf-8').splitlines()
    targets = {line.partition(' = ')[2].strip('"') for line in lines if line.endswith(':cli"')}
    assert targets == {f'{name}:cli' for name in (*COMMANDS, *SCRIPTS)}


@pytest.mark.parametrize('page', ['README.md', 'CONTRIBUTING.md', *(f'docs/{path.name}' for path in sorted(
    (ROOT / 'docs').glob('*.md')))])
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text(encoding='utf-8')
    for name in re.findall(r'`([\w/]+\.py)`', text):
        assert name in OTHERS or any((ROOT / folder / name).exists() for folder in FOLDERS), name
    for link in re.findall(r'\]\(([\w./-]+)[)#]', text):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_figures_of_performance_that_imagenet_quotes_stand_there():
    """And what imagenet.md makes of them: the cores that the input needs."""
    page, source = ((ROOT / 'docs' / name).read_text(encoding='utf-8') for name in ('imagenet.md', 'performance.md'))
    figures = re.findall(r'^\| ([\d.,]+) (ms|images/s) \|', page, re.M)
    assert len(figures) == 4
    for value, unit in figures:
        assert re.search(rf'(?<![\d.,]){re.escape(value)}(?![\d,])', source), f'{value} {unit}'
    values = [float(value.replace(',', '')) for value, _ in figures]
    originals, small = round(1000 / values[1]), values[3] / 2
    rows = re.findall(r'^\| \d+ TFLOP/s \| ([\d,]+) \| [\d.]+ h \| (\d+), (\d+) \|', page, re.M)
    assert len(rows) == 3
    for rate, *cores in rows:
        rate = int(rate.replace(',', ''))
        assert cores == [str(math.ceil(rate / each)) for each in (originals, small)]
