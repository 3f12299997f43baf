"""Checkpoints under slim's names, and what is said when one does not fit. test_same_as_slim has slim's own."""
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from nets import alexnet, slim_checkpoints
from tests.helpers.networks import assert_close, with_larger_weights

v1 = tf.compat.v1
IMAGES = np.random.default_rng(1).uniform(-128, 128, [2, 224, 224, 3]).astype(np.float32)
NAMES = sorted(f'alexnet_v2/{layer}/{kind}' for kind in ('weights', 'biases')
               for layer in ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'))
pytestmark = pytest.mark.usefixtures('narrow')


@pytest.fixture(scope='module')
def ours(narrow, tmp_path_factory):
    """(path, model) of a checkpoint that save_slim_checkpoint wrote."""
    model = with_larger_weights(alexnet.AlexNetV2(7))
    path = str(tmp_path_factory.mktemp('ours') / 'new' / 'model.ckpt')  # in a folder that is not there yet
    assert slim_checkpoints.save_slim_checkpoint(model, path) == path
    return path, model


def test_ours_restores_into_our_graph_and_model(ours):
    path, model = ours
    expected = model(IMAGES)
    assert [name for name, _ in tf.train.list_variables(path)] == NAMES
    with tf.Graph().as_default(), v1.Session() as session:
        logits, _ = alexnet.alexnet_v2(tf.constant(IMAGES), 7, is_training=False)
        v1.train.Saver().restore(session, path)
        assert_close(session.run(logits), expected)
    other = alexnet.AlexNetV2(7)
    assert np.abs(other(IMAGES) - expected).max() > 0.01
    slim_checkpoints.load_slim_checkpoint(other, path)
    np.testing.assert_array_equal(other(IMAGES), expected)


def test_a_models_name_is_the_scope():
    names = slim_checkpoints.named_variables(alexnet.AlexNet(7, name='tower'))
    assert sorted(names) == [name.replace('alexnet_v2', 'tower') for name in NAMES]
    for name, variable in names.items():
        assert variable.name.split(':')[0] in name


def test_another_number_of_classes(ours):
    path, trained = ours
    model = alexnet.AlexNetV2(5)
    before = [weight.numpy() for weight in model.weights]
    message = r'fc8/weights \[1, 1, 512, 7\] instead of \[1, 1, 512, 5\].*exclude the scope of fc8'
    with pytest.raises(ValueError, match=message) as error:
        slim_checkpoints.load_slim_checkpoint(model, path)
    assert 'alexnet_v2/fc8/biases [7] instead of [5]' in str(error.value)
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)  # a refused checkpoint changes nothing
    loaded, left = slim_checkpoints.load_slim_checkpoint(model, path, exclude_scopes=['alexnet_v2/fc8'])
    assert loaded == [name for name in NAMES if '/fc8/' not in name]
    assert left == ['alexnet_v2/fc8/biases', 'alexnet_v2/fc8/weights']
    for weight, other, old in zip(model.weights, trained.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old if 'fc8' in weight.name else other)


def variables(**shapes):
    """Small variables by slim's names, for what needs no network."""
    return {f'net/{name}': tf.Variable(tf.ones(shape)) for name, shape in shapes.items()}


@pytest.fixture
def small(tmp_path):
    """A checkpoint with net/a [2] and net/b [3], all 5."""
    return slim_checkpoints.save({'net/a': tf.fill([2], 5.0), 'net/b': tf.fill([3], 5.0)}, str(tmp_path / 'small'))


def test_missing_names(small):
    wanted = variables(a=[2], new=[4])
    with pytest.raises(ValueError, match=r'lacks net/new \(it has, for example, net/a, net/b\)'):
        slim_checkpoints.load(wanted, small)
    np.testing.assert_array_equal(wanted['net/a'], 1)
    assert slim_checkpoints.load(wanted, small, ignore_missing=True) == (['net/a'], ['net/new'])
    np.testing.assert_array_equal(wanted['net/a'], 5)
    np.testing.assert_array_equal(wanted['net/new'], 1)
    assert slim_checkpoints.load(wanted, small, exclude_scopes=['net/new']) == (['net/a'], ['net/new'])


def test_ignore_missing_does_not_ignore_shapes(small):
    with pytest.raises(ValueError, match=r'net/a \[2\] instead of \[9\]'):
        slim_checkpoints.load(variables(a=[9]), small, ignore_missing=True)


def test_nothing_loaded_is_an_error(small):
    with pytest.raises(ValueError, match='nothing to load'):
        slim_checkpoints.load(variables(other=[2]), small, ignore_missing=True)
    with pytest.raises(ValueError, match='nothing to load'):
        slim_checkpoints.load(variables(a=[2]), small, exclude_scopes=['net'])


def test_another_network(ours):
    message = 'lacks alexnet/conv1/biases.*alexnet_v2/conv1/biases.*another network'
    with pytest.raises(ValueError, match=message):
        slim_checkpoints.load_slim_checkpoint(alexnet.AlexNet(7), ours[0])


@pytest.mark.parametrize('content', [None, 'folder', b'', b'no checkpoint'], ids=str)
def test_not_a_checkpoint(tmp_path, content):
    path = tmp_path / 'model.ckpt'
    if content == 'folder':
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r'no readable checkpoint at .*model\.ckpt.*without \.index'):
        slim_checkpoints.load(variables(a=[2]), str(path))


def test_a_damaged_checkpoint(small):
    pathlib.Path(small + '.index').write_bytes(b'damaged')
    with pytest.raises(ValueError, match='no readable checkpoint'):
        slim_checkpoints.load(variables(a=[2]), small)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='cannot write the checkpoint .*file/model.ckpt'):
        slim_checkpoints.save({'net/a': tf.ones([2])}, str(tmp_path / 'file' / 'model.ckpt'))
