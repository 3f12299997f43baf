"""Images a second that a data service on this machine delivers, beside local decoding on the same cores.

    python -m benchmarks.data_service --dataset_dir=records --output_json=data_service.json

All workers share this machine's cores, so more of them give no more images where it is idle: the processor time of an
image, of all processes together, says what the service itself costs. With --kill the last of the workers is killed on
the way, and the longest wait for a batch shown.
"""
import contextlib
import os
import statistics
import time

from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import datasets, service_address
from alexnet_tf.data.batches import TrainingBatches
from alexnet_tf.data.service_batches import ServiceBatches
from benchmarks import timing
from benchmarks.input_pipeline import BATCH, rate
from tests.helpers import data_service

FLAGS = flags.FLAGS
ROWS = (
    Flag('dataset_dir', str, datasets.SAMPLE_DIR, 'Folder of records.'),
    Flag('images', int, 1000, 'Images a repetition.', low=1),
    Flag('repetitions', int, 5, 'Repetitions.', low=1),
    Flag('workers', list, ['1', '2', '3'], 'Numbers of workers.'),
    Flag('kill', bool, False, 'Kill one of the workers in the middle, and time every batch.'),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)


def measure(dataset):
    """Rows; local decoding and the services take turns."""
    names = ['local', *map(int, FLAGS.workers)]
    speeds, costs = {name: [] for name in names}, {name: [] for name in names}
    for _ in range(FLAGS.repetitions):
        for name in names:
            with contextlib.nullcontext() if name == 'local' else data_service.running(name) as running:
                batches = iter(through(dataset, running) if running else
                               TrainingBatches(dataset, seed=0, batch_size=BATCH))
                next(batches)
                before = processor_seconds(running)
                speeds[name].append(rate(batches, FLAGS.images))
                costs[name].append(1000 * (processor_seconds(running) - before) / (FLAGS.images + 2 * BATCH))
    return [timing.row('input', 'local' if name == 'local' else f'{name} workers', 'uint8', BATCH, unit, found[name],
                       statistics.median(found[name]) / statistics.median(found['local']))
            for unit, found in (('images/s', speeds), ('CPU ms/image', costs)) for name in names]


def processor_seconds(running):
    """Seconds that this process and all of a service have computed."""
    seconds = sum(os.times()[:2])
    for role in (*running.workers, running.dispatcher) if running else ():
        with open(f'/proc/{role.process.pid}/stat', encoding='ascii') as file:
            user, system = file.read().rpartition(')')[2].split()[11:13]
        seconds += (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')
    return seconds


def through(dataset, running):
    """The batches of a service whose workers have all started."""
    running.wait()
    return ServiceBatches(dataset, service=service_address.Service(running.address, 300), seed=0, batch_size=BATCH)


def kill_one(dataset, num_workers):
    """Prints how long batches were waited for before and after a worker was killed."""
    with data_service.running(num_workers) as running:
        batches = iter(through(dataset, running))
        seconds = []
        for number in range(2 * FLAGS.images // BATCH):
            if number == FLAGS.images // BATCH:
                running.workers[-1].kill()
            start = time.perf_counter()
            next(batches)
            seconds.append(time.perf_counter() - start)
        before, after = seconds[1:FLAGS.images // BATCH], seconds[FLAGS.images // BATCH:]
        print(f'{num_workers} workers, one killed: a batch of {BATCH} every {statistics.mean(before):.2f} s (longest '
              f'wait {max(before):.2f} s) before, every {statistics.mean(after):.2f} s '
              f'(longest {max(after):.2f} s) after.')


def main():
    dataset = datasets.open_dataset(FLAGS.dataset_dir, 'train')
    if FLAGS.kill:
        for number in FLAGS.workers:
            kill_one(dataset, int(number))
        return
    timing.report(measure(dataset), FLAGS.output_json, {'ratio': 'by local'})


if __name__ == '__main__':
    command.run('benchmarks.data_service', main, ROWS)
