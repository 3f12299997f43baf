"""alexnet_v2 keeps what slim's callers rely on: names, collections, shapes, arg scopes, reuse."""
import importlib.util
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import nets
from nets import alexnet, nets_factory, rows
from tests.helpers.networks import narrowed
from tests.helpers.processes import run_python

v1 = tf.compat.v1
LAYERS = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8']
TEN_KEYS = [f'alexnet_v2/{row}' for row in
            ('conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5', 'pool5', 'fc6', 'fc7')]


@pytest.fixture(autouse=True)
def graph():
    """Every test here is TF1 code and gets a graph of its own; eager mode stays on for other files."""
    with tf.Graph().as_default() as current:
        tf_keras.utils.set_random_seed(1)  # of initial weights
        v1.set_random_seed(1)
        yield current


@pytest.fixture
def narrow_v2(monkeypatch):
    monkeypatch.setattr(alexnet, 'ALEXNET_V2', narrowed(alexnet.ALEXNET_V2))


def images(batch=2, height=224, width=224):
    return tf.random.uniform([batch, height, width, 3], -128, 128, seed=2)


def names(variables):
    return sorted(variable.op.name for variable in variables)


def started_session():
    session = v1.Session()
    session.run(v1.global_variables_initializer())
    return session


# Slim's own test of its network -----------------------------------------------------------------------


def test_slims_own_test_passes(tmp_path):
    pytest.importorskip('tf_slim')
    source = pathlib.Path(importlib.util.find_spec('tf_slim.nets.alexnet_test').origin).read_text()
    slims_import = 'from tf_slim.nets import alexnet\n'
    assert source.count(slims_import) == 1
    path = tmp_path / 'alexnet_test_of_slim.py'
    path.write_text(source.replace(slims_import, 'from nets import alexnet\n'))
    # A process of its own, since slim's test disables eager execution for good.
    output = run_python(
        '-c', 'import sys, unittest\n'
        'from tf_slim.nets import alexnet_test\n'
        'load = unittest.defaultTestLoader.loadTestsFromModule\n'
        'print("slim has", load(alexnet_test).countTestCases())\n'
        f'sys.path.append({str(tmp_path)!r})\n'
        'import alexnet_test_of_slim as edited\n'
        'print("under test", edited.alexnet.__name__)\n'
        'result = unittest.TextTestRunner(stream=sys.stdout).run(load(edited))\n'
        'print("skipped", [test.id().split(".")[-1] for test, _ in result.skipped])\n').stdout
    assert 'under test nets.alexnet\n' in output
    count = re.search(r'slim has (\d+)', output).group(1)
    assert int(count) > 5
    assert re.search(rf'Ran {count} tests in [\d.]+s\n\nOK', output), output
    assert "skipped ['test_session']" in output  # TensorFlow's own helper, which looks like a test


# Names, shapes and end points -------------------------------------------------------------------------


@pytest.mark.parametrize('squeeze, shape, op', [(True, [2, 7], 'alexnet_v2/fc8/squeezed'),
                                                (False, [2, 1, 1, 7], 'alexnet_v2/fc8/BiasAdd')])
def test_logits_and_end_points(squeeze, shape, op):
    logits, end_points = alexnet.alexnet_v2(images(), 7, spatial_squeeze=squeeze)
    assert logits.op.name == op
    assert logits.shape.as_list() == shape
    assert list(end_points) == TEN_KEYS + ['alexnet_v2/fc8']
    assert end_points['alexnet_v2/fc8'] is logits
    sizes = [end_points[key].shape.as_list()[1:3] for key in TEN_KEYS]
    assert sizes == [[size, size] for size in (54, 26, 26, 12, 12, 12, 12, 5, 1, 1)]
    channels = [end_points[key].shape[3] for key in TEN_KEYS]
    assert channels == [64, 64, 192, 192, 384, 384, 256, 256, 4096, 4096]


