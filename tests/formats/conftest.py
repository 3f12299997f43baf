"""Every network, narrow, with what it makes of photographs."""
import types

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import building, loading, specs
from tests.helpers import narrow
from tests.helpers.networks import convolutions, with_larger_weights

NAMES = tuple('airplane automobile bird cat deer dog frog horse ship truck'.split())
MEAN = (120.0, 110.0, 100.0)
SPECS = {'alexnet_v2': specs.Spec('alexnet_v2', 224, NAMES, MEAN),
         'paper': specs.Spec('alexnet', 224, NAMES, MEAN, 1),
         'source': specs.Spec('alexnet', 224, NAMES, MEAN, variant='source', unscaled_dropout=0.5),
         'caffe': specs.Spec('alexnet', 227, NAMES, 'mean_image.npy', variant='caffe', resize_mode='warp')}


def photographs(folder, spec):
    """float32 [20, size, size, 3]: the central crops of the validation photographs."""
    dataset = datasets.open_dataset(str(folder), 'validation')
    squares = [preprocessing.evaluation_image(dataset.example(position)[0]) for position in range(len(dataset))]
    return preprocessing.central_crop(np.stack(squares), spec.image_size).astype(np.float32)


@pytest.fixture(scope='session')
def all_networks(small_records):
    with narrow.networks():
        return _networks(small_records)


@pytest.fixture(scope='module')
def networks(all_networks, narrow_module):
    """{network: loaded (loading.Loaded), images float32 [20, size, size, 3], logits [20, 10]}."""
    return all_networks


def _networks(small_records):
    result = {}
    for name, spec in SPECS.items():
        tf.keras.utils.set_random_seed(7)
        model = with_larger_weights(building.build(spec))
        pixels = np.random.default_rng(2).uniform(90, 130, [256, 256, 3]).astype(np.float32)
        mean = pixels if isinstance(spec.mean, str) else np.float32(spec.mean)
        images = photographs(small_records, spec)
        centered = preprocessing.subtract_mean(images, mean)
        # Otherwise one class would be the first of all photographs.
        bias = convolutions(model)['fc8'].bias
        bias.assign_sub(tf.reduce_mean(model(centered, training=False), 0))
        result[name] = types.SimpleNamespace(loaded=loading.Loaded(model, spec, mean, 'checkpoint', 7), images=images,
                                             logits=model(centered, training=False).numpy())
        assert len(set(result[name].logits.argmax(1))) > 3
    return result
