"""Fixtures that several folders of tests share."""
import os
from pathlib import Path

import pytest

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')


def pytest_configure(config):
    """What TensorFlow takes only once: commands that run in the tests' process ask for one thread a core, and tests of
    several devices need two, which are parts of the one CPU."""
    if config.getoption('numprocesses', None) and not hasattr(config, 'workerinput'):
        return  # pytest-xdist's own process runs no test
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(len(os.sched_getaffinity(0)))
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope='session')
def small_records(tmp_path_factory):
    """A slim folder of 48 training (two shards) and 20 validation photographs, taken from the sample."""
    from alexnet_tf.data import datasets, records
    from tests.helpers import shards
    folder = tmp_path_factory.mktemp('small_records')
    labels_txt = (Path(datasets.SAMPLE_DIR) / 'labels.txt').read_text()
    for split, parts in (('train', (range(24), range(24, 48))), ('validation', (range(20),))):
        index = datasets.open_dataset(datasets.SAMPLE_DIR, split).index
        shards.write_split(folder, *([records.read_record(index, position) for position in part] for part in parts),
                           split=split, labels_txt=labels_txt)
    return folder


@pytest.fixture
def narrow():
    """Networks of a sixteenth of the kernels, for commands that run in this process."""
    from tests.helpers.narrow import networks
    with networks():
        yield


@pytest.fixture(scope='module')
def narrow_module():
    """`narrow`, for the fixtures of a module."""
    from tests.helpers.narrow import networks
    with networks():
        yield
