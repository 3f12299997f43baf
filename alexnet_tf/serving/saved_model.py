"""A SavedModel: the network with its preprocessing, for any program that has TensorFlow."""
import tensorflow as tf

from alexnet_tf.data import preprocessing


def export(loaded, output_dir):
    """Writes a loading.Loaded as a SavedModel that needs TensorFlow alone.

    Signatures:
      serving_default: images, float32 [batch, size, size, 3], RGB 0..255; size as in model.json (224; Caffe's 227).
      serve_bytes: image_bytes, strings [batch]: encoded images of any size, of which the network sees the center.
    Both give logits and probabilities (float32 [batch, classes]), classes (int64 [batch]) and class_names
    (strings [batch]).
    """
    module = Served(loaded)
    tf.saved_model.save(module, output_dir, signatures=module.signatures())


class Served(tf.Module):
    """What is saved; see `export`."""

    def __init__(self, loaded):
        super().__init__()
        self._model, self._size = loaded.model, loaded.spec.image_size
        self._resize_mode = loaded.spec.resize_mode
        self._mean, self._class_names = tf.constant(loaded.mean), tf.constant(loaded.spec.class_names)

    def signatures(self):
        """{name of a signature: tf.function}."""
        images = tf.TensorSpec([None, self._size, self._size, 3], tf.float32, 'images')
        image_bytes = tf.TensorSpec([None], tf.string, 'image_bytes')
        return {'serving_default': tf.function(self._serve, input_signature=[images]),
                'serve_bytes': tf.function(self._serve_bytes, input_signature=[image_bytes])}

    def _serve(self, images):
        logits = tf.cast(self._model(preprocessing.subtract_mean(images, self._mean), training=False), tf.float32)
        classes = tf.argmax(logits, 1)
        return {'logits': logits, 'probabilities': tf.nn.softmax(logits), 'classes': classes,
                'class_names': tf.gather(self._class_names, classes)}

    def _serve_bytes(self, image_bytes):
        side = preprocessing.square_side(self._size)
        squares = tf.map_fn(
            lambda encoded: preprocessing.evaluation_image(encoded, size=self._size, resize_mode=self._resize_mode),
            image_bytes, fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8))
        return self._serve(preprocessing.central_crop(squares, self._size))
