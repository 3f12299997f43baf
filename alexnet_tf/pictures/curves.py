"""Learning curves of training runs, from their metrics.jsonl."""
import dataclasses
import os
import re

from alexnet_tf.files import reading
from alexnet_tf.pictures import figures
from alexnet_tf.run_folder import metrics, settings

MARKERS = 'os^Dvp'


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run's metrics.jsonl says. In all pairs the first is the epoch, or the step where epochs are not known.

    losses: of training. validation_losses. accuracies: (epoch, top-1 in %). drops: (epoch, rate before, rate after)
    where the learning rate fell to half or less.
    """
    name: str
    in_epochs: bool
    losses: list
    validation_losses: list
    accuracies: list
    drops: list


def read(folder):
    """The Run in a training folder. Raises: ValueError for a folder without one, and for damaged files."""
    rows = metrics.read(folder, {'train': 'learning_rate', 'validation': 'accuracy'})
    if not rows:
        raise ValueError(f'{folder!r} has no {metrics.METRICS_FILE}; give the --train_dir of a training run, which '
                         'writes one from its first step on.')
    steps = _steps_per_epoch(settings.read(folder) or {})
    found = {kind: [row for row in rows if row['kind'] == kind] for kind in ('train', 'validation')}

    def points(kind, value, factor=1):
        return [(row['step'] / (steps or 1), factor * row[value]) for row in found[kind]
                if reading.is_number(row.get(value))]
    drops = [(step / (steps or 1), before, after) for step, before, after in metrics.rate_drops(rows)]
    return Run(figures.name(os.path.basename(os.path.abspath(folder))), steps is not None, points('train', 'loss'),
               points('validation', 'loss'), points('validation', 'accuracy', 100), drops)


def _steps_per_epoch(values):
    """Steps of an epoch by flags.json; None: it does not say."""
    images, size = re.match(r'([1-9]\d*) records ', str(values.get('dataset'))), values.get('batch_size')
    return int(images[1]) / size if images and reading.is_count(size) and size else None


def draw(runs):
    """A Figure: losses above, top-1 below; vertical lines where a run's rate fell."""
    in_epochs = all(run.in_epochs for run in runs)
    if not in_epochs and any(run.in_epochs for run in runs):
        raise ValueError('some of the runs have a flags.json that tells how long an epoch is, and some have none; draw '
                         'them apart.')
    figure = figures.new(6, layout='constrained')
    above, below = figure.subplots(2, sharex=True)
    for number, run in enumerate(runs):
        look = {'color': figures.COLORS[number % len(figures.COLORS)]}
        marks = {'marker': MARKERS[number % len(MARKERS)], 'ms': 4}
        alone = marks if len(run.losses) == 1 else {}  # a line of one point cannot be seen
        above.plot(*_across(run.losses), **alone, lw=0.9, alpha=0.75, label=f'{run.name}: training', **look)
        if run.accuracies:
            above.plot(*_across(run.validation_losses), lw=1.5, label=f'{run.name}: validation', **marks, **look)
            last, best = run.accuracies[-1][1], max(value for _, value in run.accuracies)
            below.plot(*_across(run.accuracies), lw=1.5, label=f'{run.name}: {last:.1f} % (best {best:.1f} %)', **marks,
                       **look)
        for place, before, after in run.drops:
            for axes in (above, below):
                axes.axvline(place, ls=(number, (2, 3)), lw=1.1, **look)
            above.annotate(f'{before:g} → {after:g}', (place, 1), xycoords=('data', 'axes fraction'), rotation=90,
                           xytext=(-2, -3), textcoords='offset points', va='top', ha='right', size=7.5, **look)
    across = 'epoch' if in_epochs else 'step'
    dropped = any(run.drops for run in runs)
    above.set(ylabel='loss')
    below.locator_params('x', integer=True)
    below.set(xlabel=f'{across} (dotted: the first log line with a lower learning rate)' if dropped else across,
              xlim=(0, None), ylabel='top-1 on validation images, %')
    figure.align_ylabels()
    for axes in (above, below):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=2, frameon=False)  # above, where no curve is
    return figure


def _across(points):
    return ([point[0] for point in points], [point[1] for point in points])
