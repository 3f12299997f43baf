"""A SavedModel for serving: images or encoded images in, classes out; preprocessing inside. Or the weights alone.

    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=exported
    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=weights --to=npz
"""
import os

from absl import flags, logging

from alexnet_tf.console import command
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow

FLAGS = flags.FLAGS
ROWS = (
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.'),
    Flag('output_dir', str, None, 'Required: folder for the SavedModel, or for weights.npz.', required=True),
    Flag('to', str, 'saved_model', "npz: the weights as NumPy arrays under slim's names, such as alexnet/conv1/weights "
         '(float32 [height, width, in, out]; conv1 sees R, G, B), and model.json as the text model_json.',
         choices=('saved_model', 'npz')),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.',
         choices=('alexnet_v2', 'alexnet')),
)


def main():
    load_tensorflow()
    from alexnet_tf.files import writing
    from alexnet_tf.model import loading
    from alexnet_tf.serving import saved_model
    from alexnet_tf.weights import own_npz
    logging.set_verbosity(logging.WARNING)  # saving prints a dozen lines about TensorFlow's own names
    folder = FLAGS.output_dir
    writing.check_writable(folder, 'output_dir')
    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise ValueError(f'--output_dir={folder} exists and is not empty; choose another or delete it.')
    loaded = loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name)
    exported = f'{loaded.spec.model_name} at step {loaded.step} ({loaded.checkpoint}) to'
    if FLAGS.to == 'npz':
        path = os.path.join(folder, 'weights.npz')
        own_npz.write(loaded, path)
        print(f'Exported the weights of {exported} {path}.')
        return
    saved_model.export(loaded, folder)
    print(f'Exported {exported} {folder}: signatures serving_default (images) and serve_bytes (image_bytes).')


def cli():
    command.run('export', main, ROWS)


if __name__ == '__main__':
    cli()
