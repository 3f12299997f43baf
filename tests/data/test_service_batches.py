"""Batches that a data service decodes are the local ones to the bit, and come in order, whatever happens there."""
import itertools
import re
import signal
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, service_reader
from alexnet_tf.data.batches import TrainingBatches
from alexnet_tf.data.service_address import Service
from alexnet_tf.data.service_batches import WINDOW, ServiceBatches
from alexnet_tf.run_folder import checkpoints, metrics
from nets import slim_checkpoints
from tests.helpers import data_service, shards
from tests.helpers.processes import NARROW, run_python
from tests.helpers.small_processes import Started

BASE = {'seed': 7, 'batch_size': 4, 'start_step': 5, 'image_size': 14}
SECONDS = 200


@pytest.fixture(scope='module')
def address():
    """Of a service with one worker. It is stopped by SIGTERM, and says so."""
    with data_service.running(1) as service:
        service.wait()
        yield service.address
        for role in (service.dispatcher, *service.workers):
            assert role.stop() == 128 + signal.SIGTERM
            assert role.said.splitlines()[-1] == 'data_service: stopped by SIGTERM', role.said
            assert 'Traceback' not in role.said


@pytest.fixture
def folder(tmp_path):
    """24 numbered pictures in three shards."""
    return shards.write(tmp_path / 'records', [shards.picture(number) for number in range(24)])


def opened(folder):
    return datasets.open_dataset(str(folder), 'train')


def served(dataset, address, count, *, log=print, timeout_secs=SECONDS, **options):
    """The first batches from a service."""
    return list(itertools.islice(
        ServiceBatches(dataset, service=Service(address, timeout_secs), log=log, **BASE | options), count))


def check_local(dataset, batches, **options):
    local = list(itertools.islice(TrainingBatches(dataset, **BASE | options), len(batches)))
    for (images, labels), (expected, expected_labels) in zip(batches, local):
        assert images.dtype == tf.uint8 and labels.dtype == tf.int64
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, expected_labels)


def test_batches_are_the_local_ones(folder, address):
    dataset, options = opened(folder), {'start_step': 0, 'seed': 8, 'batch_size': 7, 'image_size': 12,
                                        'resize_side_max': 20, 'resize_mode': 'warp'}
    batches = served(dataset, address, 9, **options)  # more than an epoch
    assert len(batches) == 9
    check_local(dataset, batches, **options)


