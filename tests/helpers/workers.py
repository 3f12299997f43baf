"""Clusters of real processes on this machine: a worker each, with an address of its own of 127.0.0.x."""
import json
import socket

from tests.helpers.small_processes import Started

FLAGS = ('--precision=float32', '--intra_op_threads=1', '--batch_size=32', '--learning_rate_decay_type=fixed',
         '--learning_rate=0.0001', '--color_noise=0.1', '--dropout_keep_prob=0.5', '--log_every_n_steps=1',
         '--validate_every_n_steps=20', '--max_number_of_steps=50')


def free_addresses(count):
    """Addresses of which nobody uses the port now: TensorFlow listens on it at all addresses of the machine."""
    sockets = [socket.create_server(('', 0)) for _ in range(count)]
    addresses = [f'127.0.0.{number + 2}:{each.getsockname()[1]}' for number, each in enumerate(sockets)]
    for each in sockets:
        each.close()
    return addresses


def tf_config(addresses, index):
    return {'TF_CONFIG': json.dumps({'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}})}


def start(folder, index, addresses, *arguments, die_at=None):
    """One worker of a training with narrow networks, as a small_processes.Started. die_at: of narrow."""
    return Started('train_image_classifier', '--strategy=multi_worker', f'--train_dir={folder}', *FLAGS, *arguments,
                   module='narrow', environment=tf_config(addresses, index) | ({'DIE_AT': die_at} if die_at else {}))


def start_all(folder, count, *arguments, deaths=()):
    """deaths: {index: die_at} of workers that kill themselves."""
    addresses = free_addresses(count)
    return [start(folder, index, addresses, *arguments, die_at=dict(deaths).get(index)) for index in range(count)]


def ended(workers, timeout=300):
    """[(exit status, what it printed)] of workers, in their order."""
    printed = [worker.communicate(timeout) for worker in workers]
    return [(worker.returncode, text) for worker, text in zip(workers, printed)]


def alone(folder, *arguments):
    """What one process prints that trains as a cluster would."""
    return check_ended([Started('train_image_classifier', f'--train_dir={folder}', *FLAGS, *arguments,
                                module='narrow')])[0]


def check_ended(workers, status=0):
    """What workers print that end with a status, all of them."""
    results = ended(workers)
    assert {each for each, _ in results} == {status}, '\n'.join(text for _, text in results)
    return [text for _, text in results]


def finish(folder, count, *arguments):
    """What the workers of a training that goes to its end print."""
    return check_ended(start_all(folder, count, *arguments))
