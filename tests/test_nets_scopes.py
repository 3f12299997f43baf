"""Arg scopes (nets' and tf_slim's), and alexnet_v2 against tf_slim's at the same weights."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import nets
from nets import alexnet

v1 = tf.compat.v1
ROOT = pathlib.Path(__file__).resolve().parents[1]


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
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        conv1, fc7 = session.run([end_points['alexnet_v2/conv1'], end_points['alexnet_v2/fc7']])
    assert -1 <= conv1.min() < -0.99
    assert -1 <= fc7.min() < 0


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
            # fc6 and fc7 have the same settings as fc8 in slim, and 54 million weights to draw.
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


@pytest.mark.parametrize('blocked', [True, False])
def test_without_tf_slim(blocked):
    """In a process where importing tf_slim fails, and in one that merely never does."""
    code = 'import sys\n' + 'sys.modules["tf_slim"] = None\n' * blocked + '''
import tensorflow as tf
import nets
from nets import alexnet
from nets import slim_checkpoints
from nets import nets_factory
with tf.Graph().as_default():
    with nets.arg_scope(alexnet.alexnet_v2_arg_scope()):
        alexnet.alexnet_v2(tf.zeros([1, 224, 224, 3]), 7)
    print('losses', len(tf.compat.v1.get_collection('regularization_losses')))
print('slim', sys.modules.get('tf_slim'), [name for name in sys.modules if name.startswith('tf_slim.')])
'''
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True, timeout=300,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'losses 8\nslim None []\n'


# The same numbers as slim's network -------------------------------------------------------------------


def assert_close(ours, theirs, what):
    """Within 1e-4 of the largest value: sums of thousands of terms in another order differ by that much."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, what
    assert np.abs(theirs).max() > 0, what
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max(), what


@pytest.mark.parametrize('height, width, squeeze', [(224, 224, True), (300, 400, False)])
def test_end_points_and_gradients_equal_slims(tf_slim, height, width, squeeze):
    from tf_slim.nets import alexnet as slims
    random = np.random.default_rng(3)
    images = random.uniform(-128, 128, [1 if height > 224 else 2, height, width, 3]).astype(np.float32)
    built = {}
    for scope, network in (('ours', alexnet.alexnet_v2), ('theirs', slims.alexnet_v2)):
        net, points = network(tf.constant(images), 7, is_training=False, spatial_squeeze=squeeze, scope=scope)
        variables = {one.op.name.removeprefix(scope): one for one in v1.trainable_variables(scope + '/')}
        weight = np.random.default_rng(4).normal(size=net.shape).astype(np.float32)
        gradients = v1.gradients(tf.reduce_sum(net * weight), list(variables.values()))
        built[scope] = (net, {key.removeprefix(scope): value for key, value in points.items()}, variables,
                        dict(zip(variables, gradients, strict=True)))
    assert set(built['ours'][2]) == set(built['theirs'][2])
    copy = [built['ours'][2][name].assign(variable) for name, variable in built['theirs'][2].items()]
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        for name, variable in built['theirs'][2].items():
            if name.endswith('/biases'):  # zeros at the start would say nothing about the bias
                variable.load(random.normal(0, 0.1, variable.shape).astype(np.float32), session)
        session.run(copy)
        # One scope a run: both at once would double the memory, and the fc6 gradients are 100 MB each.
        (logits, points, gradients), (their_logits, their_points, their_gradients) = (
            session.run([built[scope][0], built[scope][1], built[scope][3]]) for scope in ('ours', 'theirs'))
    assert_close(logits, their_logits, 'logits')
    assert list(points) == list(their_points)
    assert len(gradients) == 16
    for name in points:
        assert_close(points[name], their_points[name], name)
    for name in gradients:
        assert_close(gradients[name], their_gradients[name], f'gradient of {name}')
