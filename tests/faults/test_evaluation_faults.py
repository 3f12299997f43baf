"""Evaluation: the same counts whatever the batches and files; checkpoints that vanish while they are read."""
import dataclasses
import json
import os
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import datasets
from alexnet_tf.data.batches import EvaluationBatches
from alexnet_tf.model import building, evaluation, loading, specs
from nets import slim_checkpoints
from tests.helpers.processes import run_python

COUNT, CLASSES, SIZE = 41, 7, 32


def random_tables():
    """(labels [COUNT], logits [COUNT, CLASSES] of small whole numbers: full of ties)."""
    random = np.random.default_rng(2)
    return random.integers(0, CLASSES, COUNT), random.integers(0, 4, [COUNT, CLASSES]).astype(np.float32)


LABELS, LOGITS = random_tables()


def write_shards(folder, order, sizes):
    """A slim folder: example n is an image of red 6 n. order: of examples; sizes: of shards, written last one first."""
    folder.mkdir()
    (folder / 'labels.txt').write_text(''.join(f'{label + 1}:class {label}\n' for label in range(CLASSES)))
    starts = np.cumsum([0, *sizes])
    for shard in reversed(range(len(sizes))):
        with tf.io.TFRecordWriter(str(folder / f'validation-{shard:05d}-of-{len(sizes):05d}')) as writer:
            for number in order[starts[shard]:starts[shard + 1]]:
                image = np.zeros([40, 50, 3], np.uint8)
                image[..., 0] = 6 * number
                features = {'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(
                    value=[tf.io.encode_png(image).numpy()])), 'image/class/label': tf.train.Feature(
                        int64_list=tf.train.Int64List(value=[LABELS[number] + 1]))}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return folder


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """The same examples: in order in one file; in two other orders in several files, some very small."""
    root = tmp_path_factory.mktemp('orders')
    shuffled, reversed_ = np.random.default_rng(1).permutation(COUNT), np.arange(COUNT)[::-1]
    return [write_shards(root / 'one', np.arange(COUNT), [COUNT]),
            write_shards(root / 'shuffled', shuffled, [20, 1, 20]),
            write_shards(root / 'reversed', reversed_, [1] * COUNT)]


def score(folder, batch_size, **kwargs):
    """(Result, the numbers of the examples in the order in which they were scored); goes over the batches twice."""
    images = tf_keras.Input([SIZE, SIZE, 3])
    rows = tf_keras.layers.Lambda(lambda images: tf.gather(
        tf.constant(np.c_[LOGITS, np.arange(COUNT)]), tf.cast(tf.round(images[:, 16, 16, 0] / 6), tf.int32)))(images)
    dataset = datasets.open_dataset(str(folder), 'validation')
    batches = EvaluationBatches(dataset, batch_size=batch_size, image_size=SIZE, **kwargs)
    step = evaluation.make_eval_step([(tf_keras.Model(images, rows[:, :-1]), np.zeros(3, np.float32), SIZE)])
    numbers = evaluation.make_eval_step([(tf_keras.Model(images, rows[:, -1:]), np.zeros(3, np.float32), SIZE)])
    result, _, labels = evaluation.evaluate(step, batches, len(dataset))
    again, seen, _ = evaluation.evaluate(lambda images, _: numbers(images, tf.zeros(len(images), tf.int64)), batches,
                                         len(dataset), keep_scores=True)
    assert again.num_examples == result.num_examples and len(labels) == len(seen)
    seen = seen[:, 0].astype(int)
    np.testing.assert_array_equal(labels, LABELS[seen])
    return result, seen.tolist()


def rank(row, label):
    return sum(value > row[label] or (value == row[label] and other < label) for other, value in enumerate(row))


@pytest.mark.parametrize('batch_size', [1, 7, 40, COUNT, 100])
def test_counts_do_not_depend_on_batches_files_or_repetition(batch_size, folders):
    ranks = np.array([rank(row, label) for row, label in zip(LOGITS, LABELS)])
    expected = COUNT, (ranks < 1).mean(), (ranks < 5).mean()
    assert 0 < expected[1] < expected[2] < 1
    orders = []
    for folder in folders:
        result, seen = score(folder, batch_size, num_threads=1 if batch_size == 7 else None)
        assert (result.num_examples, result.accuracy, result.recall_5) == expected
        assert sorted(seen) == list(range(COUNT))  # every example, once
        orders.append(seen)
    assert orders[0] == list(range(COUNT)) == orders[2][::-1] and orders[0] != orders[1]


