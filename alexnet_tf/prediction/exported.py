"""Predictions by a SavedModel that `python -m alexnet_tf.export` wrote, in this process.

A SavedModel is a program, and this runs it: it must be your own, or of somebody whose programs you would run.
"""
import threading

import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.files import places
from alexnet_tf.prediction import answers

CHECKED, TEN_VIEWS = 'serve_bytes_checked', 'ten_views'
TOPS = 'top_probabilities', 'top_class_names'
AGAIN = 'Export the checkpoint again: python -m alexnet_tf.export --checkpoint_path=… --output_dir=….'


class SavedModel:
    """A source of predictions (see `answers`).

    num_views: 1 or 10. Raises: ValueError for a folder that holds no SavedModel, or one without the signatures.
    """

    def __init__(self, folder, *, num_views=1):
        places.check_saved_model(folder)
        try:
            self._loaded = tf.saved_model.load(folder)  # kept: its signatures do not keep its variables
        except Exception as error:  # its parser raises nearly anything
            raise ValueError(f'--saved_model={folder} cannot be loaded: {str(error).partition(chr(10))[0]}. '
                             f'{AGAIN}') from error
        self._computing = threading.Lock()  # two batches at once would take twice the memory
        self._checked = self._signature(folder, CHECKED, ('valid', *TOPS))
        self._views = self._signature(folder, TEN_VIEWS, TOPS) if num_views == 10 else None

    def _signature(self, folder, name, outputs):
        found = self._loaded.signatures.get(name)
        lacking = name if found is None else ', '.join(sorted(set(outputs) - set(found.structured_outputs)))
        if lacking:
            raise ValueError(f'--saved_model={folder} has no {lacking}, which newer exports have. {AGAIN}')
        return found

    def __call__(self, images):
        with self._computing:
            return self._answers(images) if self._views is None else self._ten_views(images)

    def _ten_views(self, images):
        try:
            return _tops(self._views(image_bytes=tf.constant(images)))
        except tf.errors.InvalidArgumentError:  # one of them is broken, and the signature does not say which
            first = self._answers(images)
            good = [image for image, answer in zip(images, first) if not isinstance(answer, str)]
            given = iter(_tops(self._views(image_bytes=tf.constant(good))) if good else [])
            return [answer if isinstance(answer, str) else next(given) for answer in first]

    def _answers(self, images):
        outputs = self._checked(image_bytes=tf.constant(images))
        return [answer if valid else _why(image)
                for image, valid, answer in zip(images, outputs['valid'].numpy(), _tops(outputs))]


def _tops(outputs):
    """The Answers in the outputs of a signature."""
    names, probabilities = outputs['top_class_names'].numpy(), outputs['top_probabilities'].numpy()
    return [[(name.decode(errors='replace'), float(probability)) for name, probability in zip(*row)][:answers.TOP]
            for row in zip(names, probabilities)]


def _why(image):
    """Why an image cannot be decoded; the SavedModel says only that."""
    try:
        preprocessing.decode(image)
    except tf.errors.InvalidArgumentError as error:
        return preprocessing.reason(error)
    return 'the SavedModel cannot decode it'