@pytest.mark.parametrize('squeeze, shape', [(False, [2, 1, 1, 7]), (True, [2, 7])])
def test_global_pool(squeeze, shape):
    logits, end_points = alexnet.alexnet_v2(images(2, 256, 256), 7, global_pool=True, spatial_squeeze=squeeze)
    assert logits.shape.as_list() == shape
    assert set(end_points) == {*TEN_KEYS, 'global_pool', 'alexnet_v2/fc8'}
    assert end_points['global_pool'].shape.as_list() == [2, 1, 1, 4096]
    assert end_points['alexnet_v2/fc7'].shape.as_list() == [2, 2, 2, 4096]


def test_global_pool_is_the_mean(narrow_v2):
    net, end_points = alexnet.alexnet_v2(images(2, 256, 256), None, is_training=False, global_pool=True)
    with started_session() as session:
        pooled, fc7 = session.run([net, end_points['alexnet_v2/fc7']])
    assert fc7.shape == (2, 2, 2, 512)
    assert fc7.std((1, 2)).max() > 0.01
    np.testing.assert_allclose(pooled[:, 0, 0], fc7.mean((1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('num_classes', [None, 0])
@pytest.mark.parametrize('global_pool', [False, True])
def test_without_classes(graph, num_classes, global_pool):
    net, end_points = alexnet.alexnet_v2(images(), num_classes, global_pool=global_pool)
    assert set(end_points) == set(TEN_KEYS + ['global_pool'] * global_pool)
    assert len(TEN_KEYS) == 10
    assert net is end_points['global_pool' if global_pool else 'alexnet_v2/fc7']
    assert net.shape.as_list() == [2, 1, 1, 4096]
    assert not [op.name for op in graph.get_operations() if 'fc8' in op.name or 'dropout7' in op.name]
    assert [op.name for op in graph.get_operations() if 'dropout6' in op.name]


def test_another_scope_and_numpy_images():
    logits, end_points = alexnet.alexnet_v2(np.zeros([1, 224, 224, 3], np.float32), 7, scope='other')
    assert logits.op.name == 'other/fc8/squeezed'
    assert 'other/conv1' in end_points
    assert all(variable.op.name.startswith('other/') for variable in v1.global_variables())


def test_integer_images_are_refused():
    # tf.nn.conv2d takes int32; with weights cast to it, all below 1, every logit would be 0.
    with pytest.raises(ValueError, match='int32.*floating point'):
        alexnet.alexnet_v2(tf.zeros([1, 224, 224, 3], tf.int32), 7)


# Variables, collections, losses, initial values -------------------------------------------------------


def test_variables_and_collections():
    with nets.arg_scope(alexnet.alexnet_v2_arg_scope()):
        alexnet.alexnet_v2(images(), 7)
    expected = sorted(f'alexnet_v2/{layer}/{kind}' for layer in LAYERS for kind in ('biases', 'weights'))
    assert names(v1.global_variables()) == expected
    assert names(v1.trainable_variables()) == expected
    assert names(v1.get_collection(v1.GraphKeys.MODEL_VARIABLES)) == expected
    shapes = {variable.op.name[11:]: variable.shape.as_list() for variable in v1.global_variables()}
    assert shapes['conv1/weights'] == [11, 11, 3, 64]
    assert shapes['conv2/weights'] == [5, 5, 64, 192]
    assert shapes['fc6/weights'] == [5, 5, 256, 4096]
    assert shapes['fc8/weights'] == [1, 1, 4096, 7]
    assert shapes['fc8/biases'] == [7]


def test_regularization_losses_are_of_weights_alone(narrow_v2):
    with nets.arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0.25)):
        alexnet.alexnet_v2(images(), 7)
    losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    weights = [variable for variable in v1.global_variables() if variable.op.name.endswith('/weights')]
    with started_session() as session:
        got, values = session.run([losses, weights])
    assert len(values) == 8
    expected = [0.25 * np.dot(value.ravel(), value.ravel()) / 2 for value in values]
    np.testing.assert_allclose(got, expected, rtol=1e-3)  # float32 sums


@pytest.mark.parametrize('in_scope', [True, False])
def test_initial_values(in_scope, monkeypatch):
    # Enough weights in every layer to see their distribution, and not tens of millions in fc6 and fc7.
    thin = rows.changed(alexnet.ALEXNET_V2, fc6={'filters': 256}, fc7={'filters': 256})
    monkeypatch.setattr(alexnet, 'ALEXNET_V2', thin)
    if in_scope:
        with nets.arg_scope(alexnet.alexnet_v2_arg_scope()):
            alexnet.alexnet_v2(images(), 50)
    else:
        alexnet.alexnet_v2(images(), 50)
        assert not v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    with started_session() as session:
        initial = session.run({variable.op.name: variable for variable in v1.global_variables()})
    for layer in LAYERS:
        weights = initial[f'alexnet_v2/{layer}/weights']
        height, width, inputs, outputs = weights.shape
        if layer.startswith('conv'):  # Glorot: uniform up to sqrt(6 / (fan in + fan out))
            limit = np.sqrt(6 / (height * width * (inputs + outputs)))
            deviation = limit / np.sqrt(3)
        else:  # a normal of 0.005 cut at two standard deviations, which leaves 0.8796 of its deviation
            limit, deviation = 0.01, 0.8796 * 0.005
        assert 0.99 * limit < np.abs(weights).max() <= limit * (1 + 1e-6), layer
        assert weights.std() == pytest.approx(deviation, rel=0.02), layer
        assert abs(weights.mean()) < deviation * 0.02, layer
        bias = 0 if layer == 'fc8' or (layer.startswith('conv') and not in_scope) else 0.1
        np.testing.assert_array_equal(initial[f'alexnet_v2/{layer}/biases'], np.float32(bias))


@pytest.mark.parametrize('how', ['reuse_variables', 'AUTO_REUSE'])
def test_reuse_at_another_size(how):
    if how == 'AUTO_REUSE':
        with v1.variable_scope('', reuse=v1.AUTO_REUSE):
            alexnet.alexnet_v2(images(), 7)
            logits, end_points = alexnet.alexnet_v2(images(1, 300, 400), 7, spatial_squeeze=False)
    else:
        with nets.arg_scope(alexnet.alexnet_v2_arg_scope()):
            alexnet.alexnet_v2(images(), 7)
            v1.get_variable_scope().reuse_variables()
            logits, end_points = alexnet.alexnet_v2(images(1, 300, 400), 7, spatial_squeeze=False)
        assert len(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)) == 8  # not counted twice
    assert len(v1.global_variables()) == 16
    assert logits.shape.as_list() == [1, 4, 7, 7]
    assert list(end_points) == TEN_KEYS + ['alexnet_v2/fc8']


