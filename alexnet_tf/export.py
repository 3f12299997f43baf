"""A SavedModel for serving: images or encoded images in, classes out; preprocessing inside. Or the weights alone.

    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=exported
    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=weights --to=npz
"""
import os

import tensorflow as tf
from absl import flags, logging

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.data import preprocessing
from alexnet_tf.files import writing
from alexnet_tf.model import loading
from alexnet_tf.weights import own_npz

FLAGS = flags.FLAGS
ROWS = (
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.'),
    Flag('output_dir', str, None, 'Folder for the SavedModel, or for weights.npz.', required=True),
    Flag('to', str, 'saved_model', 'npz: the weights as NumPy arrays under documented names '
         '(alexnet_tf/weights/own_npz.py).', choices=('saved_model', 'npz')),
    Flag('model_name', str, None, 'alexnet_v2 or alexnet; only for checkpoints without a model.json.'),
)


class Served(tf.Module):
    """The network with its preprocessing; see `export` for the signatures."""

    def __init__(self, loaded):
        super().__init__()
        self._model, self._size = loaded.model, loaded.spec.image_size
        self._mean = tf.constant(loaded.mean)
        self._class_names = tf.constant(loaded.spec.class_names)

    def signatures(self):
        size = self._size
        return {
            'serving_default': tf.function(self._serve, input_signature=[
                tf.TensorSpec([None, size, size, 3], tf.float32, 'images')]),
            'serve_bytes': tf.function(self._serve_bytes, input_signature=[
                tf.TensorSpec([None], tf.string, 'image_bytes')])}

    def _serve(self, images):
        logits = self._model(preprocessing.subtract_mean(images, self._mean), training=False)
        logits = tf.cast(logits, tf.float32)
        classes = tf.argmax(logits, 1)
        return {'logits': logits, 'probabilities': tf.nn.softmax(logits), 'classes': classes,
                'class_names': tf.gather(self._class_names, classes)}

    def _serve_bytes(self, image_bytes):
        side = preprocessing.square_side(self._size)
        squares = tf.map_fn(
            lambda encoded: preprocessing.evaluation_image(encoded, size=self._size), image_bytes,
            fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8))
        return self._serve(preprocessing.central_crop(squares, self._size))


def export(loaded, output_dir):
    """Writes a SavedModel that needs nothing but TensorFlow.

    Signatures: serving_default (images: float32 [batch, size, size, 3], RGB 0..255, size as
    model.json has it: 224, or Caffe's 227) and serve_bytes
    (image_bytes: strings [batch], encoded images of any size; centre view). Both give logits and
    probabilities (float32 [batch, classes]), classes (int64 [batch]) and class_names (strings [batch]).

    Raises: ValueError when output_dir holds something already.
    """
    check_empty(output_dir)
    module = Served(loaded)
    tf.saved_model.save(module, output_dir, signatures=module.signatures())


def check_empty(output_dir):
    """Raises ValueError when output_dir holds something already."""
    if os.path.exists(output_dir) and (not os.path.isdir(output_dir) or os.listdir(output_dir)):
        raise ValueError(f'--output_dir={output_dir} exists and is not empty; choose another or delete it.')


def main():
    logging.set_verbosity(logging.WARNING)  # saving prints a dozen lines about TensorFlow's own names
    tf.get_logger().setLevel('WARNING')
    writing.check_writable(FLAGS.output_dir, 'output_dir')
    loaded = loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name)
    if FLAGS.to == 'npz':
        check_empty(FLAGS.output_dir)
        path = os.path.join(FLAGS.output_dir, 'weights.npz')
        own_npz.write(loaded, path)
        print(f'Exported the weights of {loaded.spec.model_name} at step {loaded.step} ({loaded.checkpoint}) to '
              f'{path}.')
        return
    export(loaded, FLAGS.output_dir)
    print(f'Exported {loaded.spec.model_name} at step {loaded.step} ({loaded.checkpoint}) to {FLAGS.output_dir}: '
          'signatures serving_default (images) and serve_bytes (image_bytes).')


if __name__ == '__main__':
    command.run('export', main, ROWS)
