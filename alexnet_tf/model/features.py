"""What fc7 makes of images: the vector by whose distances the paper's figure 4 compares them."""
import google_crc32c
import numpy as np
import tensorflow as tf
import tf_keras

from alexnet_tf.data import preprocessing
from alexnet_tf.model import evaluation
from nets import slim_checkpoints


def fc7(loaded):
    """A function of crops (RGB 0..255, [b, size, size, 3]) that gives fc7 after its ReLU, before dropout.

    loaded: a loading.Loaded. What the function gives is float32 [b, 4096]; of a narrowed network fewer.
    """
    model = tf_keras.Model(loaded.model.input, loaded.model.get_layer('fc7').output)
    return lambda images: tf.squeeze(evaluation.outputs(images, model, loaded.mean), [1, 2])


def of_squares(loaded):
    """A function of what `preprocessing.evaluation_image` gives (uint8 [b, side, side, 3]): fc7 of the centers."""
    network = fc7(loaded)
    return lambda squares: network(preprocessing.central_crop(squares, loaded.spec.image_size))


def fingerprint(loaded):
    """A checksum of all that decides about the features: weights, dropout's factor, mean, size and shape of images."""
    checksum = google_crc32c.Checksum()
    spec = loaded.spec
    dropout = () if spec.unscaled_dropout is None else (spec.unscaled_dropout,)
    checksum.update(repr((spec.model_name, spec.variant, spec.image_size, spec.resize_mode, *dropout)).encode())
    for name, variable in sorted(slim_checkpoints.named_variables(loaded.model).items()):
        checksum.update(name.encode())
        checksum.update(np.ascontiguousarray(variable.numpy()).tobytes())
    checksum.update(np.ascontiguousarray(loaded.mean, np.float32).tobytes())
    return checksum.hexdigest().decode()
