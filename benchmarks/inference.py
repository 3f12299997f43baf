"""Inference: the exported SavedModel and the Keras model beside tf_slim, PyTorch, onnxruntime and OpenVINO.

    python -m benchmarks.inference --output_json=inference.json

All have the same weights and as many threads as there are cores, and take turns, each in a process of its own. Images
are float32 in memory; the mean is subtracted inside. Throughput by batch; of one image, the latency's median and 90th
percentile beside the time to read the weights once. A peer that cannot be had, or dies, says so in its row.
"""
import dataclasses
import statistics

from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from benchmarks import timing, turns, yardsticks
from benchmarks.train_step import COMPILED, EAGER, SLIM

FLAGS = flags.FLAGS
ROWS = (
    Flag('networks', list, ['alexnet_v2', 'alexnet'], 'Networks.'),
    Flag('dtypes', list, ['float32', 'bfloat16'], 'Arithmetic.'),
    Flag('batches', list, ['1', '8', '128'], 'Images at once.'),
    Flag('repetitions', int, 7, 'Turns of each peer after the warm-up; 20 images a turn at batch 1.', low=1),
    Flag('output_json', str, None, 'File for machine, versions and rows.'),
)
EXPORTED = 'alexnet_tf exported'
OUTLIER = 5  # times the others' median latency
DIFFERENCE = {'float32': 1e-3, 'bfloat16': 0.1}  # of the largest logit; more is another network


def makers(network, dtype, batch):
    """{peer: what turns.measure takes}."""
    from benchmarks import networks
    layers, common = networks.layers(network), {'dtype': dtype, 'batch': batch}
    found = {EXPORTED: ('benchmarks.ours.exported', {'network': network, **common}),
             'alexnet_tf Keras': ('benchmarks.ours.keras_model', {'network': network, **common}),
             EAGER: ('benchmarks.torch_peers.inference', {'layers': layers, **common, 'compiled': False}),
             COMPILED: ('benchmarks.torch_peers.inference', {'layers': layers, **common, 'compiled': True}),
             'onnxruntime (float32)': ('benchmarks.onnx_peers.onnxruntime', {'layers': layers, 'batch': batch}),
             'openvino': ('benchmarks.onnx_peers.openvino', {'layers': layers, **common})}
    if network == 'alexnet_v2':
        found[SLIM] = ('benchmarks.tensorflow_peers.slim', {'batch': batch, 'training': False})
    return found


def latencies(network, dtype):
    """Rows of one image: p50 as median, p90 as the highest."""
    from benchmarks import networks
    runs = makers(network, dtype, 1)
    runs[yardsticks.READING] = ('benchmarks.yardsticks.reading', {'layers': networks.layers(network), 'dtype': dtype})
    turn = {'repetitions': FLAGS.repetitions, 'times': 20}
    outcomes = turns.measure(runs, **turn)
    again = outliers(outcomes)
    if again:
        print(f'measured again, since {OUTLIER} times as slow as the others: {", ".join(again)}')
        outcomes |= turns.measure({peer: runs[peer] for peer in again}, **turn)
    ours, found = statistics.median(outcomes[EXPORTED].seconds or [0]), []
    for peer, outcome in outcomes.items():
        name, milliseconds = f'one image, {network}, p50; lowest to p90', [1e3 * value for value in outcome.seconds]
        found.append(timing.failed(name, peer, dtype, 1, outcome) or dataclasses.replace(
            timing.row(name, peer, dtype, 1, 'ms', milliseconds),
            high=statistics.quantiles(milliseconds, n=10)[-1],
            ratio=statistics.median(outcome.seconds) / ours if ours and peer != EXPORTED else None))
    return found, outcomes


def outliers(outcomes):
    """Peers whose median is OUTLIER times that of the others together."""
    medians = {peer: statistics.median(outcome.seconds) for peer, outcome in outcomes.items() if outcome.seconds}
    return [peer for peer, median in medians.items() if len(medians) > 2 and median > OUTLIER * statistics.median(
        value for other, value in medians.items() if other != peer)]


def throughputs(network, dtype, batch):
    """Rows of images/s, and of the matrix product."""
    from benchmarks import networks
    runs = makers(network, dtype, batch)
    product = {yardsticks.PRODUCT: ('benchmarks.yardsticks.product', {'dtype': dtype})}
    outcomes = turns.measure({**runs, **product}, repetitions=FLAGS.repetitions, warmup=2)
    product = timing.product_row(outcomes.pop(yardsticks.PRODUCT), dtype, yardsticks.PRODUCT_SIZE)
    ceiling = 1e9 * product.median / networks.flops(network, training=False) if product.median else None
    rates = timing.rates(f'infer {network}', dtype, batch, outcomes, ours=EXPORTED, ceiling=ceiling)
    return [*rates, product], outcomes


def compare_logits(outcomes, dtype):
    """Says which peers computed another network than the exported one. tf_slim draws weights of its own."""
    expected = outcomes[EXPORTED].first
    for peer, outcome in outcomes.items():
        if expected is not None and outcome.first is not None and peer not in (SLIM, yardsticks.READING):
            difference = abs(outcome.first - expected).max() / abs(expected).max()
            if difference > DIFFERENCE[dtype]:
                print(f'{peer}: its logits differ by {difference:.2g} of the largest from those of {EXPORTED}')


def main():
    results = []
    for network in FLAGS.networks:
        for dtype in FLAGS.dtypes:
            for batch in map(int, FLAGS.batches):
                rows, outcomes = latencies(network, dtype) if batch == 1 else throughputs(network, dtype, batch)
                print(timing.markdown(rows), flush=True)
                compare_logits(outcomes, dtype)
                results += rows
    timing.report(results, FLAGS.output_json)


if __name__ == '__main__':
    command.run('benchmarks.inference', main, ROWS)
