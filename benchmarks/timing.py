"""Rows of what was measured: median, spread, ratio, share of the machine's own matrix product; tables and JSON."""
import dataclasses
import importlib.metadata
import json
import os
import platform
import statistics
import time

from alexnet_tf.console.loading import ONEDNN

COLUMNS = {'ratio': 'ours / peer', 'share': 'share of matrix product'}
PACKAGES = ('tensorflow', 'tf_keras', 'tf_slim', 'torch', 'onnxruntime', 'openvino', 'ai-edge-litert', 'numpy',
            'simplejpeg')


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table. median, low, high: of the repetitions, in `unit`; ratio: ours / peer's (None: ours).

    memory: the peer's peak, GB. failure: why nothing was measured, in one line.
    """
    name: str
    peer: str
    dtype: str
    batch: int
    unit: str
    median: float | None = None
    low: float | None = None
    high: float | None = None
    ratio: float | None = None
    share: float | None = None
    memory: float | None = None
    failure: str = ''


def row(name, peer, dtype, batch, unit, values, ratio=None, share=None):
    """The Row of several measurements of one thing."""
    return Row(name, peer, dtype, batch, unit, statistics.median(values), min(values), max(values), ratio, share)


def alternate(runs, *, repetitions=5, warmup=1):
    """{peer: [seconds]} of {peer: function} in this process, one after the other in every round."""
    seconds = {peer: [] for peer in runs}
    for number in range(warmup + repetitions):
        for peer, run in runs.items():
            start = time.perf_counter()
            run()
            if number >= warmup:
                seconds[peer].append(time.perf_counter() - start)
    return seconds


def rates(name, dtype, batch, outcomes, *, ours='alexnet_tf', ceiling=None):
    """Rows of {peer: turns.Outcome}, each second of which saw a batch; ratio: our median rate / the peer's.

    ceiling: images/s that the machine's matrix product allows, or {peer: images/s}; share is the rate divided by it.
    """
    found = []
    for peer, outcome in outcomes.items():
        found.append(failed(name, peer, dtype, batch, outcome) or dataclasses.replace(
            row(name, peer, dtype, batch, 'images/s', [batch / value for value in outcome.seconds]),
            memory=outcome.peak_bytes / 1e9))
    medians = {row.peer: row.median for row in found if row.median}
    result = []
    for one in found:
        most = ceiling.get(one.peer) if isinstance(ceiling, dict) else ceiling
        ratio = medians[ours] / one.median if one.median and ours in medians and one.peer != ours else None
        result.append(dataclasses.replace(one, ratio=ratio, share=one.median / most if one.median and most else None))
    return result


def failed(name, peer, dtype, batch, outcome):
    """The Row of a turns.Outcome that failed; None: it did not."""
    return Row(name, peer, dtype, batch, '', failure=outcome.failure) if outcome.failure else None


def product_row(outcome, dtype, size):
    """The Row of the peer that multiplies two size x size matrices."""
    name = f'{size}³ matrix product'
    return failed(name, 'TensorFlow', dtype, 1, outcome) or row(
        name, 'TensorFlow', dtype, 1, 'GFLOP/s', [2e-9 * size ** 3 / value for value in outcome.seconds])


def markdown(results, columns=COLUMNS):
    """The rows as a Markdown table. columns: {field of Row: heading}, after those that every table has."""
    lines = [f'| | peer | dtype | batch | median | lowest to highest | {" | ".join(columns.values())} |',
             '|---' * (6 + len(columns)) + '|']
    for row in results:
        lines.append(f'| {row.name} | {row.peer} | {row.dtype} | {row.batch} | ')
        lines[-1] += f'left out: {row.failure} | |' if row.failure else (
            f'{row.median:.4g} {row.unit} | {row.low:.4g} to {row.high:.4g} |')
        for value in (getattr(row, field) for field in columns):
            lines[-1] += '  |' if value is None else f' {value:.2f} |'
    return '\n'.join(lines)


def machine():
    """{what: value} of processor and versions."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        names = [line.split(':')[1].strip() for line in file if line.startswith('model name')]
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    versions[ONEDNN] = os.environ.get(ONEDNN)
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
