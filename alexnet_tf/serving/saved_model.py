"""A SavedModel: the network with its preprocessing, for any program that has TensorFlow."""
import dataclasses

import tensorflow as tf

from alexnet_tf.data import preprocessing
from alexnet_tf.model import evaluation, features
from alexnet_tf.serving import decoding, products

TOP = 5  # classes of top_class_names, where there are as many


def export(loaded, output_dir):
    """Writes a loading.Loaded as a SavedModel that needs TensorFlow alone.

    Signatures:
      serving_default: images, float32 [batch, size, size, 3], RGB 0..255; size as in model.json (224; Caffe's 227).
      serve_bytes: image_bytes, strings [batch]: encoded images of any size, of which the network sees the center.
        A batch with a broken image is refused; the error says at which positions they are.
      serve_bytes_checked: image_bytes. It answers, too, valid (bool [batch]): which images are not broken. In the
        rows of others are zeros and empty strings.
      ten_views: image_bytes. The mean of the probabilities of ten views (preprocessing.views), and as logits its
        logarithm. Broken images are refused.
      features: image_bytes. features, float32 [batch, 4096]: fc7 after its ReLU, before dropout. Broken images are
        refused.
    All but features give logits and probabilities (float32 [batch, classes]), classes (int64 [batch]), class_names
    (strings [batch]), and of the best five (of fewer classes: of all), best first, top_probabilities (float32
    [batch, 5]) and top_class_names (strings [batch, 5]). An empty batch gives an empty answer.

    Returns: the names of the signatures.
    """
    module = Served(loaded)
    signatures = module.signatures()
    tf.saved_model.save(module, output_dir, signatures=signatures)
    return list(signatures)


class Served(tf.Module):
    """What is saved; see `export`."""

    def __init__(self, loaded):
        super().__init__()
        if loaded.model.variables[0].dtype == tf.bfloat16:
            loaded = dataclasses.replace(loaded, model=products.with_products(loaded.model))
        self._variables = loaded.model.variables
        self._size, self._resize_mode = loaded.spec.image_size, loaded.spec.resize_mode
        self._mean, self._class_names = tf.constant(loaded.mean), tf.constant(loaded.spec.class_names)
        # Inside of functions: a Keras model that is an attribute would be saved with the functions of all its layers.
        self._outputs = lambda images: evaluation.outputs(images, loaded.model, self._mean)
        self._ten = lambda squares: evaluation.scores(squares, loaded.model, self._mean, self._size, num_views=10)
        self._fc7 = features.fc7(loaded)

    def signatures(self):
        """{name of a signature: tf.function}."""
        images = tf.TensorSpec([None, self._size, self._size, 3], tf.float32, 'images')
        image_bytes = tf.TensorSpec([None], tf.string, 'image_bytes')
        return {'serving_default': tf.function(self._serve, input_signature=[images]),
                'serve_bytes': tf.function(self._serve_bytes, input_signature=[image_bytes]),
                'serve_bytes_checked': tf.function(self._serve_bytes_checked, input_signature=[image_bytes]),
                'ten_views': tf.function(self._ten_views, input_signature=[image_bytes]),
                'features': tf.function(self._features, input_signature=[image_bytes])}

    def _serve(self, images):
        return self._answer(_of_any_batch(self._outputs, images))

    def _serve_bytes(self, image_bytes):
        return self._serve(self._crops(self._whole_squares(image_bytes)))

    def _serve_bytes_checked(self, image_bytes):
        squares, valid = decoding.squares(image_bytes, size=self._size, resize_mode=self._resize_mode)
        answer = self._serve(self._crops(squares))
        return {'valid': valid} | {name: _emptied(values, valid) for name, values in answer.items()}

    def _ten_views(self, image_bytes):
        return self._answer(_of_any_batch(self._ten, self._whole_squares(image_bytes)))

    def _features(self, image_bytes):
        return {'features': _of_any_batch(self._fc7, self._crops(self._whole_squares(image_bytes)))}

    def _crops(self, squares):
        return preprocessing.central_crop(squares, self._size)

    def _whole_squares(self, image_bytes):
        return decoding.whole_squares(image_bytes, size=self._size, resize_mode=self._resize_mode)

    def _answer(self, logits):
        probabilities, classes = tf.nn.softmax(logits), tf.argmax(logits, 1)
        best = tf.math.top_k(logits, min(TOP, logits.shape[1])).indices
        return {'logits': logits, 'probabilities': probabilities, 'classes': classes,
                'class_names': tf.gather(self._class_names, classes),
                'top_probabilities': tf.gather(probabilities, best, batch_dims=1),
                'top_class_names': tf.gather(self._class_names, best)}


def _of_any_batch(network, images):
    """network(images), and nothing for an empty batch, with which TensorFlow's convolutions on a CPU fail."""
    some = tf.cond(tf.shape(images)[0] > 0, lambda: images, lambda: tf.zeros([1, *images.shape[1:]], images.dtype))
    return network(some)[:tf.shape(images)[0]]


def _emptied(values, kept):
    """values [batch] or [batch, n], zeros or empty strings where `kept` (bool [batch]) is false."""
    kept = tf.reshape(kept, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(kept, values, tf.zeros([], values.dtype))
