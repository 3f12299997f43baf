"""A small training run, made of the project's real parts: in the tests' process (`train`), or in one of its own.

    python -m tests.helpers.small_run TRAIN_DIR [--steps=40] [--die_at=STAGE:COUNT] [--num_clones=2] [--pause=SECONDS]
        [--save_secs=0] [--decode_threads=1] [--intra_op_threads=3] [--inter_op_threads=1]
        [--cores=1] [--stall_at=READ] [--nan_at=STEP] [--validate_every=10] [--largest_file=BYTES]

Trains a network of two layers on the CIFAR-10 sample, saves after every step (unless save_secs says otherwise) and
prints the hash of all that a checkpoint holds. die_at: kill -9 of itself when it passes a stage of saving (STAGES) for
the COUNTth time. decode_threads: 0: one per core. stall_at: that read of a record in training takes an hour. nan_at:
that step's loss is NaN, once. cores: how many it may use. largest_file: the system lets no file grow beyond it.
"""
import argparse
import dataclasses
import functools
import hashlib
import itertools
import os
import resource
import signal
import time

import numpy as np
import tensorflow as tf
import tf_keras

from alexnet_tf.console import command, signals, terminal
from alexnet_tf.data import datasets
from alexnet_tf.files import writing
from alexnet_tf.model import evaluation
from alexnet_tf.run_folder import checkpoints, lock
from alexnet_tf.training import loop, optimizers, run, start
from alexnet_tf.training.devices import make_strategy
from alexnet_tf.training.pace import Pace
from alexnet_tf.training.plateau import Plateau
from alexnet_tf.training.schedules import Decay
from nets import keras_layers, slim_checkpoints

# What is called while a checkpoint is written, in this order, and for which paths, and a validation; death comes before
# or after it.
STAGES = {
    'tensors': (slim_checkpoints, 'save', None), 'sync': (writing, 'sync', None),
    'manifest': (writing, 'write_json', None), 'rename': (os, 'replace', None),
    'state': (writing, 'write_text', lambda path: path.endswith('/checkpoint')),
    'removal': (os, 'remove', os.path.exists), 'best': (checkpoints, 'save_best', None), 'link': (os, 'link', None),
    'validation': (evaluation, 'evaluate', None)}
MEAN = (120.0, 110.0, 100.0)
RATES = Decay('plateau', 1e-6)


def arm(die_at):
    """Puts a kill -9 into a function: 'stage:count' before the countth call, 'stage:count:after' behind it."""
    stage, count, *after = die_at.split(':')
    module, name, counts = STAGES[stage]
    function, calls = getattr(module, name), []

    @functools.wraps(function)
    def deadly(*args, **kwargs):
        if counts and not counts(args[0]):
            return function(*args, **kwargs)
        calls.append(None)
        if len(calls) == int(count) and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if len(calls) == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, deadly)


def stall(at):
    reads, pread = [], os.pread

    def stalling(*arguments):
        reads.append(None)
        if len(reads) == at:
            print('stalled')
            time.sleep(3600)
        return pread(*arguments)
    os.pread = stalling


def breaking(step, at, times):
    """The train step, its loss NaN at a step for the first `times` times."""
    seen = []

    def broken(images, labels, number):
        loss = step(images, labels, number)
        if int(number) == at and len(seen) < times:
            seen.append(number)
            return loss * float('nan')
        return loss
    return broken


def network():
    tf_keras.utils.set_random_seed(1)
    images = tf_keras.Input([32, 32, 3])
    net = keras_layers.Convolution(8, 8, 8, activation='relu', name='conv1')(images)
    net = keras_layers.Dropout(0.5, name='dropout')(net)
    logits = keras_layers.Convolution(10, 4, padding='VALID', squeeze=True, name='fc8')(net)
    return tf_keras.Model(images, logits, name='small')


