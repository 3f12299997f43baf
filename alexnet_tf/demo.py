"""A page in the browser: drop a photograph, see the five most probable classes and the kernels that answered.

    python -m alexnet_tf.demo --checkpoint_path=runs/one
    python -m alexnet_tf.demo --checkpoint_path=runs/one --index=neighbors    and the nearest training images

Only this machine can open the page, unless --host says otherwise. It needs Gradio: pip install -e '.[demo]'. What
visitors give is removed after ten minutes. Ctrl-C ends it.
"""
import time

from absl import flags

from alexnet_tf.console import command, flag_table, signals
from alexnet_tf.console.flag_table import SET, Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.files import places
from alexnet_tf.neighbors import description

FLAGS = flags.FLAGS
MOST_NAMED = 20  # classes at the top of the page
ROWS = (
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.',
         check_path=places.check_checkpoint),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.', choices=('alexnet_v2', 'alexnet')),
    Flag('index', str, None, 'Folder that retrieval build has made: of its images the nearest are shown, too.',
         check_path=description.of_folder),
    Flag('dataset_dir', str, None, 'Folder with the TFRecords of the index. Default: where they were when it was '
         'built.', works_with=(('index', SET),), check_path=places.check_records),
    Flag('host', str, '127.0.0.1', 'Address of this machine to listen at. 0.0.0.0: all of them, so that others can '
         'open the page. It asks for no password.'),
    Flag('port', int, 7860, 'Port to listen on. 0: any that is free.', 0, 65535),
)


def main():
    flag_table.check_effects(ROWS)
    from alexnet_tf.web_page import listening
    listening.check_installed()
    flag_table.check_paths(ROWS)
    with listening.listen(FLAGS.host, FLAGS.port) as socket:
        load_tensorflow()
        from alexnet_tf.model import loading
        from alexnet_tf.web_page import answering, server
        loaded = loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name)
        answers = answering.Answering(loaded, open_index())
        hosts = listening.LOCAL if FLAGS.host in listening.LOCAL else None
        with server.serving(socket, answers, *words(loaded), hosts), signals.noted('demo') as notice:
            notice.is_watched = True
            if not hosts:
                print('Note: whoever reaches this machine over the network can open the page, without a password.')
            print(f'Open {listening.url(FLAGS.host, socket.getsockname()[1])} in a browser; Ctrl-C ends it.')
            while not notice.number:
                time.sleep(0.1)
            notice.check()


def open_index():
    """The Index of --index; None without it."""
    if not FLAGS.index:
        return None
    from alexnet_tf.neighbors import index
    return index.open_index(FLAGS.index, dataset_dir=FLAGS.dataset_dir)


def words(loaded):
    """(heading, a sentence on the network) for the top of the page."""
    spec = loaded.spec
    named = f': {", ".join(spec.class_names)}' if spec.num_classes <= MOST_NAMED else ''
    return 'What is in a photograph?', (f'{spec.model_name} at step {loaded.step} knows {spec.num_classes} '
                                        f'classes{named}.')


def cli():
    command.run('demo', main, ROWS)


if __name__ == '__main__':
    cli()