# --- checkpoints that vanish -----------------------------------------------------------------------

# argv: how, run, records, more flags. At the first reading of model.ckpt-1 training goes on: model.ckpt-2 is there and
# the files of the first vanish, as `how` says. Prints what eval_image_classifier prints.
VANISH = '''
import glob, os, sys, threading, time
how, run, records, *more = sys.argv[1:]
import eval_image_classifier as script
from absl import flags
from alexnet_tf.console import command
from alexnet_tf.model import loading
from nets import slim_checkpoints

def remove(*endings):
    for path in glob.glob(os.path.join(run, 'model.ckpt-1.*')):
        if any(ending in path for ending in endings):
            os.remove(path)

def go_on():
    if how == 'between':
        remove('.index', '.data')
    elif how == 'data first':  # and the index a moment later, as two calls of os.remove are
        remove('.data')
        threading.Timer(0.5, remove, ['.index']).start()
    elif how == 'index first':
        remove('.index')
        threading.Timer(0.5, remove, ['.data']).start()
    elif how == 'cut':  # stays, and is damaged
        path, = glob.glob(os.path.join(run, 'model.ckpt-1.data*'))
        content = open(path, 'rb').read(1000)
        os.remove(path)
        open(path, 'wb').write(content)

class Reader:
    def __init__(self, reader):
        self._reader, self._left = reader, 3
    def __getattr__(self, name):
        return getattr(self._reader, name)
    def get_tensor(self, name):
        self._left -= 1
        if self._left == 0 and how == 'amid':
            remove('.index', '.data')
            raise IndexError('Read less bytes than requested')  # what TensorFlow raises when it cannot go on
        return self._reader.get_tensor(name)

read, build = slim_checkpoints.read, loading.models.build
def build_and_go_on(*args, **kwargs):
    model = build(*args, **kwargs)
    go_on()
    return model
loading.models.build = build_and_go_on
slim_checkpoints.read = lambda path: Reader(read(path)) if path.endswith('-1') else read(path)

script.define_flags()
rest = flags.FLAGS(['x', '--checkpoint_path=' + run, '--dataset_dir=' + records, *more])
def train_on():
    time.sleep(1)
    for path in glob.glob(os.path.join(os.path.dirname(run), 'kept', 'model.ckpt-1.*')):
        os.link(path, os.path.join(run, os.path.basename(path).replace('ckpt-1', 'ckpt-2')))
threading.Thread(target=train_on).start()
command.guarded('eval_image_classifier', script.main, rest)
'''


@pytest.fixture(scope='module')
def kept(tmp_path_factory):
    """A folder with one checkpoint of an untrained alexnet_v2 for the sample's classes."""
    folder = tmp_path_factory.mktemp('vanishing') / 'kept'
    names = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').class_names
    spec = specs.Spec('alexnet_v2', 224, names, (120.0, 110.0, 100.0), 1)
    specs.write_spec(spec, str(folder))
    variables = slim_checkpoints.named_variables(building.build(spec))
    slim_checkpoints.save({name: 0.01 * tf.random.stateless_normal(variable.shape, [1, 2])
                           for name, variable in variables.items()}, str(folder / 'model.ckpt-1'))
    return folder


def copy_of(kept, name):
    """A run's folder with the same checkpoint, without copying 200 MB."""
    folder = kept.parent / name
    folder.mkdir()
    for path in kept.iterdir():
        os.link(path, folder / path.name)
    return folder


@pytest.mark.parametrize('how', ['amid', *(
    pytest.param(how, marks=pytest.mark.slow) for how in ('between', 'data first', 'index first'))])
def test_a_checkpoint_that_vanishes_while_it_is_read_is_named_and_the_next_one_scored(how, kept, small_records):
    run = copy_of(kept, how.replace(' ', '_'))
    result = run_python('-c', VANISH, how, run, small_records, '--wait_for_checkpoints', '--wait_timeout_secs=2')
    first = result.stdout.find('model.ckpt-1 cannot be scored (it was removed by the training run); going on')
    second = result.stdout.find(f'Scoring alexnet_v2 from {run}/model.ckpt-2 on 20 images')
    assert 0 <= first < second, result.stdout
    assert result.stdout.count('eval/Accuracy') == 1 and 'No new checkpoint in' in result.stdout
    found = json.loads((run / 'eval' / 'eval_results.json').read_text())
    assert (found['num_examples'], found['global_step']) == (20, 2)


