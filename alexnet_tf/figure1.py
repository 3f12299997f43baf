"""The paper's figure 1: a four-layer network with ReLU and with tanh, epochs until 25 % training error.

    python -m alexnet_tf.figure1 --dataset_dir=$HOME/tensorflow_datasets/cifar10

Learning rates race for each activation, an epoch at a time. One is dropped when another had a lower error, by 2 points,
after three quarters as many epochs. Writes figure1.png, figure1.csv and results.json. Killed and started again it goes
on where it stopped.
"""
import os

from absl import flags

from alexnet_tf.console import command, flag_table, signals
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places, reading, writing

FLAGS = flags.FLAGS
SETTINGS = ('dataset_dir', 'batch_size', 'seed')  # equal for all networks of a folder


def are_rates(rates):
    """Whether they are different numbers above 0."""
    try:
        return bool(rates) and all(0 < float(rate) < 1e9 for rate in rates) and (
            len(set(map(name_of, rates))) == len(rates))
    except ValueError:
        return False


def name_of(rate):
    """A rate as folders and results.json have it, whether it was written as 0.001, 1e-3 or .001."""
    return f'{float(rate):.12g}'


ROWS = (
    Flag('dataset_dir', str, None, 'Folder with TFRecords, split train: of tensorflow-datasets, or of build_tfrecords. '
         'Default: the sample that comes along.', check_path=places.check_records),
    Flag('output_dir', str, 'runs/figure1', 'Folder for checkpoints, figure1.png, figure1.csv and results.json.'),
    Flag('rates', list, ['0.0003', '0.001', '0.003', '0.01', '0.03'], 'Learning rates that race, for each activation.',
         valid=(are_rates, 'must be different numbers above 0, as 0.001,0.003')),
    Flag('max_epochs', int, 60, 'Epochs after which a network that has not reached 25 % is given up.', 1),
    Flag('batch_size', int, 128, 'Images per step.', 1),
    Flag('seed', int, 0, 'Seed of initial weights and of the order of images, the same for all networks.', 0,
         2 ** 32 - 1),
)


def main():
    from alexnet_tf.pictures import figures
    picture = os.path.join(FLAGS.output_dir, 'figure1.png')
    flag_table.check_paths(ROWS)
    writing.check_writable(FLAGS.output_dir, 'output_dir')
    figures.check(picture)
    load_tensorflow()
    from alexnet_tf.data import datasets
    from alexnet_tf.figure_one import examples, report
    from alexnet_tf.run_folder import lock
    with signals.noted('figure1') as notice, lock.hold(FLAGS.output_dir, 'output_dir'):
        FLAGS.dataset_dir = FLAGS.dataset_dir or datasets.SAMPLE_DIR
        known = read_results()
        images = examples.read(datasets.open_dataset(FLAGS.dataset_dir, 'train'))
        curves = run_races(images, known, notice)
    writing.write_text(os.path.join(FLAGS.output_dir, 'figure1.csv'), report.table(curves))
    with figures.style():
        figures.save(report.draw(curves, len(images)), picture)
    print(report.text(curves) + f'figure1.png, figure1.csv and results.json are in {FLAGS.output_dir}.')


def read_results():
    """What results.json holds, or its beginning. Raises: ValueError when it is damaged or of other settings."""
    path = os.path.join(FLAGS.output_dir, 'results.json')
    settings = {name: FLAGS[name].value for name in SETTINGS}
    known = reading.read_json(path) or {'settings': settings, 'curves': {}}
    if known.get('settings') != settings:
        raise ValueError(f'{path} is of other settings: {known.get("settings")}; choose another --output_dir.')
    reading.check_fields(known, {'curves': (are_curves, 'training errors by activation and rate', True)}, path)
    return known


def are_curves(curves):
    """Whether it is {activation: {rate: [percent, or at the end null]}}."""
    return isinstance(curves, dict) and all(
        isinstance(of_rates, dict) and all(
            isinstance(curve, list) and all(map(reading.is_number, curve[:-1]))
            and all(error is None or reading.is_number(error) for error in curve[-1:])
            for curve in of_rates.values()) for of_rates in curves.values())


def run_races(images, known, notice):
    """{activation: {rate: curve}} of the flags' rates. `known`, results.json, is written after each epoch."""
    from alexnet_tf.figure_one.networks import TABLES
    curves = {}
    for activation in TABLES:
        kept = known['curves'].setdefault(activation, {})
        curves[activation] = {rate: kept.setdefault(rate, []) for rate in map(name_of, FLAGS.rates)}
    for activation, of_rates in curves.items():
        run_race(activation, of_rates, images, notice,
                 keep=lambda: writing.write_json(os.path.join(FLAGS.output_dir, 'results.json'), known))
    return curves


def run_race(activation, curves, images, notice, keep):
    """Trains what the race of one activation still wants, and calls keep() after each epoch. curves: {rate: curve}."""
    from alexnet_tf.figure_one import race
    from alexnet_tf.figure_one.trial import Trial
    trials = {}
    while (rate := race.next_rate(curves, FLAGS.max_epochs)) is not None:
        if rate not in trials:
            trials[rate] = Trial(activation, float(rate), images, batch_size=FLAGS.batch_size, seed=FLAGS.seed,
                                 folder=os.path.join(FLAGS.output_dir, f'{activation}-{rate}'))
        dropped = {other for other in curves if race.faster(other, curves)}
        epoch = len(curves[rate]) + 1
        error = trials[rate].train_to(epoch, notice)
        curves[rate].append(error)
        keep()
        said = 'the loss is no longer finite' if error is None else f'{error:.1f} % training error'
        print(f'{activation}, rate {rate}, epoch {epoch} of at most {FLAGS.max_epochs}: {said}')
        for other in curves:
            if other not in dropped and None not in curves[other] and (by := race.faster(other, curves)):
                print(f'{activation}, rate {other} is dropped: rate {by} had a lower error after fewer epochs')


def cli():
    command.run('figure1', main, ROWS)


if __name__ == '__main__':
    cli()
