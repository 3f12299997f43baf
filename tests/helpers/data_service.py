"""A data service on this machine: its command in processes of its own."""
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from tests.helpers.processes import ROOT


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Role:
    """A dispatcher or a worker, started; `said`: what it printed, stderr too."""

    def __init__(self, *arguments):
        self._printed = tempfile.NamedTemporaryFile('r', errors='replace')
        with open(self._printed.name, 'w') as output:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'alexnet_tf.data_service', *arguments], cwd=ROOT, stdout=output,
                stderr=subprocess.STDOUT, env=os.environ | {'CUDA_VISIBLE_DEVICES': ''})

    @property
    def said(self):
        self._printed.seek(0)
        return self._printed.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it by SIGTERM; returns its exit status."""
        self.process.terminate()
        return self.process.wait(30)


class DataService:
    """address, dispatcher and workers (Roles)."""

    def __init__(self, num_workers, work_dir=None):
        self.port, self._more = free_port(), [f'--work_dir={work_dir}'] if work_dir else []
        self.address = f'grpc://127.0.0.1:{self.port}'
        self.workers = []
        self.start_dispatcher()
        for _ in range(num_workers):
            self.start_worker()

    def start_dispatcher(self):
        self.dispatcher = Role(f'--port={self.port}', *self._more)

    def start_worker(self):
        self.workers.append(Role(f'--dispatcher={self.address}'))

    def wait(self):
        """Waits until all have started: a training asks only twice a minute for workers that come later."""
        for role in (self.dispatcher, *self.workers):
            while not re.search('listens on|decodes for', role.said):
                assert role.process.poll() is None, role.said
                time.sleep(0.1)

    def kill(self):
        for role in (*self.workers, self.dispatcher):
            role.kill()


@contextlib.contextmanager
def running(num_workers, work_dir=None):
    """Inside a `with`, a DataService; it may still be starting (DataService.wait)."""
    service = DataService(num_workers, work_dir)
    try:
        yield service
    finally:
        service.kill()
