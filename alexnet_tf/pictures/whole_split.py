"""What a network got wrong in a whole split: the most confident mistakes, a confusion matrix, accuracy by class."""
import csv
import dataclasses
import io

import numpy as np

from alexnet_tf.pictures import figures, predictions

MISTAKES = 8
SHOWN = 20  # classes in a picture; of more, those with the lowest accuracy


@dataclasses.dataclass(frozen=True)
class Answers:
    """probabilities: float [images, classes]. labels: int [images]. class_names: in the order of the classes."""
    probabilities: np.ndarray
    labels: np.ndarray
    class_names: tuple

    @property
    def answers(self):
        """int [images], the most probable class of each; of equal ones the first."""
        return self.probabilities.argmax(1)


def mistakes(scored):
    """Positions of the images whose most probable class is wrong, the most confident first."""
    confidence = np.where(scored.answers == scored.labels, -1.0, scored.probabilities.max(1))
    order = np.argsort(-confidence, kind='stable')
    return order[confidence[order] >= 0].tolist()


def confusion(scored):
    """int [classes, classes]: images of the row's class that were taken for the column's."""
    counts = np.zeros([len(scored.class_names)] * 2, np.int64)
    np.add.at(counts, (scored.labels, scored.answers), 1)
    return counts


def accuracies(counts):
    """float [classes]: share of each class that was recognized; NaN for a class without images."""
    totals = counts.sum(1)
    return np.where(totals, counts.diagonal() / np.maximum(totals, 1), np.nan)


def table(scored):
    """CSV: for each class its images, those recognized, their share, and how many were taken for which class."""
    counts, text = confusion(scored), io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['class', 'images', 'recognized', 'accuracy',
                     *(f'taken for {name}' for name in scored.class_names)])
    for name, row, right, share in zip(scored.class_names, counts, counts.diagonal(), accuracies(counts)):
        writer.writerow([name, row.sum(), right, f'{share:.4f}' if row.sum() else '', *row])
    return text.getvalue()


def draw_mistakes(scored, examples, title):
    """A Figure of predictions.Examples, those of the first `mistakes`."""
    found = len(mistakes(scored))
    return predictions.draw(examples, scored.class_names, (
        f'{title}\nThe {len(examples)} most confident of {found} mistakes among {len(scored.labels)} images; over each '
        'its true class.'))


def draw_confusion(scored, title):
    """A Figure of the confusion matrix: counts, shaded by their share of the row."""
    counts = confusion(scored)
    chosen, which = _worst(accuracies(counts), np.flatnonzero(counts.sum(0) + counts.sum(1)).tolist())
    matrix = counts[np.ix_(chosen, chosen)]
    names = [figures.name(scored.class_names[number], 16) for number in chosen]
    height = 1.9 + 0.36 * max(len(chosen), 6)
    figure = figures.new(height, layout='constrained')
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.5 / height))  # below the title
    axes = figure.add_subplot()
    shares = matrix / np.maximum(counts[chosen].sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1, interpolation='none', aspect='auto')
    axes.set_xticks(range(len(names)), names, rotation=40, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel='taken for', ylabel='true class')
    for row, column in np.argwhere(matrix):
        axes.text(column, row, str(matrix[row, column]), ha='center', va='center', size=7.5,
                  color='white' if shares[row, column] > 0.5 else 'black')
    figures.text(figure, 0.1, 0.1, f'{title}\n{which}Numbers are images; the darker, the more of the '
                                   "row's class.")
    return figure


def draw_classes(scored, title):
    """A Figure of the accuracy of each class, the highest on top."""
    counts = confusion(scored)
    shares = accuracies(counts)
    chosen, which = _worst(shares, np.flatnonzero(counts.sum(1)).tolist())
    chosen.sort(key=lambda number: (-shares[number], number))
    figure = figures.new(1.25 + 0.22 * len(chosen))
    axes = figures.inches(figure, 1.6, 0.6, 4.6, 0.15 + 0.22 * len(chosen))
    axes.barh(range(len(chosen)), 100 * shares[chosen], color=figures.SKY, height=0.8)
    axes.set_yticks(range(len(chosen)), [figures.name(scored.class_names[number]) for number in chosen])
    whole = 100 * (scored.answers == scored.labels).mean()
    axes.axvline(whole, color=figures.RED, ls='--', lw=1, label=f'all images: {whole:.1f} %')
    axes.set(xlim=(0, 100), ylim=(len(chosen) - 0.5, -0.5), xlabel='recognized (top-1), %')
    for place, number in enumerate(chosen):
        axes.text(101, place, f'{100 * shares[number]:.0f} %  ({counts[number, number]} of {counts[number].sum()})',
                  va='center')
    figure.legend(loc='upper right', frameon=False)
    figures.text(figure, 0.1, 0.1, f'{title}\n{which}')
    return figure


def _worst(shares, there):
    """Numbers of the classes that are drawn, of those that are there, in their order: of many, the worst.

    Returns: (numbers, a sentence that says so, or '').
    """
    chosen = sorted(sorted(there, key=lambda number: (np.isnan(shares[number]), shares[number], number))[:SHOWN])
    left_out = len(there) > len(chosen)
    return chosen, f'The {SHOWN} classes with the lowest accuracy of {len(there)}. ' if left_out else ''
