"""Binary codes of features, by the autoencoder that the paper proposes at its end, and search by Hamming distance.

As in Krizhevsky and Hinton, "Using very deep autoencoders for content-based image retrieval" (2011), and Salakhutdinov
and Hinton, "Semantic hashing" (2009): features are squeezed through a layer of a few logistic units and made again. The
noise before that layer leaves only answers far from the middle of any use, so that they can be cut to bits. Unlike
there, nothing is pretrained layer by layer: rectified units and Adam do without.
"""
import dataclasses
import os

import numpy as np
import tensorflow as tf
import tf_keras

from alexnet_tf.console.progress import Progress
from alexnet_tf.data.batches import positions
from alexnet_tf.files import reading, writing
from alexnet_tf.neighbors import index
from alexnet_tf.weights import numpy_files

LENGTHS = 32, 64, 128  # bits
HIDDEN = 256  # units between the features and the code
STEPS, BATCH, RATE = 1000, 128, 1e-3  # of Adam
NOISE = 4.0  # the last standard deviation of what is added before the code's units; it grows from 0 over the first half


@dataclasses.dataclass(frozen=True)
class Encoder:
    """From features to bits. scale: what features are multiplied by. weights, biases: of its two layers.

    A bit is 1 where the second layer's value is above 0.
    """
    scale: np.ndarray
    weights_1: np.ndarray
    biases_1: np.ndarray
    weights_2: np.ndarray
    biases_2: np.ndarray

    @property
    def bits(self):
        return self.biases_2.size

    def values(self, features):
        """float32 [n, bits], before they are cut to bits, of features [n, width]."""
        hidden = np.maximum(np.float32(features) * self.scale @ self.weights_1 + self.biases_1, 0)
        return hidden @ self.weights_2 + self.biases_2

    def encode(self, features):
        """uint8 [n, bits / 8] of features [n, width]: eight bits a byte, the first the highest."""
        return np.packbits(self.values(features) > 0, axis=1)


def train(found, bits, *, seed, log=print):
    """The Encoder of an index.Index, a function of the seed; it learns from all of its features."""
    width = found.about.width
    scale = np.float32(1 / max(_root_mean_square(found), 1e-6))
    shapes = (HIDDEN, 'relu'), (bits, None), (HIDDEN, 'relu'), (width, None)
    dense = [tf_keras.layers.Dense(units, activation, kernel_initializer=tf_keras.initializers.GlorotUniform(seed + at))
             for at, (units, activation) in enumerate(shapes)]
    encode, decode = tf_keras.Sequential(dense[:2]), tf_keras.Sequential(dense[2:])
    encode.build([None, width])
    decode.build([None, bits])
    optimizer = tf_keras.optimizers.Adam(RATE)
    variables = encode.trainable_variables + decode.trainable_variables

    @tf.function
    def step(rows, number):
        deviation = NOISE * tf.minimum(1.0, tf.cast(number, tf.float32) / (STEPS / 2))
        with tf.GradientTape() as tape:
            values = encode(rows)
            values -= tf.reduce_mean(values, 0)  # else most bits would be the same for all images
            noise = tf.random.stateless_normal(tf.shape(values), tf.stack([seed, number]), stddev=deviation)
            loss = tf.reduce_mean(tf.square(decode(tf.sigmoid(values + noise)) - rows))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss
    progress = Progress(STEPS, f'steps of the codes of {bits} bits', log)
    for number in range(STEPS):
        chosen = np.sort(positions(seed, number * BATCH, BATCH, len(found)))  # in the order of the file
        loss = step(np.float32(found.vectors[chosen]) * scale, tf.constant(number))
        progress.update(number + 1)
    progress.finish()
    log(f'{bits} bits: the features made from them differ by {float(loss):.0%} of the mean square.')
    encoder = Encoder(scale, *(variable.numpy() for variable in encode.trainable_variables))
    mean = sum(encoder.values(block).sum(0, dtype=np.float64) for _, block in found.blocks()) / len(found)
    return dataclasses.replace(encoder, biases_2=np.float32(encoder.biases_2 - mean))


def _root_mean_square(found):
    return np.sqrt(sum(np.square(block).sum(dtype=np.float64) for _, block in found.blocks()) / found.vectors.size)


# Files ------------------------------------------------------------------------------------------------------


def path_of(folder, bits):
    return os.path.join(folder, f'codes-{bits}.npz')


def write(found, encoder):
    """Writes an Encoder, and the codes of all images of an index.Index, into its folder. Returns: the path."""
    codes = np.concatenate([encoder.encode(block) for _, block in found.blocks()])
    path = path_of(found.folder, encoder.bits)
    arrays = {field.name: np.asarray(getattr(encoder, field.name)) for field in dataclasses.fields(encoder)}
    with writing.whole(path) as file:
        np.savez(file, codes=codes, features=_origin(found), **arrays)
    return path


def read(found, bits):
    """(Encoder, codes uint8 [images, bits / 8]) of an index.Index.

    Raises: ValueError for codes that are not there, damaged, or of other features.
    """
    path, width = path_of(found.folder, bits), found.about.width
    make = f'python -m alexnet_tf.retrieval codes --index={found.folder} --bits={bits}'
    if not os.path.exists(path):
        raise ValueError(f'{found.folder} has no codes of {bits} bits; make some: {make}')
    reading.check_regular(path)
    shapes = {'codes': (len(found), bits // 8), 'scale': (), 'weights_1': (width, HIDDEN), 'biases_1': (HIDDEN,),
              'weights_2': (HIDDEN, bits), 'biases_2': (bits,)}
    try:
        with open(path, 'rb') as file:
            arrays = numpy_files.read_npz(file)
        if not np.array_equal(arrays.pop('features'), _origin(found)):
            raise ValueError('they are of other features')
        types = {name: np.uint8 if name == 'codes' else np.float32 for name in shapes}
        if ({name: array.shape for name, array in arrays.items()} != shapes
                or {name: array.dtype for name, array in arrays.items()} != types):
            raise ValueError('its arrays have other names, shapes or types')
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError('some of its values are infinite or no numbers')
    except Exception as error:  # a damaged file can raise nearly anything in zipfile and zlib
        raise ValueError(f'cannot read {path}: {error}; make them again: {make}') from error
    codes = arrays.pop('codes')
    return Encoder(**arrays), codes


def _origin(found):
    """What tells the features that codes are of from others: uint8 [8]."""
    return np.frombuffer(found.about.files[index.FEATURES]['crc32c'].encode(), np.uint8)


def nearest(queries, codes, count):
    """The `count` of codes (uint8 [images, bytes]) that differ from queries (uint8 [n, bytes]) in the fewest bits.

    Returns: (positions int64 [n, count], bits int64 [n, count]), nearest first; of equal ones the first position.
      Raises: ValueError.
    """
    index.check_count(count, len(codes))
    bits, positions = index.library().knn_hamming(np.ascontiguousarray(queries), np.ascontiguousarray(codes), count)
    order = np.lexsort((positions, bits))
    return tuple(np.take_along_axis(each.astype(np.int64), order, 1) for each in (positions, bits))
