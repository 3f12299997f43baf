"""A page in the browser: drop a photograph, see the five most probable classes and the kernels that answered.

    python -m alexnet_tf.demo --checkpoint_path=runs/one
    python -m alexnet_tf.demo --checkpoint_path=runs/one --port=8080

Only this machine can open the page, unless --host says otherwise. It needs Gradio: pip install -e '.[demo]'. What
visitors give is removed after a minute. Ctrl-C ends it.
"""
import time

from absl import flags

from alexnet_tf.console import command, signals
from alexnet_tf.console.flag_table import Flag
from alexnet_tf.console.loading import load_tensorflow

FLAGS = flags.FLAGS
MOST_NAMED = 20  # classes at the top of the page
ROWS = (
    Flag('checkpoint_path', str, 'runs/alexnet', 'A checkpoint, or a folder: its latest.'),
    Flag('model_name', str, None, 'Network of a checkpoint without a model.json.', choices=('alexnet_v2', 'alexnet')),
    Flag('host', str, '127.0.0.1', 'Address of this machine to listen at. 0.0.0.0: all of them, so that others can '
         'open the page. It asks for no password.'),
    Flag('port', int, 7860, 'Port to listen on.', 1, 65535),
)


def main():
    from alexnet_tf.web_page import listening
    listening.check_installed()
    with listening.listen(FLAGS.host, FLAGS.port) as socket:
        load_tensorflow()
        from alexnet_tf.model import loading
        from alexnet_tf.web_page import answering, server
        loaded = loading.load(FLAGS.checkpoint_path, model_name=FLAGS.model_name)
        answers = answering.Answering(loaded)
        with server.serving(socket, answers, *words(loaded)), signals.noted('demo') as notice:
            notice.is_watched = True
            print(f'Open {listening.url(FLAGS.host, FLAGS.port)} in a browser; Ctrl-C ends it.')
            while not notice.number:
                time.sleep(0.1)
            notice.check()


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
