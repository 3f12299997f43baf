"""A training folder of a narrow network, to be exported."""
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.model import building, loading
from alexnet_tf.weights import checkpoint_files


@pytest.fixture(scope='module')
def run(request, narrow_module, tmp_path_factory):
    """The network of the test module's SPEC, for the sample's classes, untrained: model.ckpt-0."""
    folder = tmp_path_factory.mktemp('narrow') / 'one'
    names = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation').class_names
    spec = dataclasses.replace(request.module.SPEC, class_names=tuple(names))
    tf.keras.utils.set_random_seed(3)
    checkpoint_files.write(loading.Loaded(building.build(spec), spec, np.float32(spec.mean), '', 0), str(folder))
    return folder
