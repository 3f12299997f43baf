"""Two towers on two logical CPU devices: the numbers of one device, the paper's cut, the same checkpoints."""
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nets import alexnet, ops, rows, slim_checkpoints, towers
from tests.helpers.networks import assert_close, narrowed
from tests.helpers.processes import run_python

# The script has a process of its own, since logical devices must be made before TensorFlow uses any.
SCRIPT = '''
import json, sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import tf_keras
from alexnet_tf.training import optimizers
from alexnet_tf.training import schedules
from alexnet_tf.training.state import State
from alexnet_tf.training.step import make_train_step
from nets import alexnet
from nets import slim_checkpoints

DEVICES, variant, folder = ('/CPU:0', '/CPU:1'), sys.argv[1], sys.argv[2]
report = {}

def state(devices):
    tf_keras.utils.set_random_seed(1)
    model = alexnet.AlexNet(10, variant=variant, devices=devices, initial_values='source', hidden_bias=0.1)
    return State(model, optimizers.make('momentum'))

one, two = state(None), state(DEVICES)
# conv1 stronger than at the start, so that normalization has an effect
one.model.get_layer('conv1').kernel.assign(one.model.get_layer('conv1').kernel * 3)
slim_checkpoints.save(one.tensors(), folder + '/one')
slim_checkpoints.load(two.tensors(), folder + '/one')
slim_checkpoints.save(two.tensors(), folder + '/again')
reader, again = tf.train.load_checkpoint(folder + '/one'), tf.train.load_checkpoint(folder + '/again')
shapes = reader.get_variable_to_shape_map()
report['same_checkpoint'] = shapes == again.get_variable_to_shape_map() and all(
    np.array_equal(reader.get_tensor(name), again.get_tensor(name)) for name in shapes)
back = state(None)
slim_checkpoints.load(back.tensors(), folder + '/again')
report['back'] = all(np.array_equal(a, b) for a, b in zip(one.model.get_weights(), back.model.get_weights()))

random = np.random.default_rng(2)
size = one.model.input_shape[1]
images = tf.constant(random.integers(0, 256, [4, size, size, 3], np.uint8))
labels = tf.constant([1, 5, 7, 2], tf.int64)
mean = np.array([120, 117, 104], np.float32)
scaled = tf.cast(images, tf.float32) - mean

def relative(a, b):
    return float(np.abs(a - b).max() / np.abs(a).max())

report['logits'] = relative(one.model(scaled).numpy(), two.model(scaled).numpy())

def gradients(state):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, state.model(scaled)))
    found = dict(zip([variable.name.split(':')[0] for variable in state.trainable],
                     tape.gradient(loss, state.trainable)))
    joined = {}
    for name in sorted(found):
        joined.setdefault(name.replace('/part_0', '').replace('/part_1', ''), []).append(found[name].numpy())
    return {name: np.concatenate(parts, -1) for name, parts in joined.items()}
first, second = gradients(one), gradients(two)
assert set(first) == set(second)
report['gradients'] = max(relative(first[name], second[name]) for name in first)

losses = []
for name, devices in (('one', None), ('two', DEVICES)):
    trained = state(devices)  # the same seed starts the same network
    if name == 'one':
        start = {key: np.array(value) for key, value in trained.weights.items()}
    step = make_train_step(trained, batch_size=4, mean=mean, seed=3)
    trained.follow(schedules.Settings(0.00001))
    losses.append([float(step(images, labels, tf.constant(number, tf.int64))) for number in range(5)])
    slim_checkpoints.save(trained.tensors(), folder + '/' + name)
report['losses'] = relative(np.array(losses[0]), np.array(losses[1]))
after, other = (tf.train.load_checkpoint(folder + '/' + name) for name in ('one', 'two'))
report['differ'] = max(np.abs(after.get_tensor(name) - other.get_tensor(name)).max().item() for name in start)
report['moved'] = max(np.abs(after.get_tensor(name) - start[name]).max().item() for name in start)

# Where everything is, and what crosses in a forward pass.
everything = two.model.weights + list(two.optimizer.variables)
report['variables'] = {variable.name: variable.device[-1] for variable in everything if 'part_' in variable.name}
graph = tf.function(lambda x: two.model(x)).get_concrete_function(tf.TensorSpec([1, size, size, 3])).graph
report['convolutions'] = [[op.type, op.device[-1]] for op in graph.get_operations()
                          if op.type in ('Conv2D', 'MatMul') and 'norm' not in op.name]
crossing = {}
for op in graph.get_operations():
    for tensor in op.inputs:
        if (op.device and tensor.op.device and op.device != tensor.op.device and tensor.dtype == tf.float32
                and tensor.op.type != 'ReadVariableOp'):
            crossing.setdefault(op.name.split('/')[1], {})[tensor.name + op.device] = (
                op.device[-1], int(np.prod(tensor.shape)) * 4)
report['crossing'] = {layer: sorted(values.values()) for layer, values in crossing.items()}
print(json.dumps(report))
'''


