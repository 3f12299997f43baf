"""Whether an ImageNet run is on course: its validation accuracy by epoch beside two published runs.

    python -m alexnet_tf.compare_curve runs/imagenet --output=curve.png

reads metrics.jsonl and flags.json of a training folder, prints a table and a sentence, and draws the curve (with
matplotlib, where that is installed).
"""
import math
import os
import re

import numpy as np
from absl import flags

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.files import reading, writing
from alexnet_tf.model import specs
from alexnet_tf.run_folder import metrics, settings

FLAGS = flags.FLAGS
IMAGENET_IMAGES = 1_281_167  # training images of ILSVRC-2012
CHANCE = 0.1  # %, of 1000 classes

ROWS = (
    Flag('train_dir', str, 'runs/alexnet', 'Folder of a training run; may be given without the name.'),
    Flag('num_examples', int, IMAGENET_IMAGES, 'Training images. Default: those of ILSVRC-2012.', 1),
    Flag('batch_size', int, None, "Examples per step. Default: as the run's flags.json says.", 1),
    Flag('output', str, None, "File for the picture; '' for none. Default: curve.png in train_dir.", may_be_empty=True),
)

# CaffeNet with LRN on ILSVRC-2012, one crop an image: (thousands of iterations, top-1 in %). Read from the test lines
# of the public log logs/caffenet256_lrn.log in github.com/ducha-aiki/caffenet-benchmark, thinned out from 61 points;
# those left out lie within 1 point of the straight lines. Batch 256, rate 0.01 cut by ten every 100,000 iterations,
# crops of 224, no color noise, He's initial weights. The log ends after iteration 305,000.
CAFFENET = (
    (0, CHANCE), (5, 12.65), (10, 22.04), (15, 27.83), (20, 30.78), (25, 34.67), (30, 36.39), (40, 37.41),
    (50, 39.50), (60, 41.26), (70, 42.22), (80, 42.27), (100, 43.64), (105, 50.76), (110, 51.55), (120, 52.59),
    (140, 53.41), (160, 53.96), (180, 54.33), (200, 54.41), (205, 55.86), (220, 56.14), (250, 56.21), (280, 56.48),
    (305, 56.51))
EPOCHS_PER_1000 = 1000 * 256 / IMAGENET_IMAGES
CAFFENET_CUTS = tuple(thousands * EPOCHS_PER_1000 for thousands in (100, 200, 300))

# The original program of 2012, log of its network 145: epochs at which the rate was cut, the epoch at which it was
# stopped, and 40.66 % top-1 error on the validation images by ten views.
PROGRAM_CUTS, PROGRAM_END, PROGRAM_TEN_VIEWS = (25, 51, 79), 91, 59.34
# What ten views are worth: 39.0 - 37.5, the paper's top-1 errors on ILSVRC-2010 by the center alone and by ten views.
TEN_VIEWS_GAIN = 1.5
PROGRAM_CENTRE = PROGRAM_TEN_VIEWS - TEN_VIEWS_GAIN

# Points by which the range is widened on both sides: more than the 1 by which that run's validations scatter, since
# another seed, batch size or initial values move a curve too.
SPREAD = 1.5


def caffenet(epoch):
    """CaffeNet's top-1 in % at an epoch, on straight lines between CAFFENET's points; the last one after them."""
    thousands, top_1 = zip(*CAFFENET)
    return float(np.interp(epoch / EPOCHS_PER_1000, thousands, top_1))


def caffenet_with_program_cuts(epoch):
    """The same, had its rate been cut when the original program's was: an estimate, nobody's measurement.

    Between two cuts the curve follows CaffeNet's since the corresponding cut, and waits where that was cut earlier.
    """
    cuts = sum(epoch >= cut for cut in PROGRAM_CUTS)
    starts, ends = (0, *CAFFENET_CUTS), (*CAFFENET_CUTS, math.inf)
    since = epoch - (0, *PROGRAM_CUTS)[cuts]
    return caffenet(min(starts[cuts] + since, ends[cuts]))


