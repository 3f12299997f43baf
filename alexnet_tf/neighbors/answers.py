"""What is nearest to images: found, said and shown."""
import dataclasses

import numpy as np
import tensorflow as tf

from alexnet_tf.console import terminal
from alexnet_tf.data import preprocessing
from alexnet_tf.model import features as network_features
from alexnet_tf.neighbors import codes, sheet
from alexnet_tf.pictures import subjects


@dataclasses.dataclass(frozen=True)
class Answer:
    """subject: what was searched for. crop: uint8 [size, size, 3], what the network saw of it. truth: the number of its
    class; None: not known. positions: of the nearest in the index, the nearest first. distances: in words."""
    subject: subjects.Subject
    crop: np.ndarray
    truth: int | None
    positions: tuple
    distances: tuple


def find(found, loaded, asked, *, count, bits=None):
    """The Answers to Subjects, by an index.Index and its network.

    count: images of an answer; fewer where the index has fewer. An image of the index is no answer to itself.
    bits: length of the codes to search by; None: by the features.

    Raises: ValueError for an image that cannot be decoded.
    """
    squares = tf.stack([subject.square(loaded.spec) for subject in asked])
    features = network_features.of_squares(loaded)(squares).numpy()
    crops = preprocessing.central_crop(squares, loaded.spec.image_size).numpy()
    more = min(count + 1, len(found))
    if bits:
        encoder, stored = codes.read(found, bits)
        near, distances = codes.nearest(encoder.encode(features), stored, more)
        words = [[f'{distance} bits' for distance in row] for row in distances]
    else:
        near, distances = found.nearest(features, more)
        words = [[f'{distance:.1f}' for distance in row] for row in distances]
    return [_answer(found, *each, count) for each in zip(asked, crops, near.tolist(), words)]


def _answer(found, subject, crop, near, words, count):
    others = [(position, word) for position, word in zip(near, words) if _name(found, position) != subject.name]
    positions, distances = zip(*others[:count]) if others else ((), ())
    return Answer(subject, crop, subject.truth(found.class_names), positions, distances)


def _name(found, position):
    return f'{found.about.split}:{position}'


def _class(found, position):
    return found.class_names[found.labels[position]]


def lines(found, answered):
    """The Answers as text, a line each."""
    for answer in answered:
        known = '' if answer.truth is None else f' ({found.class_names[answer.truth]})'
        yield terminal.printable(f'{answer.subject.name}{known}')
        for position, distance in zip(answer.positions, answer.distances):
            yield terminal.printable(f'  {distance:>9}  {_name(found, position)}  {_class(found, position)}')


def rows(found, loaded, answered):
    """What sheet.draw shows of Answers."""
    for answer in answered:
        truth = answer.truth
        name = '' if truth is None else found.class_names[truth]
        yield [sheet.Shown(answer.crop, name, answer.subject.name), *(
            _neighbor(found, loaded, *each, truth) for each in zip(answer.positions, answer.distances))]


def _neighbor(found, loaded, position, distance, truth):
    square = subjects.of_record(found.dataset, position).square(loaded.spec)
    crop = preprocessing.central_crop(square, loaded.spec.image_size).numpy()
    return sheet.Shown(crop, _class(found, position), f'{_name(found, position)}\n{distance}',
                       int(found.labels[position]) == truth)


def title(found, loaded, answered, bits):
    """What the sheet says at its top."""
    by = f'codes of {bits} bits' if bits else "fc7's features"
    mark = '; ✓ and bold: of the same class' if any(answer.truth is not None for answer in answered) else ''
    return (f'Left, images; right of each the nearest of {len(found)} in split {found.about.split!r}, by {by}\n'
            f'{loaded.spec.model_name} at step {loaded.step}; below each its record and its distance{mark}')