def test_what_comes_in_another_order_or_never_changes_nothing(folder, address, monkeypatch):
    """The real service, made worse: batches change places, and some are lost."""
    service, lines = tf.data.experimental.service, []
    distribute, lost = service.distribute, [BASE['start_step'] + number for number in (0, 3, 4, 30)]

    def worse(*args, **kwargs):
        def apply(batches):
            steps = distribute(*args, **kwargs)(batches).shuffle(5, seed=1)
            return steps.filter(lambda images, labels, numbers, mark: tf.reduce_all(
                numbers[0] // BASE['batch_size'] != tf.constant(lost, tf.int64)))
        return apply
    monkeypatch.setattr(service, 'distribute', worse)
    dataset = opened(folder)
    check_local(dataset, served(dataset, address, WINDOW + 20, log=lines.append))
    assert len(lines) == 1 and re.match(f'The batch of step {lost[0]} was lost .* decoded here; so far 1', lines[0])


def test_batches_of_another_run_are_not_taken(folder, address, monkeypatch):
    """The real service, whose first answer is what a worker gives that still has another run's task."""
    service, lines, asked = tf.data.experimental.service, [], []
    distribute, dataset = service.distribute, opened(folder)

    def stale(*args, **kwargs):
        asked.append(args)
        if len(asked) > 1:
            return distribute(*args, **kwargs)
        return lambda batches: distribute(*args, **kwargs)(batches).map(
            lambda images, labels, numbers, mark: (255 - images, labels, numbers, mark + 1))
    monkeypatch.setattr(service, 'distribute', stale)
    check_local(dataset, served(dataset, address, 5, log=lines.append))
    assert len(asked) == 2 and len(lines) == 1 and 'has forgotten this run' in lines[0]


def test_what_is_not_found_again_and_again_is_said_in_the_end(folder, monkeypatch):
    """A service to which something else is unknown than the run."""
    asked = threading.Event()

    def unknown(*args, **kwargs):
        asked.set()
        raise tf.errors.NotFoundError(None, None, "Op type not registered 'New' in\nbinary")

    class Late:
        """A Service whose timeout begins when it was asked: making the pipeline takes however long."""
        address = 'grpc://127.0.0.1:1'

        @property
        def timeout_secs(self):
            asked.wait(SECONDS)
            return 1
    monkeypatch.setattr(tf.data.experimental.service, 'distribute', unknown)
    with pytest.raises(ValueError, match="no batch within 1 s; .* It said: Op type not registered 'New' in binary"):
        next(iter(ServiceBatches(opened(folder), service=Late(), **BASE)))


def refused(dataset, address):
    with pytest.raises(ValueError) as caught:
        served(dataset, address, 9)
    return str(caught.value)


def test_a_bad_record_ends_the_batches_and_is_named(folder, address):
    dataset = opened(folder)
    path = shards.shard(folder, 1)
    (at, length), *_ = shards.places(path)
    shards.flip(path, at + 12 + length // 2)
    said = refused(dataset, address)
    assert f'{path}, record 0' in said and 'checksum is wrong' in said


def test_an_image_that_cannot_be_decoded_ends_the_batches_and_is_named(tmp_path, address):
    images = [shards.picture(number) for number in range(24)]
    images[10] = images[10][:60]
    dataset = opened(shards.write(tmp_path, images))
    assert f'{shards.shard(tmp_path, 1)}, record 2: the image cannot be decoded' in refused(dataset, address)


def test_a_worker_with_other_records_or_other_software_refuses(folder, address, monkeypatch):
    dataset, known = opened(folder), service_reader.software()
    path = shards.shard(folder, 2)
    path.write_bytes(path.read_bytes()[:sum(shards.places(path)[-1][:1])])
    assert re.search(f'worker .* has other records in {folder} than the training: .*give both the same folder',
                     refused(dataset, address))
    path.unlink()
    assert re.search(f'worker .* has no {path}; .*mount the folder there under the same path',
                     refused(dataset, address))
    monkeypatch.setattr(service_reader, 'software', lambda: known | {'the code in alexnet_tf/data': 'checksum 0'})
    assert re.search('worker .* has the code in alexnet_tf/data checksum .*, the training has checksum 0; install the '
                     'same', refused(dataset, address))


# Whole trainings, in processes of their own ----------------------------------------------------------------


STEPS = 200


def training(folder, *more):
    """Arguments of a short training of a narrow network on the sample."""
    return ['train_image_classifier', f'--train_dir={folder}', '--batch_size=16', f'--max_number_of_steps={STEPS}',
            '--log_every_n_steps=1', '--validation_split_name=', '--learning_rate_decay_type=fixed',
            '--intra_op_threads=1', '--precision=float32', *more]


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """What a run without a service ends with."""
    folder = tmp_path_factory.mktemp('undisturbed')
    run_python(*NARROW, *training(folder))
    return result(folder)


def result(folder):
    """({variable: value}, losses) of a training that ended."""
    path = checkpoints.find(str(folder))
    assert path.endswith(f'-{STEPS}')
    reader = slim_checkpoints.read(path)
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return values, [row['loss'] for row in metrics.read(str(folder))]


def check_same(folder, undisturbed):
    values, losses = result(folder)
    assert losses == undisturbed[1] and values.keys() == undisturbed[0].keys()
    for name, value in undisturbed[0].items():
        np.testing.assert_array_equal(values[name], value)


def finish(process):
    start = time.monotonic()
    said = process.communicate(timeout=400)
    print(f'{said}\nended after {time.monotonic() - start:.1f} s with {process.returncode}')
    return said


def started(folder, service, timeout_secs=120):
    return Started(*training(folder, f'--data_service={service.address}',
                             f'--data_service_timeout_secs={timeout_secs}'), module='narrow')


@pytest.mark.slow
def test_a_worker_is_killed_and_another_comes(tmp_path, undisturbed):
    with data_service.running(2) as service:
        process = started(tmp_path, service)
        process.wait_for('step 10/')
        service.workers[0].kill()
        process.wait_for('step 100/')
        service.start_worker()
        finish(process)
        assert process.returncode == 0
    check_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_the_only_worker_is_killed_and_started_again(tmp_path, undisturbed):
    with data_service.running(1) as service:
        process = started(tmp_path, service)
        process.wait_for('step 10/')
        service.workers[0].kill()
        service.start_worker()
        finish(process)
        assert process.returncode == 0
    check_same(tmp_path, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize('journal', [False, True])
def test_the_dispatcher_is_killed_and_started_again(tmp_path, undisturbed, journal):
    """Without a journal it has forgotten the run, and its workers have not."""
    with data_service.running(2, work_dir=tmp_path / 'journal' if journal else None) as service:
        process = started(tmp_path / 'run', service, timeout_secs=90)
        process.wait_for('step 10/')
        service.dispatcher.kill()
        time.sleep(3)
        service.start_dispatcher()
        said = finish(process)
        assert process.returncode == 0 and 'Traceback' not in said
        assert journal == ('has forgotten this run' not in said)
    check_same(tmp_path / 'run', undisturbed)


@pytest.mark.slow
def test_another_run_after_a_dispatcher_that_forgot(folder):
    """The worker, which lives on, has a task of the first run under the number that the dispatcher gives again."""
    dataset = opened(folder)
    with data_service.running(1) as service:
        service.wait()
        first = iter(ServiceBatches(dataset, service=Service(service.address, SECONDS), **BASE))
        next(first)
        service.dispatcher.kill()
        service.start_dispatcher()
        service.wait()
        check_local(dataset, served(dataset, service.address, 60, seed=8), seed=8)


@pytest.mark.slow
def test_all_of_the_service_is_killed_and_the_run_goes_on_without_it(tmp_path, undisturbed):
    with data_service.running(2) as service:
        process = started(tmp_path, service, timeout_secs=60)
        process.wait_for('step 10/')
        service.kill()
        said = finish(process)
        assert process.returncode == 1 and 'gave no batch within 60 s' in said.splitlines()[-1], said
    run_python(*NARROW, *training(tmp_path))
    check_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_the_training_is_killed_and_started_again(tmp_path, undisturbed):
    with data_service.running(2) as service:
        process = Started(*training(tmp_path, f'--data_service={service.address}', '--save_interval_secs=0'),
                          module='narrow')
        process.wait_for('step 20/')
        process.kill()
        finish(process)
        finish(started(tmp_path, service))
    check_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_no_service_and_no_worker_are_refused_in_time(tmp_path):
    arguments = [*NARROW, *training(tmp_path, '--data_service_timeout_secs=5')]
    said = run_python(*arguments, f'--data_service=grpc://127.0.0.1:{data_service.free_port()}', check=False)
    assert said.returncode == 1 and 'no dispatcher of a data service answered at' in said.stderr, said.stderr
    with data_service.running(0) as service:
        said = run_python(*arguments, '--data_service_timeout_secs=20', f'--data_service={service.address}',
                          check=False)
    assert said.returncode == 1 and 'Traceback' not in said.stderr, said.stderr
    assert 'gave no batch within 20 s' in said.stderr.splitlines()[-1]
