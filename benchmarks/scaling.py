"""How costs grow: with the size of the data set (shards repeated), batch, image size, threads, processes, workers.

    python -m benchmarks.scaling --dataset_dir=records --output_json=scaling.json
    python -m benchmarks.scaling --cluster_only            # the workers of one training on this machine's loopback

A folder of 10 and 100 times as many records is made of links to the same shards. Resuming starts at the middle of an
epoch. Each start-up is measured in a process of its own.
"""
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile

from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import datasets
from alexnet_tf.data.batches import TrainingBatches
from alexnet_tf.run_folder import metrics
from benchmarks import input_pipeline, timing, turns

FLAGS = flags.FLAGS
ROWS = (
    Flag('dataset_dir', str, datasets.SAMPLE_DIR, 'Records in slim shards.'),
    Flag('times', list, ['1', '10', '100'], 'How often the shards are repeated.'),
    Flag('batches', list, ['1', '8', '32', '128', '256'], 'Images per step.'),
    Flag('sizes', list, ['112', '224', '448'], 'Sides of the crops that the input makes, pixels.'),
    Flag('processes', list, ['1', '2', '4'], 'Processes that read at the same time.'),
    Flag('workers', list, ['1', '2', '4'], 'Workers of one training on this machine, which share its cores.'),
    Flag('cluster_batch', int, 128, 'Images per step of all workers together.', 1),
    Flag('cluster_only', bool, False, 'Measure the workers alone.'),
    Flag('threads', list, ['1', '2', '4', '8'], 'Threads that decode.'),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)

# In a process of its own: opens the folder, draws one batch at a position, prints seconds and memory.
START = '''
import json, sys, time
from alexnet_tf.data import datasets
from alexnet_tf.data.batches import TrainingBatches
from benchmarks import turns
before, start = turns.peak_bytes(), time.perf_counter()
dataset = datasets.open_dataset(sys.argv[1], 'train')
opened = time.perf_counter()
step = int(len(dataset) * float(sys.argv[2])) // 128
next(iter(TrainingBatches(dataset, seed=0, batch_size=128, start_step=step)))
memory = (turns.peak_bytes() - before) / 2 ** 20
print(json.dumps([len(dataset), opened - start, time.perf_counter() - opened, memory]))
'''

# In a process of its own: images/s of an input with one thread.
RATE = '''
import sys
from alexnet_tf.data import datasets
from alexnet_tf.data.batches import TrainingBatches
from benchmarks import input_pipeline
dataset = datasets.open_dataset(sys.argv[1], 'train')
print(input_pipeline.rate(iter(TrainingBatches(dataset, seed=0, batch_size=128, num_threads=1)), 2000))
'''


def repeated(folder, times, target):
    """A folder with every training shard of `folder` linked so many times."""
    os.makedirs(target)
    shards = sorted(name for name in os.listdir(folder) if re.fullmatch(r'train-\d+-of-\d+', name))
    for number in range(times * len(shards)):
        os.symlink(os.path.abspath(os.path.join(folder, shards[number % len(shards)])),
                   os.path.join(target, f'train-{number:05d}-of-{times * len(shards):05d}'))
    os.symlink(os.path.abspath(os.path.join(folder, 'labels.txt')), os.path.join(target, 'labels.txt'))
    return target


def start_up():
    """Rows: seconds to open, seconds to the first batch, memory; at the beginning and in the middle of an epoch."""
    rows = []
    with tempfile.TemporaryDirectory() as parent:
        for times in FLAGS.times:
            folder = repeated(FLAGS.dataset_dir, int(times), os.path.join(parent, times))
            for where, share in (('beginning', '0'), ('middle', '0.5')):
                done = subprocess.run([sys.executable, '-c', START, folder, share], capture_output=True, text=True,
                                      check=True)
                examples, opened, drawn, memory = json.loads(done.stdout.splitlines()[-1])
                for what, value, unit in (('open', opened, 's'), ('first batch', drawn, 's'), ('memory', memory, 'MB')):
                    rows.append(timing.row(f'{examples:,} records: {what}', where, 'uint8', 128, unit, [value]))
    return rows