def test_same_scope_twice_without_reuse_is_an_error():
    alexnet.alexnet_v2(images(), 7)
    with pytest.raises(ValueError, match='already exists'):
        alexnet.alexnet_v2(images(), 7)


# nets_factory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['alexnet', 'alexnet_v2'])
def test_get_network_fn(name):
    network_fn = nets_factory.get_network_fn(name, 7, weight_decay=0.5, is_training=False)
    assert network_fn.default_image_size == 224
    logits, end_points = network_fn(images(), spatial_squeeze=False)
    assert logits.op.name == f'{name}/fc8/BiasAdd'
    assert logits.shape.as_list() == [2, 1, 1, 7]
    assert f'{name}/fc8' in end_points
    loss = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)[0]
    weights = v1.trainable_variables(f'{name}/conv1/weights')[0]
    with v1.Session() as session:
        session.run(weights.initializer)
        loss, weights = session.run([loss, weights])
    assert loss == pytest.approx(0.5 * np.square(weights).sum() / 2, rel=1e-4)


def test_get_network_fn_default_is_no_decay_and_no_dropout(graph):
    nets_factory.get_network_fn('alexnet_v2', 7)(images())
    assert not v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    assert not [op.name for op in graph.get_operations() if op.type == 'RandomUniform' and 'drop' in op.name]


def test_unknown_network():
    with pytest.raises(ValueError, match="'resnet_v1_50'.*alexnet, alexnet_v2"):
        nets_factory.get_network_fn('resnet_v1_50', 7)


