"""What each of the paper's ideas is worth: trains AlexNet without one of them, on equal seeds and epochs.

    python -m alexnet_tf.ablate --dataset_dir=records --output_dir=runs/ablations

Each variant is a changed table or a changed recipe. Writes table.md, curves.png (with matplotlib) and results.json.
Killed and started again it goes on where it stopped.
"""
import dataclasses
import os
import statistics

import numpy as np
import tensorflow as tf
import tf_keras
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.data.batches import evaluation_batches, training_batches
from alexnet_tf.data.color_noise import color_noise
from alexnet_tf.files import reading, writing
from alexnet_tf.model import building, evaluation, precision
from alexnet_tf.run_folder import metrics
from alexnet_tf.training import loop, optimizers, schedules
from alexnet_tf.training.start import restore
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from nets import alexnet, rows

FLAGS = flags.FLAGS
ROWS = (
    Flag('dataset_dir', str, None, 'Folder with TFRecords, splits train and validation. Default: the sample.'),
    Flag('output_dir', str, 'runs/ablations', 'Folder for checkpoints, table.md, curves.png and results.json.'),
    Flag('epochs', float, 10.0, 'Epochs of every run.', 0.1),
    Flag('seeds', list, ['0', '1'], 'One run for each seed and variant.', valid=(
        lambda seeds: seeds and all(seed.isdecimal() and len(seed) < 11 and int(seed) < 2 ** 32 for seed in seeds),
        'must be numbers from 0 to 4294967295, as 0,1')),
    Flag('width', float, 1.0, "Share of the paper's kernels in every layer.", 0.01, 1),
    Flag('batch_size', int, 128, 'Images a step.', 1),
    Flag('learning_rate', float, 0.01, 'Learning rate, divided by 10 after 70 % and 90 % of the epochs.', 0),
    Flag('precision', str, 'auto', 'Arithmetic; variables are always float32.',
         choices=('float32', 'bfloat16', 'auto')),
    Flag('only', list, [], 'Names of variants, as alexnet,tanh. Default: all.'),
)
SIZE = 224


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network and recipe to train. table: rows; the rest as in training; paper: what the paper says of it."""
    name: str
    table: tuple
    paper: str
    keep_prob: float = 0.5
    color_noise: float = 0.1
    augment: bool = True


def narrowed(table, width):
    """The table with that share of the kernels in every layer (a multiple of 2: there are two groups).

    Initial standard deviations are divided by the root of the share, so that signals start as strong.
    """
    def narrow(row):
        if not isinstance(row, rows.Conv):
            return row
        init = row.init and dataclasses.replace(row.init, stddev=row.init.stddev / width ** 0.5)
        return dataclasses.replace(row, init=init, filters=row.filters and max(2, 2 * round(row.filters * width / 2)))
    return tuple(map(narrow, table))


def with_tanh(table):
    """tanh in place of every ReLU."""
    return rows.changed(table, **{
        row.name: (dataclasses.replace(row, relu=False), rows.Activation(f'{row.name}_tanh', 'tanh'))
        for row in table if isinstance(row, rows.Conv) and row.relu})


def without_lrn(table):
    return tuple(row for row in table if not isinstance(row, rows.LRN))


def with_separate_pools(table):
    """2 x 2 windows, 2 apart, in place of 3 x 3; the maps' sizes stay."""
    return rows.changed(table, **{row.name: {'size': 2} for row in table if isinstance(row, rows.MaxPool)})


