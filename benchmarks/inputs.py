"""What all peers compute with: sizes, random images, random weights. NumPy alone, since every peer imports it."""
import math
import os

import numpy as np

CLASSES, SIZE = 1000, 224
MEAN = np.array([123.68, 116.78, 103.94], np.float32)  # any will do for timing
CORES = len(os.sched_getaffinity(0))


def random_batch(batch, size=SIZE, classes=CLASSES):
    """uint8 images [batch, size, size, 3] and int64 labels [batch]."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, [batch, size, size, 3], np.uint8), random.integers(0, classes, batch)


def random_weights(layers):
    """{name of a Conv: (weights [height, width, in, out], biases [out])}, float32, the same in every process.

    layers: of networks.layers. Activations keep the size of the images', so that normalization matters.
    """
    random, result = np.random.default_rng(1), {}
    for layer in layers:
        if layer.kind == 'Conv':
            shape = layer.kernel, layer.kernel, layer.inputs[2] // layer.groups, layer.filters
            weights = random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[:3])))
            result[layer.name] = weights, np.full(layer.filters, 0.1, np.float32)
    return result
