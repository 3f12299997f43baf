"""Training images on which the ranges of activations are measured."""
import numpy as np

from alexnet_tf.data import datasets, preprocessing


def images(folder, spec, number):
    """uint8 [n, size, size, 3]: central crops of at most `number` training images, evenly spaced in the records.

    Raises: ValueError when the folder has no split `train`, or an image cannot be decoded.
    """
    dataset = datasets.open_dataset(folder, 'train')
    positions = np.unique(np.linspace(0, len(dataset) - 1, number).astype(int))
    squares = [preprocessing.evaluation_image(dataset.example(position)[0], size=spec.image_size,
                                              resize_mode=spec.resize_mode) for position in positions]
    return preprocessing.central_crop(np.stack(squares), spec.image_size)
