"""A SavedModel for serving: images or encoded images in, classes out; preprocessing inside. Or other formats.

    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=exported
    python -m alexnet_tf.export --checkpoint_path=runs/one --publish_dir=models/alexnet
    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=phone --to=litert_int8 --calibration_dir=records
    python -m alexnet_tf.export --checkpoint_path=runs/one --output_dir=weights --to=npz

--publish_dir is for a folder that TensorFlow Serving watches: the model appears in it as a whole, under the next
number.
"""
import os
import shlex

from absl import flags, logging

from alexnet_tf.console import command, flag_table, terminal
from alexnet_tf.console.flag_table import UNSET, Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places, writing
from alexnet_tf.formats import kinds
from alexnet_tf.script_flags import train

FLAGS = flags.FLAGS


def write_saved_model(loaded, folder):
    from alexnet_tf.serving import card, saved_model, warmup
    signatures = saved_model.export(loaded, folder)
    if not warmup.write_requests(loaded, folder, signatures, served_name=served_name()):
        print('No warm-up requests for the server: tensorflow-serving-api is not installed; pip install '
              'tensorflow-serving-api, and export to another folder. No other program needs them.')
    writing.write_text(os.path.join(folder, 'classes.txt'), card.class_names(loaded.spec))
    text = card.text(loaded, folder, recipe=training_command, weights_license=FLAGS.license)
    writing.write_text(os.path.join(folder, 'README.md'), text)
    return f'signatures {", ".join(signatures)}'


def served_name():
    """Under which name a server has the model: --served_name, else that of the folder of its versions."""
    path = os.path.abspath(FLAGS.publish_dir or FLAGS.output_dir)
    if FLAGS.output_dir and os.path.basename(path).isdecimal():  # a version
        path = os.path.dirname(path)
    return FLAGS.served_name or os.path.basename(path)


def training_command(settings):
    """The command of a training run by its settings, {flag: value}, printable; folders by their last part."""
    parts = []
    for row in train.ROWS:
        value = settings.get(row.name, row.default)
        if value == row.default or row.refused:
            continue
        if row.name in ('train_dir', 'dataset_dir', 'checkpoint_path'):
            value = os.path.basename(os.path.normpath(str(value)))
        text = ','.join(map(str, value)) if isinstance(value, list) else value
        parts.append(f'--{"" if value else "no"}{row.name}' if row.kind is bool else f'--{row.name}={text}')
    return terminal.printable(shlex.join(['python', 'train_image_classifier.py', *parts]))


def write_npz(loaded, folder):
    from alexnet_tf.weights import own_npz
    own_npz.write(loaded, os.path.join(folder, 'weights.npz'))
    return 'weights.npz'


def write_file(loaded, folder):
    path = kinds.write(loaded, folder, FLAGS.to, calibration_dir=FLAGS.calibration_dir)
    return os.path.basename(path)


# {--to: function of (loading.Loaded, folder) that writes into the folder and returns in words what it wrote}.
FORMATS = {'saved_model': write_saved_model, 'npz': write_npz, **dict.fromkeys(kinds.KINDS, write_file)}
SAVED_MODEL = (('to', ('saved_model',)),)
ROWS = (
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.',
         check_path=places.check_checkpoint),
    Flag('output_dir', str, None, 'Folder for what is exported; it must be empty or not be there. This or '
         '--publish_dir is required.', works_with=(('publish_dir', UNSET),)),
    Flag('publish_dir', str, None, 'Folder of versions that a server watches, such as models/alexnet: the SavedModel '
         'becomes its next version, models/alexnet/1, 2, …', works_with=SAVED_MODEL),
    Flag('to', str, 'saved_model', "npz: the weights as NumPy arrays under slim's names, such as alexnet/conv1/weights "
         '(float32 [height, width, in, out]; conv1 sees R, G, B), and model.json as the text model_json. litert: '
         'model.tflite; float16: half the bytes; int8: weights and activations in 8 bits. onnx: model.onnx. '
         "safetensors: for PyTorch, under torch's names. docs/serving.md says what to feed each.",
         choices=tuple(FORMATS)),
    Flag('calibration_dir', str, None, f'Folder of records: {kinds.CALIBRATION_IMAGES} images of its split train say '
         'in which ranges activations are.', works_with=(('to', ('litert_int8',)),), needed_with=('to', 'litert_int8'),
         check_path=places.check_records),
    Flag('precision', str, 'float32', 'Of the weights and the arithmetic of a SavedModel. bfloat16: half the size; '
         'what goes in and comes out stays float32.', choices=('float32', 'bfloat16'), works_with=SAVED_MODEL),
    Flag('served_name', str, None, 'Name under which a server has the model, for the warm-up requests. Default: the '
         'name of the folder of versions.', works_with=SAVED_MODEL),
    Flag('license', str, None, 'Of the weights, for the model card; you know it, the checkpoint does not. Default: not '
         'stated.', works_with=SAVED_MODEL),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.',
         choices=('alexnet_v2', 'alexnet')),
)


def main():
    flag_table.check_effects(ROWS)
    if not (FLAGS.output_dir or FLAGS.publish_dir):
        raise ValueError('--output_dir=FOLDER or --publish_dir=FOLDER is missing: say where the export goes.')
    kinds.check_package(FLAGS.to)
    if FLAGS.publish_dir:
        writing.check_writable(FLAGS.publish_dir, 'publish_dir')
    else:
        check_new(FLAGS.output_dir)
    flag_table.check_paths(ROWS)
    load_tensorflow()
    from alexnet_tf.model import loading
    from alexnet_tf.serving import publishing
    logging.set_verbosity(logging.WARNING)  # saving prints a dozen lines about TensorFlow's own names
    loaded = loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name, dtype=FLAGS.precision)
    exported = f'Exported {loaded.spec.model_name} at step {loaded.step} ({loaded.checkpoint}) to'
    if FLAGS.publish_dir:
        path, what = publishing.publish(FLAGS.publish_dir, lambda place: write_saved_model(loaded, place))
        print(f'{exported} {path}: {what}.')
    else:
        print(f'{exported} {FLAGS.output_dir}: {FORMATS[FLAGS.to](loaded, FLAGS.output_dir)}.')


def check_new(folder):
    """Refuses, before anything is loaded, a folder that cannot be written to or holds something."""
    writing.check_writable(folder, 'output_dir')
    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise ValueError(f'--output_dir={folder} exists and is not empty; choose another or delete it.')


def cli():
    command.run('export', main, ROWS)


if __name__ == '__main__':
    cli()
