"""A real training to which everything happens, for as long as one likes, and one that nobody disturbs.

    python -m tests.faults.disturbed_run --dataset_dir=records --minutes=180 [--kills=40] [--network=narrow]

kill -9 at random moments; the disk full twice; the clock set back an hour; the disk stalled for 40 s; memory short
twice: an allocation that fails, and the system's killer. Then a training of as many steps runs alone. Both must have
the same last checkpoint, best checkpoint and rows of metrics.jsonl. Prints what happened when. The minutes are those of
the disturbances; the machine's starts come on top. machine.py says what the machine must have.
"""
import argparse
import collections
import hashlib
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alexnet_tf.data.datasets import SAMPLE_DIR
from alexnet_tf.run_folder import checkpoints, metrics
from tests.faults import machine as machines
from tests.helpers.processes import NARROW, ROOT
from tests.helpers.saved import content

SCRIPTS = {'narrow': [*NARROW, 'train_image_classifier'],
           **{name: ['train_image_classifier.py', f'--model_name={name}'] for name in ('alexnet_v2', 'alexnet')}}
VALIDATE_EVERY = 200
FLAGS = ['--batch_size=16', f'--validate_every_n_steps={VALIDATE_EVERY}', '--save_interval_secs=3',
         '--log_every_n_steps=5', '--learning_rate=0.01', '--plateau_patience=3', '--intra_op_threads=2']
SPEEDS = ('examples_per_sec', 'input_wait')
FOREVER = 10 ** 9
STALL = 40