def one_tower(table):
    """One tower with half the kernels in conv1 to conv4; conv5 and above as before (the paper's footnote 2)."""
    halved = ('conv1', 'conv2', 'conv3', 'conv4')
    return rows.changed(table, **{
        row.name: {'groups': 1, 'filters': row.filters // 2 if row.name in halved else row.filters}
        for row in table if isinstance(row, rows.Conv)})


def variants(width):
    """All of them, the network of the paper first."""
    base = narrowed(alexnet.ALEXNET, width)
    return (
        Variant('alexnet', base, ''),
        Variant('tanh', with_tanh(base), '3.1: six times as many epochs to 25 % training error (CIFAR-10, 4 layers)'),
        Variant('no LRN', without_lrn(base), '3.3: 1.4 / 1.2 points worse'),
        Variant('2x2 pooling', with_separate_pools(base), '3.4: 0.4 / 0.3 points worse'),
        Variant('one half-size tower', one_tower(base), '3.2: 1.7 / 1.2 points worse'),
        Variant('no dropout', base, '4.2: substantial overfitting; half as many epochs to converge', keep_prob=1.0),
        Variant('no colour noise', base, '4.1: over 1 point worse (top-1)', color_noise=0.0),
        Variant('no crops or mirrors', base, '4.1: substantial overfitting', augment=False),
    )


def train_variant(variant, seed, dataset, validation, folder):
    """Trains one variant from one seed; returns its row of results.json."""
    tf_keras.backend.clear_session()
    building.set_seed(seed)
    model = alexnet.from_table(variant.table, dataset.num_classes, dropout_keep_prob=variant.keep_prob,
                               dtype=precision.choose(FLAGS.precision)[0], name='alexnet')
    state = State(model, optimizers.make('momentum'))
    restore(state, folder)
    mean = np.array(dataset.info.get('mean_rgb', preprocessing.IMAGENET_MEAN_RGB), np.float32)
    step = make_train_step(state, tf.distribute.get_strategy(), batch_size=FLAGS.batch_size, mean=mean,
                                    seed=seed, noise=color_noise(dataset.info, scale=variant.color_noise))
    per_epoch = len(dataset) / FLAGS.batch_size
    squares, learned = (evaluation_batches(split, batch_size=100, image_size=SIZE)
                        for split in (validation, dataset))
    one, ten = (evaluation.make_eval_step([(model, mean, SIZE)], num_views=views) for views in (1, 10))

    def schedule(number):
        return schedules.Settings(schedules.learning_rate(
            number, decay_type='piecewise', base=FLAGS.learning_rate, steps_per_epoch=per_epoch,
            boundaries=(0.7 * FLAGS.epochs, 0.9 * FLAGS.epochs)))
    result = loop.train(
        state, step, lambda start: training_batches(dataset, seed=seed, batch_size=FLAGS.batch_size,
                                                         start_step=start, image_size=SIZE, augment=variant.augment),
        train_dir=folder, schedule=schedule, pace=loop.Pace(
            max_steps=max(1, round(FLAGS.epochs * per_epoch)), batch_size=FLAGS.batch_size, num_examples=len(dataset),
            log_every=max(1, round(per_epoch / 2)), validate_every=max(1, round(per_epoch))),
        validate=lambda: evaluation.evaluate(one, squares, len(validation))[0])
    result = result or evaluation.evaluate(one, squares, len(validation))[0]
    ten_views = evaluation.evaluate(ten, squares, len(validation))[0]
    # Of training images as they are at test, so that dropout and augmentation don't make variants unlike.
    fitted = evaluation.evaluate(one, learned, len(dataset), max_num_batches=10)[0]
    return {'variant': variant.name, 'seed': seed, 'parameters': model.count_params(),
            'top_1': 100 * result.accuracy, 'top_5': 100 * result.recall_5, 'ten_views': 100 * ten_views.accuracy,
            'train_loss': fitted.loss, 'validation_loss': result.loss,
            'curve': [[row['step'] / per_epoch, 100 * row['accuracy']] for row in metrics.read(folder)
                      if row['kind'] == 'validation']}


def table(results):
    """A Markdown table: mean over seeds, and range; differences are taken seed by seed.

    Losses are without dropout and augmentation, of up to 1,000 training images and of all validation images.
    """
    base = {row['seed']: row for row in results if row['variant'] == 'alexnet'}
    lines = ['| | parameters | top-1, one view, % | difference, points | ten views, % | loss on training images | '
             'on validation images | the paper |',
             '|---|---|---|---|---|---|---|---|']
    for name in dict.fromkeys(row['variant'] for row in results):
        chosen = [row for row in results if row['variant'] == name]
        differences = [row['top_1'] - base[row['seed']]['top_1'] for row in chosen if row['seed'] in base]
        paper = next((variant.paper for variant in variants(1.0) if variant.name == name), '')
        lines.append(
            f'| {name} | {chosen[0]["parameters"]:,} | {spread([row["top_1"] for row in chosen])} | '
            + ('' if name == 'alexnet' else spread(differences, '+.1f'))
            + f' | {spread([row["ten_views"] for row in chosen])} | '
            f'{spread([row["train_loss"] for row in chosen], ".2f")} | '
            f'{spread([row["validation_loss"] for row in chosen], ".2f")} | {paper} |')
    gains = [row['ten_views'] - row['top_1'] for row in results]
    lines.append(f'| ten views in place of one, all runs | | | {spread(gains, "+.1f")} | | | | 39.0 to 37.5 % error, '
                 '1.5 points (ILSVRC-2010) |')
    return '\n'.join(lines) + '\n'


def spread(values, form='.1f'):
    """'mean (lowest to highest)'."""
    if not values:
        return ''
    mean, low, high = statistics.fmean(values), min(values), max(values)
    return f'{mean:{form}} ({low:{form}} to {high:{form}})' if len(values) > 1 else f'{mean:{form}}'


def draw(results, path):
    """Top-1 by epoch, the mean over seeds of each variant, their range shaded. False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 5), dpi=110)
    axes = figure.add_subplot(xlabel='epoch', ylabel='top-1, one view, %')
    for name in dict.fromkeys(row['variant'] for row in results):
        curves = np.array([row['curve'] for row in results if row['variant'] == name])
        epochs, values = curves[0, :, 0], curves[:, :, 1]
        line, = axes.plot(epochs, values.mean(0), lw=2.4 if name == 'alexnet' else 1.2,
                          label=f'{name}: {values[:, -1].mean():.1f}')
        axes.fill_between(epochs, values.min(0), values.max(0), alpha=0.12, color=line.get_color())
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right', fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    return True


def main():
    writing.check_writable(FLAGS.output_dir, 'output_dir')
    seeds = [int(seed) for seed in FLAGS.seeds]
    dataset = datasets.open_dataset(FLAGS.dataset_dir or datasets.SAMPLE_DIR, 'train')
    validation = datasets.open_dataset(FLAGS.dataset_dir or datasets.SAMPLE_DIR, 'validation')
    path = os.path.join(FLAGS.output_dir, 'results.json')
    settings = {name: FLAGS[name].value for name in ('epochs', 'width', 'batch_size', 'learning_rate', 'dataset_dir')}
    settings['precision'] = precision.choose(FLAGS.precision)[0]
    known = reading.read_json(path)
    if known is None:
        known = {'settings': settings, 'results': []}
    if known.get('settings') != settings:
        raise ValueError(f'{path} is of other settings: {known.get("settings")}; choose another --output_dir.')
    reading.check_fields(known, {'results': (lambda rows: isinstance(rows, list), 'a list of runs', True)}, path)
    results = known['results']
    chosen = [variant for variant in variants(FLAGS.width) if not FLAGS.only or variant.name in FLAGS.only]
    unknown = set(FLAGS.only) - {variant.name for variant in chosen}
    if unknown:
        raise ValueError(f'--only has {", ".join(sorted(unknown))}; there are '
                         f'{", ".join(variant.name for variant in variants(1.0))}.')
    writing.write_json(path, known)
    runs = [(variant, seed) for seed in seeds for variant in chosen]
    for number, (variant, seed) in enumerate(runs, 1):
        if any((row['variant'], row['seed']) == (variant.name, seed) for row in results):
            continue
        print(f'Run {number} of {len(runs)}: {variant.name}, seed {seed}')
        folder = os.path.join(FLAGS.output_dir, f'{variant.name.replace(" ", "_")}-{seed}')
        results.append(train_variant(variant, seed, dataset, validation, folder))
        writing.write_json(path, known)
    text = table(results)
    with open(os.path.join(FLAGS.output_dir, 'table.md'), 'w', encoding='utf-8') as file:
        file.write(text)
    print(text, end='')
    drawn = draw(results, os.path.join(FLAGS.output_dir, 'curves.png'))
    print(f'{len(results)} runs; table.md, results.json{" and curves.png" if drawn else ""} are in {FLAGS.output_dir}.'
          + ('' if drawn else ' For curves.png: pip install matplotlib, and the same command again.'))


if __name__ == '__main__':
    command.run('ablate', main, ROWS)
