"""A training folder of a narrow network, to be exported."""
import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.model import building, loading, specs
from alexnet_tf.weights import checkpoint_files


@pytest.fixture(scope='module')
def run(narrow_module, tmp_path_factory):
    """The original program's variant, whose dropout is halved at test, untrained: model.ckpt-0."""
    folder = tmp_path_factory.mktemp('narrow') / 'one'
    names = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').class_names
    spec = specs.Spec('alexnet', 224, tuple(names), (120.0, 110.0, 100.0), variant='source', unscaled_dropout=0.5)
    tf.keras.utils.set_random_seed(3)
    checkpoint_files.write(loading.Loaded(building.build(spec), spec, np.float32(spec.mean), '', 0), str(folder))
    return folder
