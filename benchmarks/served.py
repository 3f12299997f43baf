"""What is exported in float32 and in bfloat16: its size, the latency of one image, and images/s of a batch.

    python -m benchmarks.served

Both precisions of a network take turns, each in a process of its own, with as many threads as there are cores.
"""
import concurrent.futures
import dataclasses
import statistics

from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from benchmarks import timing, turns

FLAGS = flags.FLAGS
ROWS = (
    Flag('networks', list, ['alexnet_v2', 'alexnet'], 'Networks.'),
    Flag('batch', int, 32, 'Images at once, beside one.', low=2),
    Flag('repetitions', int, 7, 'Turns of each precision after the warm-up; 10 images a turn for one.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)
DTYPES = 'float32', 'bfloat16'


def measured(network, signature, batch):
    """Rows of both precisions for one signature and batch, in ms for one image, in images/s for more."""
    makers = {dtype: ('benchmarks.ours.exported', {
        'network': network, 'dtype': dtype, 'batch': batch, 'signature': signature}) for dtype in DTYPES}
    outcomes = turns.measure(makers, repetitions=FLAGS.repetitions, warmup=2, times=10 if batch == 1 else 1)
    unit, name = 'ms' if batch == 1 else 'images/s', f'{network}, {signature}'
    exact, found = statistics.median(outcomes['float32'].seconds or [0]), []
    for dtype, outcome in outcomes.items():
        values = [1e3 * value if batch == 1 else batch / value for value in outcome.seconds]
        found.append(timing.failed(name, 'exported', dtype, batch, outcome) or dataclasses.replace(
            timing.row(name, 'exported', dtype, batch, unit, values),
            ratio=exact / statistics.median(outcome.seconds)))
    return found


def sizes(network):
    """Rows of the size of both precisions, each exported in a process of its own."""
    from benchmarks import ours
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=turns.CONTEXT, max_tasks_per_child=1) as pool:
        found = [pool.submit(ours.exported_bytes, network, dtype).result() for dtype in DTYPES]
    return [timing.row(f'{network}, size', 'exported', dtype, 1, 'MB', [size / 1e6], ratio=found[0] / size)
            for dtype, size in zip(DTYPES, found)]


def main():
    results = []
    for network in FLAGS.networks:
        results += sizes(network)
        for signature, batch in (('serving_default', 1), ('serve_bytes', 1), ('serving_default', FLAGS.batch)):
            results += measured(network, signature, batch)
        print(timing.markdown(results, {'ratio': 'times float32'}), flush=True)
    timing.report(results, FLAGS.output_json, {'ratio': 'times float32'})


if __name__ == '__main__':
    command.run('benchmarks.served', main, ROWS)
