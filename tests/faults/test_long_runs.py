"""Runs on several devices that go back, and long ones: nothing differs, nothing leaks."""
import os
import pathlib
import re
import resource

import pytest

from tests.helpers.small_processes import Started, finish, hash_in


@pytest.mark.slow
def test_two_clones_go_back_too(tmp_path):
    whole, back = (finish(tmp_path / name, '--steps=12', '--num_clones=2', *arguments)
                   for name, arguments in (('whole', []), ('back', ['--nan_at=7'])))
    assert 'rollback' in back and 'rollback' not in whole and hash_in(whole) == hash_in(back)


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_ten_thousand_steps_leak_nothing(tmp_path, clones):
    process = Started(tmp_path, '--steps=10100', '--save_secs=5', f'--num_clones={clones}', '--validate_every=100')
    seen, printed = [], []
    for line in process.stdout:
        printed.append(line)
        if re.match(r'step \d+000/', line):
            pages = int(pathlib.Path(f'/proc/{process.pid}/statm').read_text().split()[1])
            seen.append((pages * resource.getpagesize() / 2 ** 20, len(os.listdir(f'/proc/{process.pid}/fd'))))
    assert process.wait(60) == 0 and len(seen) == 10 and 'traces 1\n' in printed, printed[-20:]
    memory, files = zip(*seen[1:])  # the first two thousand fill caches
    assert (memory[-1] - memory[0]) / (len(memory) - 1) < 1 and max(files) - min(files) <= 2, seen