def test_a_damaged_checkpoint_that_stays_ends_the_evaluation(kept, small_records):
    run = copy_of(kept, 'cut')
    result = run_python('-c', VANISH, 'cut', run, small_records, '--wait_for_checkpoints', '--wait_timeout_secs=2',
                        check=False)
    assert result.returncode == 1 and 'is damaged or was removed' in result.stderr
    assert 'Traceback' not in result.stderr and not (run / 'eval').exists()


@pytest.mark.slow
def test_without_waiting_a_vanished_checkpoint_is_a_sentence(kept, small_records):
    run = copy_of(kept, 'once')
    result = run_python('-c', VANISH, 'between', run, small_records, check=False)
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert 'damaged or was removed' in result.stderr or 'no readable checkpoint at' in result.stderr


LAST = 6
# argv: run, records. Prints the process's memory in MB after every checkpoint.
FOLLOW = '''
import resource, sys
import eval_image_classifier as script
from absl import flags
from alexnet_tf.console import command
run, records = sys.argv[1:3]
script.define_flags()
rest = flags.FLAGS(['x', '--checkpoint_path=' + run, '--dataset_dir=' + records, '--wait_for_checkpoints',
                    '--wait_timeout_secs=4'])
once = script.evaluate_once
def measured(*args):
    result = once(*args)
    with open('/proc/self/status') as file:
        print('memory', [int(line.split()[1]) // 1024 for line in file if line.startswith('VmRSS')][0], flush=True)
    return result
script.evaluate_once = measured
command.guarded('eval_image_classifier', script.main, rest)
'''


def test_the_next_checkpoint_is_loaded_into_the_same_model_unless_the_network_is_another(kept):
    run = copy_of(kept, 'reused')
    first = loading.load(str(run))
    biases = slim_checkpoints.named_variables(first.model)['alexnet_v2/fc8/biases']
    stored = biases.numpy()
    biases.assign(0 * biases)
    again = loading.load(str(run), reuse=first)
    assert again.model is first.model and stored.any()
    np.testing.assert_array_equal(biases.numpy(), stored)
    (run / 'model.json').unlink()  # a link to the one in `kept`
    specs.write_spec(dataclasses.replace(first.spec, mean=(1.0, 2.0, 3.0)), str(run))
    assert loading.load(str(run), reuse=first).model is not first.model


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='reads the memory as Linux shows it')
def test_following_a_run_that_keeps_one_checkpoint_does_not_fill_the_memory(kept, small_records):
    """Another thread writes checkpoints and removes the one before at once, as fast as they are scored."""
    run, stop = copy_of(kept, 'followed'), threading.Event()
    results = run / 'eval' / 'eval_results.json'

    def train():
        for step in range(1, LAST):
            while not stop.is_set() and (not results.exists() or json.loads(results.read_text())['global_step'] < step):
                time.sleep(0.05)
            for path in sorted(kept.glob('model.ckpt-1.*')):  # the data before the index, as TensorFlow does
                os.link(path, run / path.name.replace('ckpt-1', f'ckpt-{step + 1}'))
            for path in run.glob(f'model.ckpt-{step}.*'):
                path.unlink()

    thread = threading.Thread(target=train)
    thread.start()
    try:
        printed = run_python('-c', FOLLOW, run, small_records).stdout
    finally:
        stop.set()
        thread.join()
    memory = [int(line.split()[1]) for line in printed.splitlines() if line.startswith('memory')]
    assert len(memory) == LAST and json.loads(results.read_text())['global_step'] == LAST, printed
    assert memory[-1] - memory[0] < 400, memory  # a network has 200 MB; one for every checkpoint would be 1,000 more


def test_an_eval_dir_that_cannot_be_written_is_refused_before_the_scoring(kept, small_records):
    run = copy_of(kept, 'unwritable')
    (run / 'eval').write_text('')  # where results go when nothing is said; test_flags_faults.py says something
    result = run_python('eval_image_classifier.py', f'--checkpoint_path={run}', f'--dataset_dir={small_records}',
                        check=False)
    assert result.returncode == 1 and '--eval_dir=' in result.stderr and 'Traceback' not in result.stderr
    assert 'Scoring' not in result.stdout
