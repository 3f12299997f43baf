"""What the machine itself can do, as peers: a matrix product, and reading as many bytes as a network has weights."""
import concurrent.futures

import numpy as np

from benchmarks import inputs

PRODUCT, READING = 'matrix product', 'weights read once'
PRODUCT_SIZE = 4096


def product(dtype, size=PRODUCT_SIZE):
    """A function that multiplies two size x size matrices by TensorFlow."""
    import tensorflow as tf
    a, b = (tf.cast(tf.random.stateless_uniform([size, size], [seed, 0]), dtype) for seed in (1, 2))
    multiply = tf.function(lambda: tf.matmul(a, b)[0, 0])
    return lambda: float(multiply().numpy())


def reading(layers, dtype):
    """A function that reads, with a thread a core, as much memory as the network's weights take."""
    count = sum(weights.size for weights, _ in inputs.random_weights(layers).values())
    parts = np.array_split(np.ones(count // (2 if dtype == 'bfloat16' else 1), np.float32), inputs.CORES)
    pool = concurrent.futures.ThreadPoolExecutor(inputs.CORES)
    return lambda: max(pool.map(np.max, parts)).item()  # np.max keeps up with memory, which np.sum does not
