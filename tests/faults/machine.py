"""A machine that can be made bad: a small disk that fills up or stalls, a clock that goes back, memory that is short.

For Linux as root, with control groups of version 1 and a C compiler; `missing` says what of it is not there.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

GROUPS = {name: Path('/sys/fs/cgroup') / name / 'alexnet_tests' for name in ('blkio', 'memory')}
THROTTLES = [f'blkio.throttle.{way}_bps_device' for way in ('read', 'write')]


def missing():
    """What this machine lacks, in words; '' where all is there."""
    lacks = [name for name in ('cc', 'mkfs.ext4', 'mount', 'umount') if not shutil.which(name)]
    if os.geteuid():
        lacks.append('root')
    lacks += [f'control groups (version 1) of {name}' for name, group in GROUPS.items() if not group.parent.is_dir()]
    return ', '.join(lacks)


@contextlib.contextmanager
def made(folder, disk_mib):
    """A Machine whose files are in a folder; its disk and what runs on it are gone at the end of the `with`."""
    machine = Machine(Path(folder), disk_mib)
    try:
        yield machine
    finally:
        while running := (GROUPS['blkio'] / 'cgroup.procs').read_text().split():
            for process in running:
                os.kill(int(process), signal.SIGKILL)
            time.sleep(0.1)
        subprocess.run(['umount', machine.disk], check=True)
        for group in GROUPS.values():
            group.rmdir()


class Machine:
    """disk: the folder where a file system of its own is mounted."""

    def __init__(self, folder, disk_mib):
        self.disk, image, library = folder / 'disk', folder / 'disk.img', folder / 'clock_back.so'
        self._clock, self._filler = folder / 'the_clock_is_back', self.disk / 'filler'
        for group in GROUPS.values():
            group.mkdir(exist_ok=True)
        subprocess.run(['cc', '-shared', '-fPIC', '-o', library, Path(__file__).with_name('clock_back.c')], check=True)
        self.environment = os.environ | {
            'LD_PRELOAD': str(library), 'CLOCK_BACK': str(self._clock), 'PYTHONUNBUFFERED': '1'}
        self.disk.mkdir()
        with open(image, 'wb') as file:
            file.truncate(disk_mib << 20)
        subprocess.run(['mkfs.ext4', '-q', '-m', '0', image], check=True)
        subprocess.run(['mount', '-o', 'loop', image, self.disk], check=True)
        device = os.stat(self.disk).st_dev
        self._device = f'{os.major(device)}:{os.minor(device)}'

    def enter(self):
        """Puts the calling process under this machine's limits, and what it starts."""
        for group in GROUPS.values():
            (group / 'cgroup.procs').write_text(str(os.getpid()))

    def fill_the_disk(self, left_kib):
        """All but so many KiB."""
        with open(self._filler, 'wb', buffering=0) as file:
            with contextlib.suppress(OSError):  # no space left
                while file.write(bytes(4096)):
                    pass
            file.truncate(max(0, file.tell() - (left_kib << 10)))
            os.fsync(file.fileno())

    def empty_the_disk(self):
        self._filler.unlink()

    def stall_the_disk(self, seconds):
        """Nothing can be read or written for so long: one byte a second. What was read before is forgotten."""
        for file in self.disk.rglob('*'):
            if file.is_file():
                with open(file, 'rb') as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            self._throttle(1)
            time.sleep(seconds)
        finally:
            self._throttle(0)

    def _throttle(self, bytes_per_second):
        for throttle in THROTTLES:
            (GROUPS['blkio'] / throttle).write_text(f'{self._device} {bytes_per_second}')

    def set_the_clock_back(self):
        """An hour, for processes that run and for those to come."""
        self._clock.touch()

    @property
    def memory(self):
        """Bytes that its processes have now, without the cache of files."""
        return int(re.search(r'^rss (\d+)', (GROUPS['memory'] / 'memory.stat').read_text(), re.M)[1])

    def limit_memory(self, most):
        """Bytes; who needs more is killed by the system. None: no limit."""
        (GROUPS['memory'] / 'memory.limit_in_bytes').write_text(str(most or -1))

    @property
    def killed_for_memory(self):
        """How many processes the system has killed because of the limit."""
        control = (GROUPS['memory'] / 'memory.oom_control').read_text()
        return int(re.search(r'^oom_kill (\d+)', control, re.M)[1])
