"""Images of records as the network sees them, to measure the ranges of its activations."""
import numpy as np

from alexnet_tf.data import datasets, preprocessing


def images(folder, spec, number, *, split='train'):
    """uint8 [n, size, size, 3]: central crops of at most `number` images of a split, evenly spaced in the records.

    Raises: ValueError when the folder has no such split.
    """
    dataset = datasets.open_dataset(folder, split)
    positions = np.unique(np.linspace(0, len(dataset) - 1, number).astype(int))
    squares = [preprocessing.evaluation_image(dataset.example(position)[0], size=spec.image_size,
                                              resize_mode=spec.resize_mode) for position in positions]
    return preprocessing.central_crop(np.stack(squares), spec.image_size)
