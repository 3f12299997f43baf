"""Shared by tests that run the scripts as a user would: as processes, on records of real photographs."""
import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
ROOT = Path(__file__).parents[1]


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


# Flags are global, and importing TensorFlow takes seconds: one process tries all cases, one after the other.
TRY_CASES = '''
import json, sys
from absl import flags
module = __import__(sys.argv[1])
module.define_flags()
messages = []
for case in json.loads(sys.argv[2]):
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    try:
        flags.FLAGS(['x', *case])
        module.main()
        messages.append('')
    except (ValueError, flags.Error) as error:
        messages.append(str(error))
print(json.dumps(messages))
'''


def messages_of(module, cases):
    """What a script's main() says to each list of flags: the text of its ValueError or flag error, '' for none.

    `command.run` makes one sentence and exit status 1 of both; tests of single processes show that.
    """
    return json.loads(run_python('-c', TRY_CASES, module, json.dumps(cases)).stdout.splitlines()[-1])


@pytest.fixture(scope='session')
def small_records(tmp_path_factory):
    """A slim folder of 48 training (two shards) and 20 validation photographs, taken from the sample."""
    import tensorflow as tf

    from alexnet_tf.data import datasets, records
    folder = tmp_path_factory.mktemp('small_records')
    for split, counts in (('train', (24, 24)), ('validation', (20,))):
        index = datasets.open_dataset(datasets.SAMPLE_DIR, split).index
        start = 0
        for shard, count in enumerate(counts):
            path = folder / f'{split}-{shard:05d}-of-{len(counts):05d}'
            with tf.io.TFRecordWriter(str(path)) as writer:
                for position in range(start, start + count):
                    writer.write(records.read_record(index, position))
            start += count
    (folder / 'labels.txt').write_text((Path(datasets.SAMPLE_DIR) / 'labels.txt').read_text())
    return folder
