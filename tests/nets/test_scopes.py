"""Arg scopes, nets' and tf_slim's."""
import numpy as np
import pytest
import tensorflow as tf

import nets
from nets import alexnet

v1 = tf.compat.v1
pytestmark = pytest.mark.usefixtures('narrow')


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as current:
        v1.set_random_seed(1)
        yield current


@pytest.fixture
def tf_slim():
    return pytest.importorskip('tf_slim')


def build(**arguments):
    return alexnet.alexnet_v2(tf.random.normal([1, 224, 224, 3], 0, 60, seed=2), 7, is_training=False,
                              **arguments)


def losses():
    return v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)


def initial(layer_and_kind, network='alexnet_v2'):
    """A variable's initial value."""
    variable, = [one for one in v1.global_variables() if one.op.name == f'{network}/{layer_and_kind}']
    with v1.Session() as session:
        session.run(variable.initializer)
        return session.run(variable)


@pytest.mark.parametrize('module', ['nets', 'tf_slim'])
def test_both_arg_scopes_take_effect_and_end(module):
    arg_scope = nets.arg_scope if module == 'nets' else pytest.importorskip('tf_slim').arg_scope
    with arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0.5)):
        build()
    assert len(losses()) == 8
    np.testing.assert_array_equal(initial('conv1/biases'), np.float32(0.1))
    build(scope='outside')
    assert len(losses()) == 8
    np.testing.assert_array_equal(initial('conv1/biases', 'outside'), 0)


def test_innermost_scope_holds_and_an_error_ends_it():
    with nets.arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0.5)):
        with pytest.raises(KeyError), nets.arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0)):
            build(scope='inner')
            raise KeyError
        assert not losses()
        build(scope='outer')
    assert len(losses()) == 8


def test_weight_decay_zero_or_none_adds_no_loss_and_below_zero_is_refused():
    for weight_decay in (0, 0.0, None):
        with nets.arg_scope(alexnet.alexnet_arg_scope(weight_decay)):
            build(scope=f'decay_{weight_decay}'.replace('.', '_'))
    assert not losses()
    with pytest.raises(ValueError, match='weight_decay is -0.1'):
        alexnet.alexnet_v2_arg_scope(-0.1)


def test_nets_arg_scope_refuses_a_list():
    with (pytest.raises(ValueError, match='list.*alexnet_v2_arg_scope.*tf_slim.arg_scope'),
          nets.arg_scope(['conv2d'])):
        pass


def nested(tf_slim, network_scope, **settings):
    """Under tf_slim.arg_scope(scope), a caller's own settings for conv2d."""
    with tf_slim.arg_scope(network_scope), tf_slim.arg_scope([tf_slim.conv2d], **settings) as scope:
        return scope


def test_nested_slim_scope_without_regularizer(tf_slim):
    with tf_slim.arg_scope(nested(tf_slim, alexnet.alexnet_v2_arg_scope(), weights_regularizer=None)):
        build()
    assert not losses()
    np.testing.assert_array_equal(initial('conv1/biases'), np.float32(0.1))  # the rest of the scope holds


def test_nested_slim_scope_with_another_activation(tf_slim):
    with tf_slim.arg_scope(nested(tf_slim, alexnet.alexnet_v2_arg_scope(), activation_fn=tf.nn.tanh)):
        _, end_points = build()
    last = {key.removeprefix('alexnet_v2/'): value.op.type for key, value in end_points.items()}
    assert {last[row] for row in ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7')} == {'Tanh'}
    assert last['fc8'] == 'Squeeze'


SETTINGS = [
    {'weights_initializer': tf.compat.v1.constant_initializer(0.25)},
    {'biases_initializer': tf.compat.v1.constant_initializer(0.5)},
    {'biases_regularizer': lambda biases: tf.reduce_sum(tf.abs(biases))},
    {'trainable': False},
    {'activation_fn': None},
]


@pytest.mark.parametrize('settings', SETTINGS, ids=lambda settings: next(iter(settings)))
def test_nested_settings_act_as_in_slim(tf_slim, settings):
    """The same scopes around both networks: the same initial values, losses and trainable variables."""
    from tf_slim.nets import alexnet as slims
    found = []
    for network, scope in ((alexnet.alexnet_v2, alexnet.alexnet_v2_arg_scope()),
                           (slims.alexnet_v2, slims.alexnet_v2_arg_scope())):
        with tf.Graph().as_default(), tf_slim.arg_scope(nested(tf_slim, scope, **settings)):
            _, end_points = network(tf.random.normal([1, 224, 224, 3], seed=2), 7, is_training=False)
            # fc6 and fc7 have the same settings as fc8 in slim, whose network has 54 million weights to draw there.
            wanted = [one for one in v1.global_variables()
                      if one.op.name[11:] not in ('fc6/weights', 'fc7/weights')]
            with v1.Session() as session:
                session.run([one.initializer for one in wanted])
                variables = session.run({one.op.name: one for one in wanted})
                conv1 = session.run(end_points['alexnet_v2/conv1'])
            found.append({
                # Random weights differ, so what is compared of a variable is its value if it has one alone.
                'initial': {name: np.unique(value).tolist() if np.ptp(value) == 0 else 'random'
                            for name, value in variables.items()},
                'all': sorted(one.op.name for one in v1.global_variables()),
                'losses': len(losses()),
                'trainable': sorted(one.op.name for one in v1.trainable_variables()),
                'negative': bool((conv1 < 0).any())})
    assert found[0] == found[1]


@pytest.mark.parametrize('settings', [{'normalizer_fn': tf.identity}, {'rate': 2}, {'padding': 'VALID'}],
                         ids=lambda settings: next(iter(settings)))
def test_a_setting_that_cannot_be_followed(tf_slim, settings):
    key = next(iter(settings))
    with (tf_slim.arg_scope(nested(tf_slim, alexnet.alexnet_v2_arg_scope(), **settings)),
          pytest.raises(ValueError, match=f'{key}=.*cannot follow.*weights_regularizer')):
        build()


def test_the_scope_holds_for_slim_layers_that_a_caller_adds(tf_slim):
    with tf_slim.arg_scope(alexnet.alexnet_v2_arg_scope(0.5)):
        net, _ = build(spatial_squeeze=False)
        tf_slim.fully_connected(tf_slim.flatten(tf_slim.conv2d(net, 5, [1, 1], scope='added')), 2, scope='fc')
    assert len(losses()) == 10
    np.testing.assert_array_equal(initial('biases', 'added'), np.float32(0.1))
    np.testing.assert_array_equal(initial('biases', 'fc'), np.float32(0.1))
