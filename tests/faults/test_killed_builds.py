"""A build from ImageNet's archives that is killed and started again: the records of an undisturbed one, to the byte."""
import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from alexnet_tf.data import datasets
from tests.data.test_build_tfrecords import contents
from tests.helpers import imagenet_archives as made
from tests.helpers.processes import ROOT, run_python

SHARDS = 11  # ten of training images, one of validation images


def sample_archives(folder):
    """Archives of the photographs that come along."""
    train, validation, names = {}, [], datasets.open_dataset(datasets.SAMPLE_DIR, 'train').class_names
    wnids = [f'n{number:08d}' for number in range(1, len(names) + 1)]
    for split, count in (('train', 400), ('validation', 40)):
        dataset = datasets.open_dataset(datasets.SAMPLE_DIR, split)
        for position in range(count):
            image, label = dataset.example(position)
            if split == 'train':
                train.setdefault(wnids[label], {})[f'{wnids[label]}_{position}.JPEG'] = image
            else:
                validation.append((wnids[label], image))
    synsets = [(1000 - number, wnid, name) for number, (wnid, name) in enumerate(zip(wnids, names))]
    return made.write(folder, train, validation, synsets)


def finished(output):
    return len([path for path in output.glob('*-of-*') if not path.name.endswith('.partial')])


def kill(command, output, shards, pause, whole_group):
    """Starts the command and kills it, or its parent alone, when so many shards are there and the pause is over."""
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while finished(output) < shards and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(pause)
        assert process.poll() is None, 'it ended before it was killed'
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    while not whole_group:  # its workers end by themselves
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 0)
            assert time.monotonic() < deadline, 'a worker outlives its parent'
            time.sleep(0.05)
            continue
        break


@pytest.mark.slow
@pytest.mark.parametrize('how', [['--num_processes=2'], ['--num_processes=1'], [
    '--num_processes=2', '--beam_runner=DirectRunner']], ids=' '.join)
def test_ten_kills_leave_the_records_of_an_undisturbed_build(how, tmp_path):
    pytest.importorskip('scipy', reason="reads and writes the development kit's meta.mat")
    if '--beam_runner=DirectRunner' in how:
        pytest.importorskip('apache_beam', reason='the pipeline is of Apache Beam')
    archives = sample_archives(tmp_path / 'archives')
    command = ['-m', 'alexnet_tf.build_tfrecords', f'--imagenet_archives={archives}', '--allow_partial',
               '--train_shards=10', *how]
    run_python(*command[:-1] if 'beam' in command[-1] else command, f'--output_dir={tmp_path / "undisturbed"}')
    output, chance = tmp_path / 'killed', random.Random(0)
    for moment in range(10):
        kill([*command, f'--output_dir={output}'], output, moment, chance.uniform(0, 0.02 if moment else 3),
             whole_group=moment % 2 == 0)
    printed = run_python(*command, f'--output_dir={output}').stdout
    assert f' of {SHARDS} shards are there already.' in printed
    assert contents(output) == contents(tmp_path / 'undisturbed')
