"""What is nearest to images: found, said and shown."""
import dataclasses

import tensorflow as tf

from alexnet_tf.console import terminal
from alexnet_tf.data import preprocessing
from alexnet_tf.neighbors import codes, index, sheet
from alexnet_tf.pictures import subjects


@dataclasses.dataclass(frozen=True)
class Answer:
    """subject: what was searched for. truth: the number of its class; None: not known. positions: of the nearest in the
    index, the nearest first. distances: in words."""
    subject: subjects.Subject
    truth: int | None
    positions: tuple
    distances: tuple


def find(found, loaded, asked, *, count, bits=None):
    """The Answers to Subjects, by an index.Index and its network.

    count: images of an answer; fewer where the index has fewer. An image of the index is no answer to itself.
    bits: length of the codes to search by; None: by the features.

    Raises: ValueError for an image that cannot be decoded.
    """
    features = index.features(loaded, tf.stack([subject.square(loaded.spec) for subject in asked]))
    more = min(count + 1, len(found))
    if bits:
        encoder, stored = codes.read(found, bits)
        near, distances = codes.nearest(encoder.encode(features), stored, more)
        words = [[f'{distance} bits' for distance in row] for row in distances]
    else:
        near, distances = found.nearest(features, more)
        words = [[f'{distance:.1f}' for distance in row] for row in distances]
    return [_answer(found, *each, count) for each in zip(asked, near.tolist(), words)]


def _answer(found, subject, near, words, count):
    others = [(position, word) for position, word in zip(near, words) if _name(found, position) != subject.name]
    positions, distances = zip(*others[:count]) if others else ((), ())
    return Answer(subject, subject.truth(found.class_names), positions, distances)


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
    def shown(subject, caption, known=None):
        crop = preprocessing.central_crop(subject.square(loaded.spec), loaded.spec.image_size)
        return sheet.Shown(crop.numpy(), caption, known)
    for answer in answered:
        truth = answer.truth
        query = shown(answer.subject, answer.subject.name if truth is None else found.class_names[truth])
        yield [query, *(shown(subjects.of_record(found.dataset, position), _class(found, position),
                              None if truth is None else int(found.labels[position]) == truth)
                        for position in answer.positions)]


def title(found, loaded, bits):
    by = f'codes of {bits} bits' if bits else "fc7's features"
    return (f'Left, images; right of each the nearest of {len(found)} in split {found.about.split!r}, by {by}\n'
            f'{loaded.spec.model_name} at step {loaded.step}; ✓ and bold: of the same class')