def to_the_end(epoch):
    """CaffeNet's top-1 in %; after its last point a straight line to the original program's end, one view."""
    last = CAFFENET[-1][0] * EPOCHS_PER_1000
    return caffenet(epoch) if epoch <= last else float(
        np.interp(epoch, (last, PROGRAM_END), (CAFFENET[-1][1], PROGRAM_CENTRE)))


def expected(epoch):
    """(lowest, highest) top-1 in % that is on course at an epoch, by one view."""
    curves = caffenet_with_program_cuts(epoch), to_the_end(epoch)
    return max(0.0, min(curves) - SPREAD), max(curves) + SPREAD


def verdict(epoch, top_1):
    """'on course', '1.2 behind' or '1.2 ahead': points (%) outside the range that is expected."""
    low, high = expected(epoch)
    if top_1 < low:
        return f'{low - top_1:.1f} behind'
    return f'{top_1 - high:.1f} ahead' if top_1 > high else 'on course'


def read_run(train_dir, *, num_examples=IMAGENET_IMAGES, batch_size=None):
    """([(epoch, top-1 in %)] of the validations, [epoch] at which the learning rate was cut to half or less).

    Args:
      num_examples: training images. batch_size: examples per step; None: as flags.json says.

    Raises: ValueError for a folder that is not of an ImageNet run with validations, and for damaged files.
    """
    if not os.path.exists(os.path.join(train_dir, metrics.METRICS_FILE)):
        raise ValueError(f'{train_dir!r} has no {metrics.METRICS_FILE}; give the --train_dir of a training run, which '
                         'writes one from its first step on.')
    spec = specs.read_spec(train_dir)
    if spec and spec.num_classes not in (1000, 1001):  # 1001: with slim's background
        raise ValueError(f'the run in {train_dir!r} has {spec.num_classes} classes; the runs to compare with are of '
                         "ImageNet's 1000. Give the folder of an ImageNet run.")
    batch_size = batch_size or (settings.read(train_dir) or {}).get('batch_size')
    if not reading.is_count(batch_size) or not batch_size:
        raise ValueError(f'{train_dir!r} has no flags.json with a batch_size; give the examples per step with '
                         '--batch_size.')
    rows = metrics.read(train_dir, {'train': 'learning_rate', 'validation': 'accuracy'})
    epochs_per_step = batch_size / num_examples
    points = [(row['step'] * epochs_per_step, 100 * row['accuracy']) for row in rows if row['kind'] == 'validation']
    if not points:
        raise ValueError(f'{train_dir!r} has no validation yet; the first comes after an epoch, or after '
                         '--validate_every_n_steps, and none with --validation_split_name= (empty).')
    return points, [step * epochs_per_step for step, _, _ in metrics.rate_drops(rows)]


def table(points):
    """Lines: epoch, top-1, range expected, verdict; the last validation of every epoch."""
    chosen = {math.ceil(epoch - 0.01): (epoch, top_1) for epoch, top_1 in points}  # a step is not quite an epoch's end
    lines = ['epoch   yours   expected top-1']
    for epoch, top_1 in chosen.values():
        low, high = expected(epoch)
        lines.append(f'{epoch:5.1f}  {top_1:5.1f} %  {low:4.1f} to {high:4.1f} %  {verdict(epoch, top_1)}')
    return lines


