"""Peers timed side by side: alternating, after a warm-up; median, spread, ratio; the machine's own matrix product."""
import dataclasses
import importlib.metadata
import json
import os
import platform
import statistics
import time

import numpy as np
import tensorflow as tf

from nets import rows


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table. median, low, high: of the repetitions, in `unit`; ratio: ours / peer's (None: ours)."""
    name: str
    peer: str
    dtype: str
    batch: int
    unit: str
    median: float
    low: float
    high: float
    ratio: float | None = None
    share: float | None = None


def row(name, peer, dtype, batch, unit, values, ratio=None, share=None):
    """The Row of several measurements of one thing."""
    return Row(name, peer, dtype, batch, unit, statistics.median(values), min(values), max(values), ratio, share)


def peak_bytes():
    """The most memory that this process ever had; getrusage's peak is inherited from the parent."""
    with open('/proc/self/status', encoding='ascii') as file:
        return 1024 * int(next(line for line in file if line.startswith('VmHWM')).split()[1])


def alternate(runs, *, repetitions=5, warmup=1):
    """{peer: [seconds]} of {peer: function}, the peers one after the other in every round."""
    seconds = {peer: [] for peer in runs}
    for number in range(warmup + repetitions):
        for peer, run in runs.items():
            start = time.perf_counter()
            run()
            if number >= warmup:
                seconds[peer].append(time.perf_counter() - start)
    return seconds


def rates(name, dtype, batch, seconds, *, images, ours='alexnet_tf', ceiling=None):
    """Rows of {peer: [seconds for `images` images]}; ratio: our median rate / the peer's.

    ceiling: images/s that the machine's matrix product allows, or {peer: images/s}; share is the rate divided by it.
    """
    per_peer = {peer: [images / value for value in values] for peer, values in seconds.items()}
    medians = {peer: statistics.median(values) for peer, values in per_peer.items()}

    def ratio(peer):
        return None if peer == ours or ours not in medians else medians[ours] / medians[peer]

    def share(peer):
        return ceiling and medians[peer] / (ceiling[peer] if isinstance(ceiling, dict) else ceiling)
    return [row(name, peer, dtype, batch, 'images/s', values, ratio(peer), share(peer))
            for peer, values in per_peer.items()]


def matmul(dtype, size=4096):
    """A function that multiplies two size x size matrices once, and its FLOPs."""
    a, b = (tf.cast(tf.random.stateless_uniform([size, size], [seed, 0]), dtype) for seed in (1, 2))
    product = tf.function(lambda: tf.matmul(a, b)[0, 0])
    return lambda: product().numpy(), 2 * size ** 3


def flops(table, classes, size, training):
    """FLOPs an image: forward, or forward and backward less the first layer's input gradient."""
    walked = [step.multiply_adds for step in rows.walk(rows.resolve(table, classes), size, size)]
    forward = 2 * sum(walked)
    return 3 * forward - 2 * walked[0] if training else forward


COLUMNS = {'ratio': 'ours / peer', 'share': 'share of matrix product'}


def markdown(results, columns=COLUMNS):
    """The rows as a Markdown table. columns: {field of Row: heading}, after those that every table has."""
    lines = [f'| | peer | dtype | batch | median | lowest to highest | {" | ".join(columns.values())} |',
             '|---' * (6 + len(columns)) + '|']
    for row in results:
        lines.append(f'| {row.name} | {row.peer} | {row.dtype} | {row.batch} | {row.median:.4g} {row.unit} | '
                     f'{row.low:.4g} to {row.high:.4g} |')
        for value in (getattr(row, field) for field in columns):
            lines[-1] += '  |' if value is None else f' {value:.2f} |'
    return '\n'.join(lines)


def machine():
    """{what: value} of processor and versions."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        names = [line.split(':')[1].strip() for line in file if line.startswith('model name')]
    versions = {}
    for package in ('tensorflow', 'tf_keras', 'tf_slim', 'torch', 'numpy', 'simplejpeg'):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {'processor': names[0] if names else platform.processor(), 'cores': os.cpu_count(),
            'python': platform.python_version(), **versions}


def report(results, path=None, columns=COLUMNS):
    """Prints machine and table; writes both to path as JSON."""
    facts = machine()
    print(', '.join(f'{name} {value}' for name, value in facts.items() if value))
    print(markdown(results, columns))
    if path:
        with open(path, 'w', encoding='utf-8') as file:
            json.dump({'machine': facts, 'rows': [dataclasses.asdict(row) for row in results]}, file, indent=1)


def random_batch(batch, size, classes):
    """uint8 images [batch, size, size, 3] and int64 labels [batch]."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, [batch, size, size, 3], np.uint8), random.integers(0, classes, batch)
