"""Mutation testing: whether some test fails for each small change of the code that decides what a run learns.

    nice -n 19 python -m tests.helpers.mutations                # hours on one core; goes on where it stopped
    nice -n 19 python -m tests.helpers.mutations nets/ops.py --seconds=60 --again

For each mutant (see mutants.py) the tests that run its line are called until one fails, or until those left are beyond
--seconds: first those that run the fewest lines of the targets, in the folder that mirrors this target's. Which tests
run which lines is found out once for each file of tests. A test that hangs counts as failed. Processes that tests start
see the code as it is. Files of the results are in --folder.
"""
import argparse
import collections
import contextlib
import gc
import hashlib
import importlib.machinery
import json
import linecache
import math
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import pytest

from tests.helpers.mutants import mutants
from tests.helpers.processes import ROOT

TARGETS = ('train_image_classifier.py', 'alexnet_tf/training/run.py', 'alexnet_tf/training/step.py',
           'alexnet_tf/training/schedules.py', 'alexnet_tf/data/preprocessing.py', 'alexnet_tf/data/color_noise.py',
           'nets/ops.py', 'nets/normalization.py')
# Files of tests that run none of the targets' lines in their own process, or only beside all others.
WITHOUT = ('tests/commands/test_start.py', 'tests/scripts/test_end_to_end.py', 'tests/scripts/test_odd_names.py')


# Which tests run which lines -------------------------------------------------------------------------------


class Trace:
    """A pytest plugin. tests: {test: [its fixtures, seconds, [[target, line] …]]}; fixtures: {name: the last two}.

    Seconds are those of the processor, of children too.
    """

    def __init__(self, targets):
        self._targets = {str(ROOT / target): target for target in targets}
        self._open, self.tests, self.fixtures = [], {}, {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        with self._recorded(self.tests, item.nodeid) as (_, lines):
            result = yield
        # a fixture's lines and time count for all tests that use it
        self.tests[item.nodeid] = [item.fixturenames, *self.tests[item.nodeid]]
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        with self._recorded(self.fixtures, fixturedef.argname):
            return (yield)

    @contextlib.contextmanager
    def _recorded(self, kept, name):
        lines, began = set(), sum(os.times()[:4])
        self._open.append(lines)
        sys.settrace(self._calls)
        threading.settrace(self._calls)
        try:
            yield name, lines
        finally:
            self._open.pop()
            if not self._open:
                sys.settrace(None)
                threading.settrace(None)
            kept[name] = [sum(os.times()[:4]) - began, sorted(map(list, lines))]

    def _calls(self, frame, event, _):
        target = self._targets.get(frame.f_code.co_filename)
        if target is None:
            return None

        def line(frame, event, _):
            for lines in self._open:
                lines.add((target, frame.f_lineno))
            return line
        return line(frame, event, _)


def trace(test_file, code, result):
    """Runs a file of tests; writes {test: [seconds with those of its fixtures, lines]} to the path `result`.

    code: {target: digest}, which is written too.
    """
    from tensorflow.python.autograph.core import config
    # AutoGraph would run a translation, whose lines are those of another file. Ours needs none.
    config.CONVERSION_RULES = (*map(config.DoNotConvert, ('nets', 'alexnet_tf')), *config.CONVERSION_RULES)
    plugin = Trace(code)
    run_tests([test_file], plugin)
    found = {}
    for test, (fixtures, seconds, lines) in plugin.tests.items():
        used = [plugin.fixtures[name] for name in fixtures if name in plugin.fixtures]
        found[test] = [max([seconds, *(taken for taken, _ in used)]),
                       sorted({tuple(line) for _, more in used for line in more} | set(map(tuple, lines)))]
    Path(result).write_text(json.dumps({'code': code, 'tests': found}))


def digest(*contents):
    return hashlib.sha256(b''.join(contents)).hexdigest()[:16]


def tests_by_line(targets, places, folder):
    """({(target, line): {test}}, {test: seconds}) of tests in these places; found out anew for files that changed.

    Of a target that changed since, lines are not known: the key is (target, None) for all tests that ran one of it.
    """
    code = {target: digest((ROOT / target).read_bytes()) for target in targets}
    by_line, seconds = {}, {}
    for path in sorted((ROOT / 'tests').rglob('test_*.py')):
        name = str(path.relative_to(ROOT))
        if name in WITHOUT or not name.startswith(tuple(places)):
            continue
        known = folder / f'{path.stem}-{digest(name.encode(), path.read_bytes())}.json'
        if not known.exists():
            print(f'tracing {name}', flush=True)
            in_child(lambda name=name, known=known: trace(name, code, known), 3600, folder / 'trace.log')
        found = json.loads(known.read_text())
        for test, (taken, lines) in found['tests'].items():
            seconds[test] = taken
            for target, line in lines:
                line = line if found['code'].get(target) == code.get(target) else None
                by_line.setdefault((target, line), set()).add(test)
    return by_line, seconds


# One mutant ------------------------------------------------------------------------------------------------


class Mutated(importlib.machinery.SourceFileLoader):
    """Loads a module from a mutant's source, in place of its file's."""

    def __init__(self, name, path, source):
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname):
        lines = self._source.decode().splitlines(keepends=True)
        linecache.cache[self.path] = len(self._source), None, lines, self.path  # AutoGraph compiles what stands here
        return compile(self._source, self.path, 'exec', dont_inherit=True)