def state_hash(tensors):
    """SHA-256 of {name: variable}: names and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def begin(train_dir=None, num_clones=1, log=print):
    """The State of the small run; train_dir: where it goes on."""
    with make_strategy(num_clones, num_clones > 1)[0].scope():
        return run.begin(network(), optimizer=optimizers.make('momentum'), plateau=Plateau(2), train_dir=train_dir,
                         log=log)


def first(dataset, count):
    """A Dataset of the first records of one."""
    index = dataset.index
    return dataclasses.replace(dataset, index=dataclasses.replace(
        index, starts=np.minimum(index.starts, count), offset=index.offset[:count], length=index.length[:count]))


def pieces(state, decode_threads=1):
    """(train step, step -> batches, validation) of the small run."""
    dataset, validation = (datasets.open_dataset(datasets.SAMPLE_DIR, split) for split in ('train', 'validation'))
    return run.pieces(state, dataset, first(validation, 100), batch_size=8, mean=MEAN, seed=0,
                      num_threads=decode_threads or None)


def pace(steps, **changes):
    return Pace(**{'max_steps': steps, 'batch_size': 8, 'num_examples': 2000, 'validate_every': 10,
                   'log_every': 1, 'save_secs': 0} | changes)


@functools.cache
def once():
    """(State, pieces, {name: initial value}) for all runs of this process: tracing steps and pipelines takes seconds.

    The batches are those of the first 31 steps.
    """
    state = begin()
    step, batches, validate = pieces(state)
    kept = list(itertools.islice(batches(0), 31))
    initial = {name: variable.numpy() for name, variable in state.tensors().items()}
    return state, (step, lambda start: kept[start:], validate), initial


def fresh():
    """The State of a new run in the tests' own process."""
    state, _, initial = once()
    for name, variable in state.tensors().items():
        variable.assign(initial[name])
    return state


def train(folder, steps, *, step=None, batches=None, validate=None, pictures=None, notice=None, log=lambda _: None,
          **changes):
    """Trains in the tests' own process, from the last checkpoint of a folder.

    Args:
      step, batches, validate: functions of the run's own such piece, which give the one to take in its place.
      pictures: of loop.train. changes: of the Pace, whose save_secs is 1000 here.

    Returns: (State, last evaluation.Result).
    """
    state, made = fresh(), once()[1]
    start.restore(state, str(folder), log=log)
    train_step, batches_from, validation = (
        change(own) if change else own for change, own in zip((step, batches, validate), made))
    return state, loop.train(state, train_step, batches_from, train_dir=str(folder), rates=RATES, validate=validation,
                             pace=pace(steps, **{'save_secs': 1000} | changes), pictures=pictures, notice=notice,
                             log=log)


def go(train_dir, steps, num_clones, pause, save_secs, decode_threads, stall_at, nan_at, validate_every):
    with signals.noted('small_run') as notice, lock.hold(train_dir):
        checkpoints.remove_leftovers(train_dir)
        state = begin(train_dir, num_clones)
        step, batches, validate = pieces(state, decode_threads)
        if stall_at:
            stall(stall_at)

        def slow_step(*batch):
            time.sleep(pause)
            return step(*batch)
        loop.train(state, breaking(slow_step, nan_at, 1), batches, train_dir=train_dir, rates=RATES, validate=validate,
                   pace=pace(steps, save_secs=save_secs, max_rollbacks=1, validate_every=validate_every),
                   notice=notice)
        print('traces', step.experimental_get_tracing_count())
        print('hash', state_hash(state.tensors()))


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument('train_dir')
    parser.add_argument('--steps', type=int, default=40)
    parser.add_argument('--die_at')
    parser.add_argument('--num_clones', type=int, default=1)
    parser.add_argument('--pause', type=float, default=0.0)
    parser.add_argument('--save_secs', type=float, default=0.0)
    parser.add_argument('--decode_threads', type=int, default=1)
    parser.add_argument('--intra_op_threads', type=int, default=3)
    parser.add_argument('--inter_op_threads', type=int, default=0)
    parser.add_argument('--stall_at', type=int)
    parser.add_argument('--nan_at', type=int)
    parser.add_argument('--validate_every', type=int, default=10)
    parser.add_argument('--cores', type=int)
    parser.add_argument('--largest_file', type=int)
    arguments = vars(parser.parse_args(arguments))
    die_at, cores, size = map(arguments.pop, ('die_at', 'cores', 'largest_file'))
    tf.config.threading.set_intra_op_parallelism_threads(arguments.pop('intra_op_threads'))
    tf.config.threading.set_inter_op_parallelism_threads(arguments.pop('inter_op_threads'))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    if size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if die_at:
        arm(die_at)
    terminal.guard_terminal()
    command.guarded('small_run', lambda: go(**arguments), [])


if __name__ == '__main__':
    main()