class Training:
    """One process that trains in a folder. printed: what it has said so far."""

    def __init__(self, network, dataset_dir, train_dir, log, machine=None, steps=FOREVER):
        self.train_dir, self._log = Path(train_dir), Path(log)
        with open(log, 'wb') as file:
            self.process = subprocess.Popen(
                [sys.executable, *SCRIPTS[network], *FLAGS, f'--dataset_dir={dataset_dir}', f'--train_dir={train_dir}',
                 f'--max_number_of_steps={steps}'], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
                env=machine and machine.environment, preexec_fn=machine and machine.enter)

    @property
    def printed(self):
        return self._log.read_text(errors='replace')

    def wait_for_steps(self, count=1):
        """Returns when it has printed so many more lines of progress."""
        wanted = self.printed.count('\nstep ') + count
        while self.printed.count('\nstep ') < wanted:
            if self.process.poll() is not None:
                raise AssertionError(f'it ended with {self.process.returncode}:\n{self.printed}')
            time.sleep(0.2)

    def end(self, seconds=None):
        """Its exit status; it is killed after so long."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def stage(self):
        """What it did when it ended, as far as one can see."""
        printed = self.printed
        if '\nTraining ' not in printed:
            return 'starting'
        files = {path.name for path in self.train_dir.glob('**/*')}
        unfinished = [name for name in files if re.search('partial|tempstate', name) or (
            name.endswith('.index') and name.replace('.index', checkpoints.MANIFEST) not in files)]
        if unfinished:
            return 'writing a checkpoint'
        last = re.findall(r'^(step|validation at step) (\d+)', printed, re.M)
        if not last:
            return 'before its first line'
        return 'validating' if last[-1][0] == 'step' and int(last[-1][1]) % VALIDATE_EVERY == 0 else 'training'


class Disturber:
    """Starts a training again and again, and does one thing to each; every method says what came of it."""

    def __init__(self, start, machine, pause, chance):
        self._start, self._machine, self._pause, self._chance = start, machine, pause, chance

    def kill(self):
        training = self._start()
        if self._chance.random() < 0.75:
            training.wait_for_steps()  # else most kills come while it starts
        status = training.end(self._chance.uniform(0, 2 * self._pause))
        assert status == -9, f'it ended with {status}:\n{training.printed}'
        return training.stage()

    def fill(self):
        training = self._begun()
        self._machine.fill_the_disk(self._chance.choice([0, 8, 24]))
        status = training.end(300)
        self._machine.empty_the_disk()
        assert status == 1 and 'No space left' in training.printed, f'it ended with {status}:\n{training.printed}'
        assert 'Traceback' not in training.printed, training.printed
        return self._last_line(training)

    def set_clock_back(self):
        training = self._begun()
        self._machine.set_the_clock_back()
        training.wait_for_steps(10)
        return self._killed(training, 'it went on')

    def stall(self):
        training = self._begun()
        before = training.printed.count('\nstep ')
        self._machine.stall_the_disk(STALL)
        during = training.printed.count('\nstep ') - before
        training.wait_for_steps(10)
        return self._killed(training, f'{during} lines of progress meanwhile; then it went on')

    def refuse_memory(self):
        """No more addresses than it has when it trains."""
        training = self._begun()
        pages = int(Path(f'/proc/{training.process.pid}/statm').read_text().split()[0])
        resource.prlimit(training.process.pid, resource.RLIMIT_AS,
                         (pages * resource.getpagesize(), resource.RLIM_INFINITY))
        status = training.end(120)
        return f'it ended with {status}: {self._last_line(training)}'

    def take_memory(self):
        """Half of what it had when it trained."""
        training = self._begun()
        half = self._machine.memory // 2
        training.end(0)
        killed = self._machine.killed_for_memory
        self._machine.limit_memory(half)
        training = self._start()
        status = training.end(60)
        self._machine.limit_memory(None)
        by_system = self._machine.killed_for_memory > killed
        return f'{"killed by the system" if by_system else f"it ended with {status}"} at {half >> 20} MiB, ' + (
            training.stage())

    def _begun(self):
        training = self._start()
        training.wait_for_steps()
        time.sleep(self._chance.uniform(0, self._pause))
        return training

    def _killed(self, training, what):
        training.end(0)
        return what

    def _last_line(self, training):
        return training.printed.strip().splitlines()[-1]


def state_hash(checkpoint):
    """SHA-256 of all that a checkpoint holds."""
    digest = hashlib.sha256()
    for name, value in sorted(content(checkpoint).items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()


def left_by(folder):
    """What two runs must have alike: {what: value}."""
    rows = [{name: value for name, value in row.items() if name not in SPEEDS} for row in metrics.read(str(folder))]
    last, best = (checkpoints.find(str(path)) for path in (folder, folder / 'best'))
    return {'last': (os.path.basename(last), state_hash(last)), 'best': (os.path.basename(best), state_hash(best)),
            'rows': rows, 'files': sorted(
                path.name for path in folder.glob('**/*') if re.search('partial|tempstate', path.name))}


def disturb(network, train_dir, dataset_dir, machine, minutes, kills, seed, log):
    """Everything happens to a training in a random order, in about so many minutes. Returns its step at the end."""
    chance = random.Random(seed)
    happenings = kills * ['kill'] + ['fill', 'fill', 'set_clock_back', 'stall', 'refuse_memory', 'take_memory']
    chance.shuffle(happenings)
    disturber = Disturber(lambda: Training(network, dataset_dir, train_dir, log, machine), machine,
                          (minutes * 60 - STALL) / len(happenings), chance)
    began, stages = time.monotonic(), collections.Counter()
    for number, happening in enumerate(happenings, 1):
        came = getattr(disturber, happening)()
        stages[came] += happening == 'kill'
        newest = checkpoints.find(str(train_dir)) or 'no checkpoint'
        print(f'{(time.monotonic() - began) / 60:6.1f} min, {number:2}: {happening}: {came}; '
              f'{os.path.basename(newest)}', flush=True)
    print(f'{kills} kills: ' + ', '.join(f'{stage} {count}' for stage, count in (+stages).most_common()), flush=True)
    return checkpoints.step_of(checkpoints.find(str(train_dir)))


def compare(work, *, dataset_dir, network, minutes, kills, seed):
    """Disturbs a run, then makes one that nobody disturbs. Raises AssertionError where they differ."""
    disk_mib = {'narrow': 40}.get(network, 4000) + sum(
        file.stat().st_size for file in Path(dataset_dir).iterdir()) // 2 ** 20
    with machines.made(work, disk_mib) as machine:
        records, disturbed, alone = machine.disk / 'records', machine.disk / 'run', work / 'alone'
        shutil.copytree(dataset_dir, records)
        step = disturb(network, disturbed, records, machine, minutes, kills, seed, work / 'log.txt')
        steps = (step // VALIDATE_EVERY + 1) * VALIDATE_EVERY
        began = time.monotonic()
        for folder in (disturbed, alone):
            training = Training(network, dataset_dir, folder, work / 'log.txt', steps=steps)
            assert training.end() == 0, training.printed
        print(f'{steps} steps; to the end and alone in {(time.monotonic() - began) / 60:.1f} min', flush=True)
        one, other = left_by(disturbed), left_by(alone)
    print(f'last checkpoint {one["last"]}, of the undisturbed run {other["last"]}')
    print(f'best {one["best"][0]} and {other["best"][0]}; {len(one["rows"])} and {len(other["rows"])} rows')
    for what in one:
        assert one[what] == other[what], f'{what} differs'
    print('Nothing differs.')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--dataset_dir', default=SAMPLE_DIR)
    parser.add_argument('--network', choices=SCRIPTS, default='narrow')
    parser.add_argument('--minutes', type=float, default=180)
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0)
    arguments = vars(parser.parse_args())
    if missing := machines.missing():
        raise SystemExit(f'This machine lacks {missing}.')
    with tempfile.TemporaryDirectory() as work:
        compare(Path(work), **arguments)


if __name__ == '__main__':
    main()
