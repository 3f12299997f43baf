"""alexnet_v2 at full size against tf_slim's: the same end points, gradients and checkpoints."""
import contextlib
import tempfile

import numpy as np
import pytest
import tensorflow as tf

from nets import alexnet, slim_checkpoints
from tests.helpers.networks import assert_close

v1 = tf.compat.v1
IMAGES = np.random.default_rng(1).uniform(-128, 128, [2, 224, 224, 3]).astype(np.float32)
WIDE = np.random.default_rng(2).uniform(-128, 128, [1, 300, 400, 3]).astype(np.float32)
NAMES = sorted(f'alexnet_v2/{layer}/{kind}' for kind in ('weights', 'biases')
               for layer in ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'))


def build(network):
    """A dictionary of what to compare of IMAGES, and one of WIDE through the same variables, in the current graph."""
    results = []
    for images, squeeze in ((IMAGES, True), (WIDE, False)):
        net, end_points = network(tf.constant(images), 7, is_training=False, spatial_squeeze=squeeze)
        upstream = np.random.default_rng(4).normal(size=net.shape).astype(np.float32)
        variables = {one.op.name: one for one in v1.trainable_variables()}
        if not squeeze:  # their gradients take 100 MB and most of the time; IMAGES have them
            del variables['alexnet_v2/fc6/weights'], variables['alexnet_v2/fc7/weights']
        gradients = v1.gradients(tf.reduce_sum(net * upstream), list(variables.values()))
        # The second time slim puts `alexnet_v2_1` before some names.
        results.append({'logits': net} | {key.split('/')[-1]: value for key, value in end_points.items()}
                       | dict(zip(variables, gradients)))
        v1.get_variable_scope().reuse_variables()
    return results


@pytest.fixture(scope='module')
def slims(tmp_path_factory):
    """Slim's network in a session, what it computes, and the checkpoint that TF1's Saver wrote of it."""
    pytest.importorskip('tf_slim')
    from tf_slim.nets import alexnet as slims_alexnet
    random = np.random.default_rng(3)
    # A folder of its own, since pytest's outlives a test that fails, with 200 MB.
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(v1.Session(graph=tf.Graph())) as session:
        with session.graph.as_default():
            v1.set_random_seed(3)
            step = v1.train.get_or_create_global_step()  # slim's checkpoints hold more than the network
            results = build(slims_alexnet.alexnet_v2)
            session.run(v1.global_variables_initializer())
            for variable in v1.trainable_variables():
                if variable.op.name.endswith('biases'):  # distinct values, so that no two can change places
                    variable.load(random.normal(0, 0.1, variable.shape).astype(np.float32), session)
            path = v1.train.Saver().save(session, f'{folder}/model.ckpt', global_step=step)
        yield session, results[0]['logits'], path, [session.run(result) for result in results]


def test_end_points_and_gradients_equal_slims_after_restoring_slims_checkpoint(slims):
    *_, path, expected = slims
    with tf.Graph().as_default(), v1.Session() as session:
        results = build(alexnet.alexnet_v2)
        v1.train.Saver().restore(session, path)
        for result, expectation in zip(results, expected):
            assert list(result) == list(expectation)
            assert len(result) == 1 + 11 + (16 if expectation['logits'].ndim == 2 else 14)
            values = session.run(result)
            for name in result:
                assert_close(values[name], expectation[name], 1e-4, name)


def test_slims_checkpoint_loads_into_a_model_and_the_models_into_slims_graph(slims, tmp_path):
    session, logits, path, (expected, _) = slims
    model = alexnet.AlexNetV2(7)
    assert slim_checkpoints.load_slim_checkpoint(model, path.rpartition('/')[0]) == (NAMES, [])
    assert_close(model(IMAGES), expected['logits'])
    model.get_layer('fc8').bias.assign_add(tf.range(7.0))
    written = slim_checkpoints.save_slim_checkpoint(model, str(tmp_path / 'model.ckpt'))
    with session.graph.as_default():
        v1.train.Saver(v1.trainable_variables()).restore(session, written)
    assert_close(session.run(logits), expected['logits'] + np.arange(7))
