"""Checkpoints written while training goes on."""
import concurrent.futures
import os

import tensorflow as tf

from alexnet_tf.run_folder import checkpoints


class Saver:
    """Writes checkpoints in a thread of its own, one at a time, while training goes on.

    What it holds does not change under it: TensorFlow copies a variable that is updated while somebody reads it.
    """

    def __init__(self, folder):
        self._folder = folder
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._running = None

    def save(self, step, tensors, best=False):
        """Begins to write; best: folder/best shall hold it too."""
        self.wait()
        self._running = self._pool.submit(
            self._write, step, {name: tf.identity(tensor) for name, tensor in tensors.items()}, best)

    def save_best(self, step):
        """Begins to make folder/best hold the checkpoint of a step that is on the disk."""
        self.wait()
        self._running = self._pool.submit(
            checkpoints.save_best, self._folder, os.path.join(self._folder, f'{checkpoints.PREFIX}-{step}'))

    def _write(self, step, tensors, best):
        path = checkpoints.save(self._folder, step, tensors)
        if best:
            checkpoints.save_best(self._folder, path)

    def check(self):
        """Raises what the last write raised, if it has ended."""
        if self._running and self._running.done():
            self.wait()

    def wait(self):
        """Returns when all is on the disk. Raises what the write raised, once."""
        running, self._running = self._running, None
        if running:
            running.result()

    def close(self):
        self._pool.shutdown()