def judgement(points, cuts):
    """The last validation in words, with the likeliest reason where it is behind."""
    epoch, top_1 = points[-1]
    low, high = expected(epoch)
    start = f'After {epoch:.1f} epochs: {top_1:.1f} % top-1, where {low:.1f} to {high:.1f} % are expected'
    start += ': ' + re.sub(r'^([\d.]+)', r'\1 points', verdict(epoch, top_1)) + '.'
    if top_1 >= low:
        return start
    due = sum(cut <= epoch for cut in PROGRAM_CUTS)
    if top_1 < 10 * CHANCE:
        return (f'{start} That is hardly more than chance ({CHANCE} %): the loss stays flat, as it can with '
                '--hidden_bias=1 (so --recipe=paper and source); start another run with --hidden_bias=0.1.')
    if len(cuts) < due:
        return (f'{start} Its learning rate was cut {len(cuts)} times, that of the run of 2012 {due} times by then; '
                'look again after the next cut.')
    if epoch < 5:
        return f'{start} The first epochs depend on initial values and batch size; look again at epoch 5.'
    return f'{start} Compare flags.json with docs/imagenet.md.'


def draw(points, path):
    """Writes a picture of the run's curve over the references'. Returns whether matplotlib is there.

    Raises: ValueError for a kind of file that matplotlib does not write; OSError.
    """
    try:
        from matplotlib.figure import Figure  # optional; without pyplot no display is needed
    except ImportError:
        return False
    axes = Figure(figsize=(8, 5), dpi=110, layout='constrained').subplots()
    epochs = np.arange(0, PROGRAM_END + 0.1, 0.1)
    low, high = zip(*map(expected, epochs))
    axes.fill_between(epochs, low, high, color='0.9', label='expected')
    logged = epochs[epochs <= CAFFENET[-1][0] * EPOCHS_PER_1000]
    axes.plot(logged, [caffenet(epoch) for epoch in logged], color='0.3', label='CaffeNet with LRN')
    axes.plot(epochs, [caffenet_with_program_cuts(epoch) for epoch in epochs], '--', color='0.5',
              label='the same, cut at epochs ' + ', '.join(map(str, PROGRAM_CUTS)) + ' (estimate)')
    axes.plot([PROGRAM_END], [PROGRAM_CENTRE], '*', color='0.3', markersize=12,
              label=f'2012 program: {PROGRAM_TEN_VIEWS} % by ten views, about {PROGRAM_CENTRE:.1f} % by one')
    axes.plot(*zip(*points), 'o-', markersize=3, color='tab:blue', label=f'this run: {points[-1][1]:.1f} %')
    axes.set(xlabel='epoch', ylabel='top-1 on the validation images, one view, %',
             xlim=(0, max(PROGRAM_END + 1, points[-1][0])), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    try:
        axes.figure.savefig(path)
    except ValueError as error:
        raise ValueError(f'cannot draw --output={path}: {error}') from error
    return True


def main():
    path = os.path.join(FLAGS.train_dir, 'curve.png') if FLAGS.output is None else FLAGS.output
    if path and (os.path.isdir(path) or not os.path.splitext(path)[1]):
        raise ValueError(f'--output={path} must be the name of a picture, as curve.png or curve.svg.')
    if FLAGS.output:
        writing.check_writable(os.path.dirname(path) or '.', 'output')
    points, cuts = read_run(FLAGS.train_dir, num_examples=FLAGS.num_examples, batch_size=FLAGS.batch_size)
    print('\n'.join(table(points)))
    own, caffenet_cuts = (', '.join(f'{epoch:.1f}' for epoch in epochs) for epochs in (cuts, CAFFENET_CUTS))
    print(f'Learning rate cut at epochs: {own or "none yet"}; CaffeNet {caffenet_cuts}; the program of 2012 '
          f'{", ".join(map(str, PROGRAM_CUTS))}.')
    print(judgement(points, cuts))
    print(f'The program of 2012 ended at epoch {PROGRAM_END} with {PROGRAM_TEN_VIEWS} % by ten views '
          f'(eval_image_classifier.py --views=10), about {PROGRAM_CENTRE:.1f} % by one, as validated here.')
    if path:
        print(f'The curve is in {path}.' if draw(points, path) else
              'No picture: matplotlib is not installed; pip install matplotlib')


def cli():
    command.run('compare_curve', main, ROWS, 'train_dir')


if __name__ == '__main__':
    cli()