# Dropout ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('how', ['bool', 'placeholder'])
def test_dropout_follows_is_training_and_keep_prob(how, narrow_v2):
    is_training = v1.placeholder(tf.bool, []) if how == 'placeholder' else True
    _, end_points = alexnet.alexnet_v2(images(4), None, is_training=is_training, dropout_keep_prob=0.8)
    if how == 'bool':
        v1.get_variable_scope().reuse_variables()
        _, without = alexnet.alexnet_v2(images(4), None, is_training=False, dropout_keep_prob=0.8)
    variables = {variable.op.name[11:]: variable for variable in v1.global_variables()}
    with started_session() as session:
        # With fc7 the identity, fc7's output is what dropout6 makes of fc6's (all 1 or more).
        variables['fc6/weights'].load(np.zeros([5, 5, 32, 512], np.float32), session)
        variables['fc6/biases'].load(np.linspace(1, 2, 512, dtype=np.float32), session)
        variables['fc7/weights'].load(np.eye(512, dtype=np.float32)[None, None], session)
        variables['fc7/biases'].load(np.zeros(512, np.float32), session)

        def ratio(points, feed):
            fc6, fc7 = session.run([points['alexnet_v2/fc6'], points['alexnet_v2/fc7']], feed)
            return fc7 / fc6

        on, off = ({is_training: True}, {is_training: False}) if how == 'placeholder' else (None, None)
        dropped = ratio(end_points, on)
        again = ratio(end_points, on)
        kept = ratio(without if how == 'bool' else end_points, off)
    np.testing.assert_allclose(np.unique(dropped.round(4)), [0, 1.25])
    assert np.mean(dropped > 0) == pytest.approx(0.8, abs=0.03)
    assert not np.array_equal(dropped, again)
    np.testing.assert_array_equal(kept, 1)


@pytest.mark.parametrize('devices', [None, ('/CPU:0', '/CPU:0')])
def test_with_a_graph_seed_every_layer_drops_something_else_and_the_same_again(devices, monkeypatch):
    """Where is_training is a tensor, each layer draws in a branch; on two devices each tower does."""
    monkeypatch.setattr(alexnet, 'VARIANTS', {name: narrowed(table) for name, table in alexnet.VARIANTS.items()})

    def kept():
        with tf.Graph().as_default() as graph:
            v1.set_random_seed(1)
            alexnet.alexnet(tf.zeros([2, 224, 224, 3]), 4, is_training=v1.placeholder_with_default(True, []),
                            devices=devices)
            # The layers' inputs become ones, so that their outputs show what was kept.
            layers = [op for op in graph.get_operations() if re.search(r'/dropout\d/cond(_\d)?$', op.name)]
            ones = {tensor: np.ones([2, *tensor.shape[1:]]) for op in layers for tensor in op.inputs
                    if tensor.shape.rank == 4}
            with v1.Session() as session:
                return session.run([f'{op.name}/Identity:0' for op in layers], ones)
    first, again = kept(), kept()
    assert len(first) == (4 if devices else 2)
    assert all(np.mean(layer > 0) == pytest.approx(0.5, abs=0.1) for layer in first)
    for number, layer in enumerate(first):
        np.testing.assert_array_equal(layer, again[number])
        for other in first[:number]:
            assert np.mean((layer > 0) == (other > 0)) == pytest.approx(0.5, abs=0.1)  # independent


def test_no_dropout_at_keep_prob_1(graph):
    alexnet.alexnet_v2(tf.zeros([1, 224, 224, 3]), 7, is_training=True, dropout_keep_prob=1.0)
    random = [op.name for op in graph.get_operations() if op.type == 'RandomUniform']
    assert not [name for name in random if 'dropout' in name]


@pytest.mark.parametrize('keep_prob', [0, -0.5, 1.5])
def test_bad_keep_prob(keep_prob):
    with pytest.raises(ValueError, match=f'dropout_keep_prob is {keep_prob}.*above 0 and at most 1'):
        alexnet.alexnet_v2(images(), 7, dropout_keep_prob=keep_prob)
