"""What is in a picture: the five most probable classes of each image, by a checkpoint, a SavedModel or a server.

    python -m alexnet_tf.predict --checkpoint_path=runs/one photo.jpg folder *.png
    python -m alexnet_tf.predict --saved_model=exported folder --json_lines > answers.jsonl
    python -m alexnet_tf.predict --server=localhost:8500 photo.jpg

Of a folder, all JPEG and PNG files in it and in its folders are read. A name that begins with a dash is written
./-x.jpg, or after --. Exit status: 0, or 3 where an image could not be read; the others are answered all the same.
"""
import contextlib
import sys

from absl import flags

from alexnet_tf.console import command, flag_table, terminal
from alexnet_tf.console.flag_table import SET, UNSET, Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places

FLAGS = flags.FLAGS
LOCAL = (('saved_model', UNSET), ('server', UNSET))
SOME_UNREADABLE = 3
ROWS = (
    Flag('images', list, None, 'Required: image files and folders. They may be given without --images=, each as an '
         'argument of its own.', required=True),
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.', works_with=LOCAL,
         check_path=places.check_checkpoint),
    Flag('saved_model', str, None, 'Instead of a checkpoint: folder with an exported SavedModel. It is a program, '
         'which is run.', works_with=(('server', UNSET),), check_path=places.check_saved_model),
    Flag('server', str, None, 'Instead of a checkpoint: TensorFlow Serving, as host:port (gRPC) or http://host:port '
         '(REST).'),
    Flag('served_name', str, 'alexnet', 'Name of the model on the server.', works_with=(('server', SET),)),
    Flag('server_timeout_secs', float, 60, 'How long one answer of the server may take.', 0.1,
         works_with=(('server', SET),)),
    Flag('views', str, '1', '1: the center. 10: corners, center and their mirrors, probabilities averaged.',
         choices=('1', '10')),
    Flag('json_lines', bool, False, 'Print a JSON object a line: file, classes and probabilities, or file and error.'),
    Flag('batch_size', int, 100, 'Images at once.', 1),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.', choices=('alexnet_v2', 'alexnet'),
         works_with=LOCAL),
    Flag('precision', str, 'float32', 'Arithmetic. auto: bfloat16 where the processor multiplies it in hardware.',
         choices=('float32', 'bfloat16', 'auto'), works_with=LOCAL),
)


def main():
    flag_table.check_effects(ROWS)
    flag_table.check_paths(ROWS)
    from alexnet_tf.prediction import image_files
    found = image_files.find(FLAGS.images, log)
    with contextlib.redirect_stdout(sys.stderr):
        source = choose_source()
    unreadable = print_answers(found, source)
    if unreadable:
        log(f'{unreadable} of {len(found)} could not be read; they are named above.')
        sys.exit(SOME_UNREADABLE)


def log(text):
    """Standard output has answers alone, so that a program can read it."""
    print(text, file=sys.stderr)


def choose_source():
    """A function of a list of encoded images that gives their Answers; says which it is."""
    num_views = int(FLAGS.views)
    if FLAGS.server:
        from alexnet_tf.prediction import client
        return client.connect(FLAGS.server, model_name=FLAGS.served_name, views=num_views,
                              timeout=FLAGS.server_timeout_secs).predict
    load_tensorflow()
    if FLAGS.saved_model:
        from alexnet_tf.prediction import exported
        return exported.SavedModel(FLAGS.saved_model, num_views=num_views)
    from alexnet_tf.model import loading, precision
    from alexnet_tf.prediction import checkpoint
    policy, reason = precision.choose(FLAGS.precision)
    loaded = loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name, dtype=policy)
    print(f'{loaded.spec.model_name} from {loaded.checkpoint}; {reason}.')
    return checkpoint.Network(loaded, num_views=num_views)


def print_answers(found, source):
    """Prints the answers on standard output, and on standard error what cannot be read. Returns: how many that are."""
    from alexnet_tf.console.progress import Progress
    from alexnet_tf.prediction import answers, printing
    done = unreadable = 0
    progress = Progress(len(found), 'images', log)
    for batch in answers.of_files(found, source, batch_size=FLAGS.batch_size):
        for path, answer in batch:
            if isinstance(answer, str):
                unreadable += 1
                log(f'{terminal.printable(path)}: {terminal.sentence(answer)}')
            if FLAGS.json_lines:
                print(printing.json_line(path, answer))
            elif not isinstance(answer, str):
                print(printing.block(path, answer))
        sys.stdout.flush()  # a program that reads them need not wait for the end
        done += len(batch)
        if len(found) > 1:
            progress.update(done)
    if len(found) > 1:
        progress.finish()
    return unreadable


def cli():
    command.run('predict', main, ROWS, positional='images')


if __name__ == '__main__':
    cli()
