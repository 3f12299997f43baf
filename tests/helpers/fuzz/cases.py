"""Runs many made-up files through a reader, in forked processes: none may abort, hang, or take memory.

A format is a module beside this one with

  prepare()             called once a process, before the first case
  whole()               {file name: bytes} of files that can be read
  cases()               a Hypothesis strategy of {file name: bytes}; which files come depends on the seed alone
  CONTENT               MB that what a file describes may take besides; none if it is left out
  read(folder, files)   reads the files, which lie in a folder, as commands do: True for a success, which it has checked
                        to be right; raises what the readers raise where they refuse

A refusal must be one sentence: a ValueError or OSError that names the folder and is not long.
"""
import contextlib
import dataclasses
import faulthandler
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import unicodedata
from pathlib import Path

import hypothesis

from tests.helpers.small_processes import CONTEXT

SECONDS = 10  # of the processor that a case may take
STALLED = 120  # looks, one a second, at a case that does not end; not seconds, in which both processes may be stopped
MEGABYTES = 100  # that a case may take, and all cases of a process together
LONGEST = 20_000  # characters of a sentence, of which each may be shown as ten
PER_PROCESS = 2500  # cases


@dataclasses.dataclass
class Counts:
    read: int = 0
    refused: int = 0

    def __add__(self, other):
        return Counts(self.read + other.read, self.refused + other.refused)


class Lines:
    """A stream that takes one line at a time: with a line end of its own a name in a file could forge another line."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        assert text == '\n' or '\n' not in text and len(text) < LONGEST, f'printed: {text[:1000]!r}'
        return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


class Files(dict):
    """{file name: bytes}, shown by their sizes: the files themselves are left in the folder."""

    def __repr__(self):
        return str({name: f'{len(content)} bytes' for name, content in self.items()})


def run(name, folder, count, per_process=PER_PROCESS):
    """Runs `count` cases of a format; returns Counts. The seeds are 0, 1, …, one for each process.

    Raises: AssertionError for what must not happen. The files of that case are left in folder/case.
    """
    total, seed = Counts(), 0
    while (done := total.read + total.refused) < count:
        begun = CONTEXT.Value('q', 0, lock=False)  # how many cases
        arguments = name, str(folder), seed, min(per_process, count - done), begun
        process = CONTEXT.Process(target=_process, args=arguments)
        process.start()
        _watch(process, begun)
        log = (folder / 'log').read_text(errors='backslashreplace')
        where = f'{name}, seed {seed}, {folder}/case'
        assert process.exitcode == 0, f'{where}: exit status {process.exitcode}\n{log[-6000:]}'
        assert _is_printable(log), f'{where}: control characters were printed'
        total += Counts(**json.loads((folder / 'counts').read_text()))
        print(f'{name}, seed {seed}: {total}', flush=True)
        seed += 1
    shutil.rmtree(folder / 'case')
    return total


def _watch(process, begun):
    """Waits for the end of a process; ends it where a case waits for something that does not come."""
    before, looks = 0, 0
    while process.is_alive():
        process.join(1)
        looks = looks + 1 if begun.value == before else 0
        before = begun.value
        if looks > STALLED:
            os.kill(process.pid, signal.SIGABRT)


def _process(name, folder, seed, count, begun):
    log = os.open(f'{folder}/log', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream, number in (('stdout', 1), ('stderr', 2)):
        os.dup2(log, number)
        setattr(sys, stream, open(number, 'w', encoding='utf-8', closefd=False))
    faulthandler.enable()
    faulthandler.register(signal.SIGXCPU, chain=True)  # says where, then ends the process
    from alexnet_tf.console import terminal
    terminal.guard_terminal()
    sys.stdout = Lines(sys.stdout)
    status = 1
    try:
        counts = _search(importlib.import_module(f'tests.helpers.fuzz.{name}'), folder, seed, count, begun)
        Path(f'{folder}/counts').write_text(json.dumps(dataclasses.asdict(counts)))
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads of TensorFlow's may wait for something


def _search(module, folder, seed, count, begun):
    module.prepare()
    counts, case = Counts(), Path(folder, 'case')

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, database=None, deadline=None, print_blob=False,
                         suppress_health_check=list(hypothesis.HealthCheck),
                         phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink])
    @hypothesis.given(files=module.cases().map(Files))
    def one(files):
        begun.value += 1
        _write(case, files)
        if _limited(module, str(case), files):
            counts.read += 1
        else:
            counts.refused += 1
    whole = module.whole()
    _write(case, whole)
    assert module.read(str(case), whole), 'what is whole must be read'  # and loads what the first case would load
    first = _resident()
    one()
    grown = _resident() - first
    print(f'{counts.read} read, {counts.refused} refused; {time.process_time():.1f} s of the processor, {grown:.0f} MB')
    return counts


def _write(case, files):
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    for name, content in files.items():
        (case / name).write_bytes(content)


def _limited(module, case, files):
    """Whether a case was read, within the limits."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + SECONDS, resource.RLIM_INFINITY))
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')  # the highest use of memory is counted from here on
    before = _resident()
    try:
        good = module.read(case, files)
    except (ValueError, OSError) as error:
        check_sentence(case, error)
        good = False
    grown = _resident('VmHWM') - before
    assert grown < MEGABYTES + getattr(module, 'CONTENT', 0), f'took {grown:.0f} MB'
    return good


def check_sentence(case, error):
    from alexnet_tf.console import terminal
    sentence = terminal.sentence(error)
    if case not in sentence or len(sentence) > LONGEST or any(
            unicodedata.category(letter) in ('Cc', 'Cf', 'Cs', 'Cn', 'Co', 'Zl', 'Zp') for letter in sentence):
        raise AssertionError(f'{type(error).__name__} of {len(sentence)}: {sentence[:LONGEST]}') from error


def _resident(which='VmRSS'):
    """MB of memory that this process has; VmHWM: at most had."""
    with open('/proc/self/status', encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith(which)) / 1024


def _is_printable(text):
    return not re.search(r'[\x00-\x08\x0b-\x1f\x7f-\x9f]', text)