class Finder:
    """For sys.meta_path: finds one module, mutated."""

    def __init__(self, path, source):
        self._name, self._path, self._source = path.removesuffix('.py').replace('/', '.'), str(ROOT / path), source

    def find_spec(self, name, path=None, target=None):
        if name == self._name:
            loader = Mutated(name, self._path, self._source)
            return importlib.machinery.ModuleSpec(name, loader, origin=self._path)
        return None


class First:
    """A pytest plugin that notes the test that fails first."""
    failed = None

    def pytest_runtest_logreport(self, report):
        self.failed = self.failed or (report.nodeid if report.failed else None)


def run_tests(tests, *plugins):
    # pytest would collect garbage twice to find what was never awaited, which takes longer than most tests
    return pytest.main(['-q', '-x', '-p', 'no:cacheprovider', '-p', 'no:unraisableexception', '--tb=short', *tests],
                       plugins)


def try_mutant(target, mutant, tests, result):
    """Writes the test that fails, or why none could run, to the path `result`; nothing when all pass."""
    sys.meta_path.insert(0, Finder(target, mutant.source))
    first = First()
    status = run_tests(tests, first)
    if status:
        Path(result).write_text(first.failed or f'pytest ended with {status}')


def in_child(function, timeout, log):
    """Calls a function in a fork of this process. Returns whether it ended in time by itself, and well.

    timeout: seconds of the processor; five times as many by the clock, for a busy machine is no hang.
    """
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException), open(log, 'w') as file:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(timeout),) * 2)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            function()
            status = 0
        os._exit(status)
    end = time.monotonic() + 5 * timeout
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what tests have left behind
            return status == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def outcome(target, mutant, by_line, seconds, budget, folder):
    """What becomes of a mutant: {'mutant', 'by': the test that fails; 'hang'; None: no test noticed it, 'tests'}."""
    found = set()
    for (file, line), tests in by_line.items():
        if file == target and (mutant.lines is None or line is None or line in mutant.lines):
            found |= tests
    if mutant.lines is None:  # of the module itself, as a constant: whoever reads it runs none of its lines
        files = {test.split('::')[0] for test in found}
        found = {test for test in seconds if test.split('::')[0] in files}
    mirror = os.path.join('tests', os.path.dirname(target.removeprefix('alexnet_tf/')), '')
    runs = collections.Counter(test for tests in by_line.values() for test in tests)
    chosen, total = [], 0
    for test in sorted(found, key=lambda test: (not test.startswith(mirror), runs[test], seconds[test], test)):
        total += seconds[test]
        if chosen and total > budget:
            break
        chosen.append(test)
    row = {'mutant': mutant.key, 'by': None, 'tests': len(chosen), 'of': len(found)}
    if not chosen:
        return row
    result = folder / 'result'
    result.write_text('')
    limit = 60 + 6 * min(total, budget)
    whole = in_child(lambda: try_mutant(target, mutant, chosen, result), limit, folder / 'test.log')
    return row | {'by': result.read_text() or (None if whole else 'hang')}


def report(results, targets):
    """Lines: how many of each target were noticed, and which were not."""
    for target in targets:
        rows = [row for row in results.values() if row['mutant'].startswith(f'{target}:')]
        if rows:
            caught = sum(bool(row['by']) for row in rows)
            yield f'{target}: {caught} of {len(rows)}, {100 * caught / len(rows):.1f} %'
    for row in results.values():
        if not row['by']:
            yield f'  {row["mutant"]}  ({row["tests"]} of {row["of"]} tests)'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('targets', nargs='*', default=TARGETS)
    parser.add_argument('--seconds', type=float, default=20, help='of tests for each mutant')
    parser.add_argument('--tests', nargs='*', default=['tests'], help='only tests whose paths begin so')
    parser.add_argument('--again', action='store_true', help='try those anew that no test noticed')
    parser.add_argument('--report', action='store_true', help='only print what is known')
    parser.add_argument('--folder', type=Path, default=ROOT / 'runs' / 'mutations')
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    known = arguments.folder / 'results.jsonl'
    rows = map(json.loads, known.read_text().splitlines()) if known.exists() else ()
    results = {row['mutant']: row for row in rows}
    everything = [(target, mutant) for target in arguments.targets
                  for mutant in mutants(target, (ROOT / target).read_bytes())]
    if not arguments.report:
        import tensorflow  # noqa: F401 before the forks: it takes seconds, and starts no threads yet
        import tf_keras  # noqa: F401
        with contextlib.suppress(ImportError):
            import tf_slim  # noqa: F401
        gc.freeze()  # else every child copies TensorFlow's objects when it collects garbage
        by_line, seconds = tests_by_line(TARGETS, arguments.tests, arguments.folder)
        for target, mutant in everything:
            row = results.get(mutant.key)
            if row and (row['by'] or not arguments.again):
                continue
            row = outcome(target, mutant, by_line, seconds, arguments.seconds, arguments.folder)
            print(row['by'] or 'NOT NOTICED', mutant.key, flush=True)
            with open(known, 'a') as file:
                file.write(json.dumps(row) + '\n')
            results[mutant.key] = row
    print(*report({mutant.key: results[mutant.key] for _, mutant in everything if mutant.key in results},
                  arguments.targets), sep='\n')


if __name__ == '__main__':
    main()
