"""An index of 48 photographs by a narrow network."""
import shutil

import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.model import building as networks
from alexnet_tf.model import loading, specs
from alexnet_tf.neighbors import building
from nets import slim_checkpoints
from tests.helpers import narrow
from tests.helpers.networks import with_larger_weights


@pytest.fixture(scope='session')
def loaded(tmp_path_factory):
    """A narrow alexnet with random weights, for three classes that the sample does not have."""
    folder = tmp_path_factory.mktemp('run')
    spec = specs.Spec('alexnet', 224, ('one', 'two', 'three'), (120.0, 110.0, 100.0), 1)
    specs.write_spec(spec, str(folder))
    tf.random.set_seed(1)
    with narrow.networks():
        slim_checkpoints.save_slim_checkpoint(with_larger_weights(networks.build(spec)), str(folder / 'model.ckpt-7'))
        return loading.load(str(folder))


@pytest.fixture(scope='session')
def built(loaded, small_records, tmp_path_factory):
    """The folder of the index of the 48 training photographs. No test may change it."""
    folder = tmp_path_factory.mktemp('built') / 'index'
    building.build(loaded, datasets.open_dataset(str(small_records), 'train'), str(folder), batch_size=10)
    return folder


@pytest.fixture
def copied(built, tmp_path):
    """A copy of it, which a test may change."""
    return shutil.copytree(built, tmp_path / 'index')
