"""train_image_classifier.py itself on JPEG records beside the same step on images in memory.

    python -m benchmarks.end_to_end --dataset_dir=records --output_json=end_to_end.json

Also the time to the first step and images/s of evaluation. The script, in a process of its own,
and the bare step take turns.
"""
import re
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import datasets
from alexnet_tf.run_folder import metrics
from benchmarks import inputs, timing
from benchmarks.ours import step_and_state

FLAGS = flags.FLAGS
ROWS = (
    Flag('dataset_dir', str, datasets.SAMPLE_DIR, 'Records to train on.'),
    Flag('networks', list, ['alexnet_v2'], 'Networks.'),
    Flag('dtypes', list, ['float32', 'bfloat16'], 'Arithmetic.'),
    Flag('batch_size', int, 128, 'Images per step.', low=1),
    Flag('steps', int, 12, 'Steps of every run of the script.', low=4),
    Flag('repetitions', int, 5, 'Runs of the script.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)


def script(network, dtype, folder):
    """(images/s by the run's own log, share of time waiting for input, seconds to the first step) of one run."""
    arguments = ['train_image_classifier.py', f'--dataset_dir={FLAGS.dataset_dir}', f'--train_dir={folder}',
                 f'--model_name={network}', f'--precision={dtype}', f'--batch_size={FLAGS.batch_size}',
                 f'--max_number_of_steps={FLAGS.steps}', '--log_every_n_steps=1', '--validation_split_name=',
                 '--learning_rate_decay_type=fixed', '--learning_rate=0.0001']
    start, first = time.perf_counter(), None
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        for line in process.stdout:
            if first is None and line.startswith('step 1/'):
                first = time.perf_counter() - start
    if process.returncode:
        raise ValueError(f'{" ".join(arguments)} ended with {process.returncode}.')
    steady = [row for row in metrics.read(folder) if row['kind'] == 'train'][2:]
    return (statistics.median(row['examples_per_sec'] for row in steady),
            statistics.mean(row['input_wait'] for row in steady), first)


def evaluation(folder, dtype):
    """Images/s of eval_image_classifier.py, by its own summary line."""
    done = subprocess.run(
        [sys.executable, 'eval_image_classifier.py', f'--checkpoint_path={folder}', f'--precision={dtype}',
         f'--dataset_dir={FLAGS.dataset_dir}', f'--eval_dir={folder}/eval', '--dataset_split_name=train'],
        capture_output=True, text=True, check=True)
    return float(re.search(r'\(([\d.]+)/s\)', done.stdout)[1])


def measure(network, dtype):
    """Rows of one network and arithmetic."""
    classes = datasets.open_dataset(FLAGS.dataset_dir, 'train').num_classes
    step, _ = step_and_state(network, *inputs.random_batch(FLAGS.batch_size, classes=min(classes, 1000)), dtype)
    step()
    bare, whole, waits, first, scored = [], [], [], [], []
    for _ in range(FLAGS.repetitions):
        for _ in range(2):
            start = time.perf_counter()
            step()
            bare.append(FLAGS.batch_size / (time.perf_counter() - start))
        with tempfile.TemporaryDirectory() as folder:
            speed, waited, seconds = script(network, dtype, folder)
            whole.append(speed)
            waits.append(100 * waited)
            first.append(seconds)
            scored.append(evaluation(folder, dtype))
    name, batch = f'end to end, {network}', FLAGS.batch_size
    ratio = statistics.median(whole) / statistics.median(bare)
    trainer, scorer = 'train_image_classifier.py', 'eval_image_classifier.py'
    return [timing.row(name, trainer, dtype, batch, 'images/s', whole),
            timing.row(name, 'step on images in memory', dtype, batch, 'images/s', bare, ratio),
            timing.row(f'{name}, waiting for input', trainer, dtype, batch, '%', waits),
            timing.row(f'{name}, to the first step', trainer, dtype, batch, 's', first),
            timing.row(f'{name}, evaluation', scorer, dtype, 100, 'images/s', scored)]


def main():
    results = []
    for network in FLAGS.networks:
        for dtype in FLAGS.dtypes:
            results += measure(network, dtype)
    timing.report(results, FLAGS.output_json)


if __name__ == '__main__':
    command.run('benchmarks.end_to_end', main, ROWS)
