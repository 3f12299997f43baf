"""The results of ablations as a table and as a picture."""
import statistics

import numpy as np

from alexnet_tf.ablation.variants import variants


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