# source normalizes within a tower, paper over all maps, with an exchange at the seam
@pytest.mark.slow
@pytest.mark.parametrize('variant', ['source', 'paper'])
def test_two_devices_are_one(variant, tmp_path):
    report = json.loads(run_python('-c', SCRIPT, variant, tmp_path).stdout.splitlines()[-1])
    assert report['same_checkpoint'] and report['back']
    assert report['logits'] < 1e-5
    assert report['gradients'] < 1e-5
    assert report['losses'] < 1e-5
    assert report['differ'] < 1e-5 and report['moved'] > 50 * report['differ']  # after five steps
    # every half of weights, biases and their velocities on its own device
    assert len(report['variables']) == 2 * 2 * 8 * 2
    assert all(f'part_{device}/' in name for name, device in report['variables'].items())
    kinds = [kind for kind, _ in report['convolutions']]
    assert kinds == ['Conv2D'] * 10 + ['MatMul'] * 6
    assert [device for _, device in report['convolutions']] == ['0', '1'] * 8
    table = rows.resolve(alexnet.VARIANTS[variant], 10)
    counted = towers.exchanged(table, *2 * [alexnet.IMAGE_SIZES[variant]])
    report['crossing']['fc8'].remove(['0', 5 * 4])  # besides, half the logits go to the first device
    assert report['crossing'] == {layer: [['0', count], ['1', count]] for layer, count in counted.items()}


def test_the_bytes_that_cross_are_the_papers():
    source = towers.exchanged(rows.resolve(alexnet.ALEXNET_SOURCE, 1000), 224, 224)
    assert source == {'conv3': 86528, 'fc6': 18432, 'fc7': 8192, 'fc8': 8192}  # 86.5, 18.4, 8.2, 8.2 KB
    # Normalization over all maps, as the paper's formula has it, needs two maps from the other tower's edge.
    paper = towers.exchanged(rows.resolve(alexnet.ALEXNET, 1000), 224, 224)
    assert paper == source | {'norm1': 2 * 55 * 55 * 4, 'norm2': 2 * 27 * 27 * 4}


@pytest.mark.parametrize('variant', ['source', 'paper'])
def test_towers_of_a_narrow_network_train_as_one(variant, tmp_path):
    """On one device, named twice: the numbers alone."""
    values = []
    for devices in (None, ('/CPU:0', '/CPU:0')):
        tf_keras.utils.set_random_seed(1)
        model = alexnet.from_table(narrowed(alexnet.VARIANTS[variant]), 5, devices=devices, dropout_keep_prob=0.7,
                                   name='alexnet')
        if devices:
            slim_checkpoints.load_slim_checkpoint(model, str(tmp_path / 'one'))
        else:  # conv1 stronger than at the start, so that normalization has an effect
            model.get_layer('conv1').kernel.assign(model.get_layer('conv1').kernel * 300)
            slim_checkpoints.save_slim_checkpoint(model, str(tmp_path / 'one'))
        images = tf.random.stateless_uniform([2, 224, 224, 3], [1, 2], -120.0, 120)
        with ops.dropout_draws(tf.constant([3, 4])), tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_sum(tf.square(logits))
        gradients = dict(zip((variable.name.split(':')[0] for variable in model.trainable_variables),
                             tape.gradient(loss, model.trainable_variables)))
        values.append({'logits': logits} | {
            name: tf.convert_to_tensor(gradient) for name, gradient in slim_checkpoints.joined(gradients).items()})
    assert len(values[0]) == 17 and set(values[0]) == set(values[1])
    for name, expected in values[0].items():
        assert_close(values[1][name], expected, 2e-5, name)


def test_slims_function_on_two_devices_has_one_devices_checkpoint(narrow, tmp_path):
    v1 = tf.compat.v1
    images = np.random.default_rng(0).uniform(-100, 100, [2, 224, 224, 3]).astype('f')
    values, contents = [], []
    for number, devices in enumerate((None, ('/CPU:0', '/CPU:1'), None)):
        # A session has devices of its own: here two, whatever TensorFlow has outside of it.
        with tf.Graph().as_default(), v1.Session(config=v1.ConfigProto(device_count={'CPU': 2})) as session:
            v1.set_random_seed(1)
            logits, end_points = alexnet.alexnet(tf.constant(images), 6, is_training=False, devices=devices)
            saver = v1.train.Saver(v1.get_collection('model_variables'))
            if values:
                saver.restore(session, str(tmp_path / f'model-{number - 1}'))
            else:
                session.run(v1.global_variables_initializer())
            if devices:
                for variable in v1.global_variables():
                    assert variable.device.endswith(variable.op.name[-1]), (variable.op.name, variable.device)
            assert end_points['alexnet/fc8'] is logits and 'alexnet/norm2' in end_points
            values.append(session.run([logits, end_points['alexnet/conv3']]))
            path = saver.save(session, str(tmp_path / f'model-{number}'))
        contents.append(sorted(tf.train.load_checkpoint(path).get_variable_to_shape_map().items()))
    for logits, conv3 in values[1:]:
        assert_close(logits, values[0][0])
        assert_close(conv3, values[0][1])
    assert contents[0] == contents[1] == contents[2]


def test_what_cannot_be_cut_is_refused(narrow):
    with pytest.raises(ValueError, match='must be two names'):
        alexnet.AlexNet(10, devices=('/GPU:0',))
    with pytest.raises(ValueError, match='fc8 has 1 kernels'):
        alexnet.AlexNet(1, devices=('/CPU:0', '/CPU:0'))
    with pytest.raises(ValueError, match='conv3 has 31 kernels'):
        alexnet.from_table(rows.changed(alexnet.ALEXNET, conv3={'filters': 31}), 4, devices=('/CPU:0', '/CPU:0'))


def test_keras_own_save_is_refused_with_the_way_out(narrow, tmp_path):
    model = alexnet.AlexNet(2, devices=('/CPU:0', '/CPU:0'))
    with pytest.raises(NotImplementedError, match='load that into a network on one device'):
        model.save(tmp_path / 'model.keras')