def batches():
    """Rows: training images/s by batch."""
    rows = []
    for batch in FLAGS.batches:
        step = ('benchmarks.ours.training_step', {'network': 'alexnet_v2', 'dtype': 'float32', 'batch': int(batch)})
        outcomes = turns.measure({'alexnet_tf': step}, repetitions=3)
        rows += timing.rates('train alexnet_v2', 'float32', int(batch), outcomes)
    return rows


def _median_of_three(name, function):
    return timing.row(name, 'alexnet_tf', 'uint8', 128, 'images/s', [function() for _ in range(3)])


def inputs():
    """Rows: images/s of the input by threads that decode, and by the size of the crop."""
    dataset = datasets.open_dataset(FLAGS.dataset_dir, 'train')

    def rate(threads=None, size=224):
        return input_pipeline.rate(iter(TrainingBatches(
            dataset, seed=0, batch_size=128, image_size=size, num_threads=threads)), 1000)
    rows = [_median_of_three(f'input, {number} threads', lambda number=number: rate(threads=int(number)))
            for number in FLAGS.threads]
    return rows + [_median_of_three(f'input, crops of {size} pixels', lambda size=size: rate(size=int(size)))
                   for size in FLAGS.sizes]


def processes():
    """Rows: images/s of several processes together, each with an input of one thread over the same records."""
    def together(number):
        running = [subprocess.Popen([sys.executable, '-c', RATE, FLAGS.dataset_dir], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True) for _ in range(number)]
        return sum(float(process.communicate()[0].splitlines()[-1]) for process in running)
    return [_median_of_three(f'input, {number} processes', lambda number=number: together(int(number)))
            for number in FLAGS.processes]


def workers():
    """Rows: training images/s of alexnet_v2 by workers, each a process with its share of the cores."""
    rows = []
    for number in map(int, FLAGS.workers):
        with tempfile.TemporaryDirectory() as folder:
            speeds = _train_together(number, folder)
        one = rows[0].median if rows else None
        rows.append(timing.row(f'train alexnet_v2, workers: {number}', 'alexnet_tf', 'float32', FLAGS.cluster_batch,
                               'images/s', speeds, ratio=one and statistics.median(speeds) / one))
    return rows


def _train_together(number, folder):
    """images/s of each step but the first three, in which functions are traced."""
    cores = sorted(os.sched_getaffinity(0))
    ports = [socket.create_server(('', 0)) for _ in range(number)]
    addresses = [f'127.0.0.1:{port.getsockname()[1]}' for port in ports]
    for port in ports:
        port.close()
    running = []
    for index in range(number):
        variables = {'TF_CONFIG': json.dumps(
            {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}})} if number > 1 else {}
        strategy = 'multi_worker' if number > 1 else 'one_device'
        running.append(subprocess.Popen(
            [sys.executable, 'train_image_classifier.py', f'--strategy={strategy}', f'--train_dir={folder}/run',
             f'--dataset_dir={FLAGS.dataset_dir}', f'--batch_size={FLAGS.cluster_batch}', '--max_number_of_steps=10',
             '--validation_split_name=', '--learning_rate_decay_type=fixed', '--precision=float32',
             '--log_every_n_steps=1', f'--intra_op_threads={max(1, len(cores) // number)}'],
            env=os.environ | variables, stdout=subprocess.DEVNULL))
    statuses = [process.wait() for process in running]
    if any(statuses):
        raise ValueError(f'a training of {number} workers failed; what it said stands above.')
    return [row['examples_per_sec'] for row in metrics.read(os.path.join(folder, 'run'))][3:]


def main():
    own = [] if FLAGS.cluster_only else start_up() + inputs() + processes() + batches()
    timing.report(own + workers(), FLAGS.output_json)


if __name__ == '__main__':
    command.run('benchmarks.scaling', main, ROWS)
