"""File systems that are full or cannot be written: said, and the run goes on from what is whole."""
import re
import subprocess
import sys

import pytest

from tests.helpers.processes import ROOT


def in_own_mount(script):
    """What a shell script prints that may mount; the last line is the exit status of its `run`."""
    done = subprocess.run(['unshare', '--map-root-user', '--mount', 'sh', '-c', script], cwd=ROOT, capture_output=True,
                          text=True, timeout=300, check=False)
    if 'unshare' in done.stderr or 'mount:' in done.stderr:
        pytest.skip(f'this system lets nobody mount: {done.stderr.strip()}')
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('clones', [1, 2])
def test_a_full_file_system(tmp_path, clones):
    """So many KiB are left when a run begins to write; with space again it goes on as if nothing had been."""
    run = f'{sys.executable} -m tests.helpers.small_run --steps=12 --num_clones={clones}'
    output = in_own_mount(f'''
        {run} {tmp_path}/whole
        mkdir {tmp_path}/disk && mount -t tmpfs -o size=10M tmpfs {tmp_path}/disk && cd {ROOT}
        {run} {tmp_path}/disk/run --die_at=state:5:after >/dev/null
        newest=$(ls {tmp_path}/disk/run/model.ckpt-5.*) && sha256sum $newest >{tmp_path}/before
        for left in 0 12 20 28; do
            fallocate -l $(($(df --output=avail -k {tmp_path}/disk | tail -1) - $left))K {tmp_path}/disk/filler
            {run} {tmp_path}/disk/run 2>&1; echo status $?
            sha256sum -c --status {tmp_path}/before && echo unchanged
            rm {tmp_path}/disk/filler
        done
        {run} {tmp_path}/disk/run
        ls {tmp_path}/disk/run | grep -c -e partial -e tempstate''')
    assert output.count('status 1\n') == output.count('\nunchanged\n') == 4 and 'Traceback' not in output, output
    assert output.count('No space left') == 4, output
    hashes = re.findall(r'^hash \w+$', output, re.M)
    assert len(hashes) == 2 and len(set(hashes)) == 1, output
    assert output.endswith('\n0\n')  # no stray files


@pytest.mark.slow
def test_a_read_only_file_system(tmp_path):
    run = f'{sys.executable} -m tests.helpers.small_run --steps=5 {tmp_path}/run'
    output = in_own_mount(f'mount -t tmpfs -o ro tmpfs {tmp_path} && {run} 2>&1; echo status $?')
    assert output.endswith('\nstatus 1\n') and 'Read-only' in output and 'Traceback' not in output, output
