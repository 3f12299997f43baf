"""Commands as users run them: in processes of their own."""
import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A command with networks of a sixteenth of the kernels (see narrow.py): arguments for run_python.
NARROW = ('-m', 'tests.helpers.narrow')


def run_python(*arguments, cwd=ROOT, check=True, timeout=300, **environment):
    """Runs Python with arguments; returns the CompletedProcess with stdout and stderr as text."""
    result = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, text=True, capture_output=True,
                            timeout=timeout, env=os.environ | environment)
    if check and result.returncode:
        raise AssertionError(f'{arguments} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}')
    return result


def run_pythons(*commands, **kwargs):
    """The results of `run_python` for lists of arguments, two processes at a time: they start on one core each."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda arguments: run_python(*arguments, **kwargs), commands))
