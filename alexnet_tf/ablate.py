"""What each of the paper's ideas is worth: trains AlexNet without one of them, on equal seeds and epochs.

    python -m alexnet_tf.ablate --dataset_dir=records --output_dir=runs/ablations

Each variant is a changed table or a changed recipe. Writes table.md, curves.png (with matplotlib) and results.json.
Killed and started again it goes on where it stopped.
"""
import os

from absl import flags

from alexnet_tf.console import command, flag_table
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places, reading, writing

FLAGS = flags.FLAGS
SETTINGS = ('epochs', 'width', 'batch_size', 'learning_rate', 'dataset_dir')  # equal for all runs of a folder
ROWS = (
    Flag('dataset_dir', str, None, 'Folder with TFRecords, splits train and validation. Default: the sample.',
         check_path=places.check_records),
    Flag('output_dir', str, 'runs/ablations', 'Folder for checkpoints, table.md, curves.png and results.json.'),
    Flag('epochs', float, 10.0, 'Epochs of every run.', 0.1),
    Flag('seeds', list, ['0', '1'], 'One run for each seed and variant.', valid=(
        lambda seeds: seeds and all(seed.isdecimal() and len(seed) < 11 and int(seed) < 2 ** 32 for seed in seeds),
        'must be numbers from 0 to 4294967295, as 0,1')),
    Flag('width', float, 1.0, "Share of the paper's kernels in every layer.", 0.01, 1),
    Flag('batch_size', int, 128, 'Images per step.', 1),
    Flag('learning_rate', float, 0.01, 'Learning rate, divided by 10 after 70 % and 90 % of the epochs.', 0),
    Flag('precision', str, 'auto', 'Arithmetic; variables are always float32.',
         choices=('float32', 'bfloat16', 'auto')),
    Flag('only', list, [], 'Names of variants, as alexnet,tanh. Default: all.'),
)


def main():
    flag_table.check_paths(ROWS)
    writing.check_writable(FLAGS.output_dir, 'output_dir')
    load_tensorflow()
    from alexnet_tf.ablation import report
    from alexnet_tf.ablation.variants import variants
    from alexnet_tf.data import datasets
    from alexnet_tf.model import precision
    from alexnet_tf.run_folder import lock
    FLAGS.dataset_dir = FLAGS.dataset_dir or datasets.SAMPLE_DIR
    dtype = precision.choose(FLAGS.precision)[0]
    splits = [datasets.open_dataset(FLAGS.dataset_dir, split) for split in ('train', 'validation')]
    everything = variants(FLAGS.width)
    unknown = set(FLAGS.only) - {variant.name for variant in everything}
    if unknown:
        raise ValueError(f'--only has {", ".join(sorted(unknown))}; there are '
                         f'{", ".join(variant.name for variant in everything)}.')
    with lock.hold(FLAGS.output_dir, 'output_dir'):  # another one would write over its results
        known = read_results(dtype)
        train_missing([variant for variant in everything if not FLAGS.only or variant.name in FLAGS.only], splits,
                      known)
    results = known['results']
    text = report.table(results)
    writing.write_text(os.path.join(FLAGS.output_dir, 'table.md'), text)
    print(text, end='')
    drawn = report.draw(results, os.path.join(FLAGS.output_dir, 'curves.png'))
    print(f'{len(results)} runs; table.md, results.json{" and curves.png" if drawn else ""} are in {FLAGS.output_dir}.'
          + ('' if drawn else ' For curves.png: pip install matplotlib, and the same command again.'))


def read_results(dtype):
    """What results.json holds, or its beginning. Raises: ValueError when it is damaged or of other settings."""
    path = os.path.join(FLAGS.output_dir, 'results.json')
    settings = {name: FLAGS[name].value for name in SETTINGS} | {'precision': dtype}
    known = reading.read_json(path)
    if known is None:
        return {'settings': settings, 'results': []}
    if known.get('settings') != settings:
        raise ValueError(f'{path} is of other settings: {known.get("settings")}; choose another --output_dir.')
    reading.check_fields(known, {'results': (lambda rows: isinstance(rows, list), 'a list of runs', True)}, path)
    return known


def train_missing(variants, splits, known):
    """Trains what results.json has not yet, and writes it after each run."""
    from alexnet_tf.ablation.trial import train_variant
    path = os.path.join(FLAGS.output_dir, 'results.json')
    writing.write_json(path, known)
    runs = [(variant, int(seed)) for seed in FLAGS.seeds for variant in variants]
    for number, (variant, seed) in enumerate(runs, 1):
        if any((row['variant'], row['seed']) == (variant.name, seed) for row in known['results']):
            continue
        print(f'Run {number} of {len(runs)}: {variant.name}, seed {seed}')
        folder = os.path.join(FLAGS.output_dir, f'{variant.name.replace(" ", "_")}-{seed}')
        known['results'].append(train_variant(
            variant, seed, *splits, folder=folder, epochs=FLAGS.epochs, batch_size=FLAGS.batch_size,
            learning_rate=FLAGS.learning_rate, dtype=known['settings']['precision']))
        writing.write_json(path, known)


def cli():
    command.run('ablate', main, ROWS)


if __name__ == '__main__':
    cli()
