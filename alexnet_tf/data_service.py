"""Input on other machines: the dispatcher and the workers of a tf.data service, which decode images for a training.

    python -m alexnet_tf.data_service --port=5050                          # the dispatcher, on the machine 10.0.0.5
    python -m alexnet_tf.data_service --dispatcher=grpc://10.0.0.5:5050    # a worker
    python train_image_classifier.py --dataset_dir=/shared/records --data_service=grpc://10.0.0.5:5050

One dispatcher, and a worker on each machine that decodes. Workers read the records themselves: mount their folder
under the same path as on the training machine. Whoever reaches a port of the service can run TensorFlow graphs there:
keep it inside a closed network. docs/cluster.md says more.
"""
import os
import time

from absl import flags

from alexnet_tf.console import command, flag_table, signals
from alexnet_tf.console.flag_table import SET, UNSET, Flag
from alexnet_tf.console.loading import load_tensorflow
from alexnet_tf.data import service_address
from alexnet_tf.files import writing

FLAGS = flags.FLAGS
OF_WORKER = (('dispatcher', SET),)

ROWS = (
    Flag('port', int, None, 'Port to listen on. Default: 5050 for a dispatcher, any free one for a worker.', 1, 65535),
    Flag('dispatcher', str, None, 'Be a worker of the dispatcher at this address, as grpc://10.0.0.5:5050. Default: be '
         'a dispatcher, which gives the workers their steps.',
         valid=(service_address.is_address, service_address.RULE)),
    Flag('host', str, None, 'Name or address under which the training reaches this worker. Default: the one from which '
         'this machine reaches the dispatcher.', valid=(service_address.is_host, service_address.HOST_RULE),
         works_with=OF_WORKER),
    Flag('timeout_secs', float, 60, 'Seconds to wait for the dispatcher at the start.', 1, works_with=OF_WORKER),
    Flag('work_dir', str, None, "Folder for the dispatcher's journal. With it a dispatcher that is started again goes "
         'on where it ended. Default: none.', works_with=(('dispatcher', UNSET),)),
)


def main():
    flag_table.check_effects(ROWS)
    _kept, sentence = worker() if FLAGS.dispatcher else dispatcher()
    with signals.noted('data_service') as notice:
        notice.is_watched = True
        print(sentence)
        while not notice.number:
            time.sleep(0.1)
        notice.check()  # ends the process without stopping the server, which would wait for the other roles


def dispatcher():
    """(what must be kept, what to say) of a dispatcher that runs."""
    port = FLAGS.port or 5050
    service_address.check_free(port)
    if FLAGS.work_dir:
        writing.check_writable(FLAGS.work_dir, 'work_dir')
        os.makedirs(FLAGS.work_dir, exist_ok=True)
    service = _loaded()
    server = service.DispatchServer(service.DispatcherConfig(
        port=port, protocol='grpc', work_dir=FLAGS.work_dir, fault_tolerant_mode=bool(FLAGS.work_dir)))
    return server, f'The dispatcher listens on port {port}.'


def worker():
    """The same of a worker."""
    if FLAGS.port:
        service_address.check_free(FLAGS.port)
    host = service_address.wait_for(service_address.Service(FLAGS.dispatcher, FLAGS.timeout_secs))
    host = FLAGS.host or (f'[{host}]' if ':' in host else host)
    service = _loaded()
    from alexnet_tf.data import service_reader
    registered = service_reader.register()
    server = service.WorkerServer(service.WorkerConfig(
        dispatcher_address=FLAGS.dispatcher.removeprefix('grpc://'), protocol='grpc', port=FLAGS.port or 0,
        worker_address=f'{host}:%port%', data_transfer_address=f'{host}:%dts_port%'))
    return (server, registered), f'The worker {host} decodes for {FLAGS.dispatcher}.'


def _loaded():
    load_tensorflow()
    import tensorflow as tf
    tf.config.set_visible_devices([], 'GPU')  # decoding is for the cores
    return tf.data.experimental.service


def cli():
    command.run('data_service', main, ROWS)


if __name__ == '__main__':
    cli()
