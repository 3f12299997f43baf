"""What a checkpoint costs: how long the step waits for it, how long the write takes beside training.

    python -m benchmarks.checkpoints --output_json=checkpoints.json
"""
import os
import tempfile
import time

import tensorflow as tf
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.training.saver import Saver
from benchmarks import inputs, timing
from benchmarks.networks import POLICIES
from benchmarks.ours import step_and_state

FLAGS = flags.FLAGS
ROWS = (
    Flag('dtypes', list, list(POLICIES), 'Arithmetic.'),
    Flag('repetitions', int, 5, 'Saves.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)


def measure(network, dtype, batch):
    """Rows: seconds of a step alone and of the one right after a save began, of the call itself, of the write."""
    step, state = step_and_state(network, *inputs.random_batch(batch), dtype)
    step()
    alone, beside, called, written = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        saver = Saver(folder)
        for number in range(FLAGS.repetitions):
            alone.append(_seconds(step))
            begun = time.perf_counter()
            called.append(_seconds(lambda number=number: saver.save(number, state.tensors())))
            beside.append(_seconds(step))
            saver.wait()
            written.append(time.perf_counter() - begun)
        size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)
                   if name.startswith(f'{checkpoints.PREFIX}-0.'))
        saver.close()
    name = f'{network}, checkpoint of {size / 1e6:.0f} MB'
    return [timing.row(name, what, dtype, batch, 's', values)
            for what, values in (('step alone', alone), ('call of save', called), ('step beside the write', beside),
                                 ('save, until it is on the disk', written))]


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    tf.get_logger().setLevel('WARNING')
    timing.report([row for dtype in FLAGS.dtypes for row in measure('alexnet_v2', dtype, 128)], FLAGS.output_json)


if __name__ == '__main__':
    command.run('benchmarks.checkpoints', main, ROWS)
