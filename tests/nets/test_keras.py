"""The Keras models, and the networks' functions on Keras tensors."""
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import nets
from nets import alexnet
from tests.helpers.networks import assert_close, convolutions, with_larger_weights
from tests.helpers.processes import run_python

pytestmark = pytest.mark.usefixtures('narrow')
V2_ROWS = ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5', 'pool5', 'fc6', 'dropout6', 'fc7',
           'dropout7', 'fc8']
ROWS = {alexnet.AlexNet: ['conv1', 'norm1', 'pool1', 'conv2', 'norm2', *V2_ROWS[3:]],
        alexnet.AlexNetV2: V2_ROWS}
BOTH = pytest.mark.parametrize('make', list(ROWS), ids=lambda make: make.__name__)
IMAGES = np.random.default_rng(1).uniform(-128, 128, [2, 224, 224, 3]).astype(np.float32)
LABELS = np.array([0, 3])


@pytest.fixture(autouse=True)
def seed():
    tf_keras.utils.set_random_seed(1)


@pytest.fixture(scope='module')
def network(narrow):
    """A model of each class, by class; no test may change its weights."""
    tf_keras.utils.set_random_seed(2)
    return {make: with_larger_weights(make(7)) for make in ROWS}


def loss():
    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# Models -----------------------------------------------------------------------------------------------


@BOTH
def test_a_layer_a_row(network, make):
    model = network[make]
    assert [layer.name for layer in model.layers] == ['images', *ROWS[make]]
    assert model.name == {alexnet.AlexNet: 'alexnet', alexnet.AlexNetV2: 'alexnet_v2'}[make]
    fc7 = tf_keras.Model(model.input, model.get_layer('fc7').output)
    features = fc7(IMAGES)
    assert features.shape == (2, 1, 1, 512)
    assert features.numpy().min() == 0  # after ReLU
    logits = tf.tensordot(features[:, 0, 0], model.get_layer('fc8').kernel[0, 0], 1)
    assert_close(model(IMAGES), logits + model.get_layer('fc8').bias)
    lines = []
    model.summary(print_fn=lines.append)
    text = '\n'.join(str(line) for line in lines)
    assert f'{model.count_params():,}' in text or str(model.count_params()) in text
    assert all(f' {row} (' in text for row in ROWS[make])


@BOTH
def test_one_step_lowers_the_loss_of_a_repeated_batch(make):
    model = make(7)
    model.compile(tf_keras.optimizers.SGD(0.01), loss())
    before = model.evaluate(IMAGES, LABELS, verbose=0)
    assert before == pytest.approx(np.log(7), abs=0.7)  # knows nothing yet
    model.fit(IMAGES, LABELS, batch_size=2, epochs=1, verbose=0)
    assert model.evaluate(IMAGES, LABELS, verbose=0) < before - 0.01


def test_a_fresh_process_loads_a_saved_model_and_never_imports_tf_slim(network, tmp_path):
    model = network[alexnet.AlexNet]
    model.save(tmp_path / 'model.keras')
    np.savez(tmp_path / 'data.npz', images=IMAGES, expected=model(IMAGES))
    lines = run_python('-c', '''
import sys
import numpy as np, tensorflow as tf, tf_keras
import nets
from nets import alexnet, nets_factory, slim_checkpoints
data = np.load(sys.argv[1] + '/data.npz')
got = tf_keras.models.load_model(sys.argv[1] + '/model.keras')(data['images'])
print(np.abs(got - data['expected']).max() <= 1e-5 * np.abs(data['expected']).max())
with tf.Graph().as_default(), nets.arg_scope(alexnet.alexnet_v2_arg_scope()):
    alexnet.alexnet_v2(tf.zeros([1, 224, 224, 3]), 7)
    print(len(tf.compat.v1.get_collection('regularization_losses')))
print([name for name in sys.modules if name.startswith('tf_slim')])
''', tmp_path).stdout.splitlines()
    assert lines == ['True', '8', '[]']


def test_config_survives():
    """Every argument of a layer comes back: a second model made from the first one's configuration."""
    model = alexnet.AlexNet(None, dropout_keep_prob=0.8, weight_decay=0.5, hidden_bias=1,
                            dtype='mixed_bfloat16')
    again = tf_keras.Model.from_config(model.get_config())
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]
    assert again.get_layer('dropout6').keep_prob == 0.8
    assert again.get_layer('conv1').padding == (0, 3)
    assert again.get_layer('conv2').groups == 2
    assert again.get_layer('conv1').compute_dtype == 'bfloat16'
    np.testing.assert_array_equal(again.get_layer('conv2').bias, 1)
    assert len(again.losses) == 7


def test_saved_model(network, tmp_path):
    model = network[alexnet.AlexNetV2]
    tf.saved_model.save(model, str(tmp_path))
    serve = tf.saved_model.load(str(tmp_path)).signatures['serving_default']
    result, = serve(images=tf.constant(IMAGES)).values()
    assert_close(result, model(IMAGES))


@BOTH
def test_matrix_products_stand_for_the_fully_connected_layers(network, make):
    """At 224 fc6..fc8 are products; with a free size the same weights run as convolutions."""
    model = network[make]
    free = make(7, input_shape=(None, None, 3), spatial_squeeze=False)
    assert free.output_shape == (None, None, None, 7)
    free.set_weights(model.get_weights())
    assert_close(free(IMAGES)[:, 0, 0], model(IMAGES))

    def operations(model):
        run = tf.function(model).get_concrete_function(tf.TensorSpec([None, *model.input_shape[1:]]))
        return sorted(op.name.split('/')[-2] for op in run.graph.get_operations() if op.type == 'Conv2D'
                      and '/norm' not in op.name)  # whose windows of maps are a convolution, too
    convolved = [f'conv{number}' for number in (1, 2, 3, 4, 5)]
    if make is alexnet.AlexNet:
        convolved = sorted([*convolved, 'conv2', 'conv4', 'conv5'])  # two groups
    assert operations(model) == convolved
    assert operations(free) == [*convolved, 'fc6', 'fc7', 'fc8']
    if make is alexnet.AlexNetV2:  # the size that slim's contract gives
        wide = np.random.default_rng(2).uniform(-128, 128, [1, 300, 400, 3]).astype(np.float32)
        assert free(wide).shape == (1, 4, 7, 7)


def test_global_pool_takes_any_size(network):
    pooled = alexnet.AlexNetV2(7, input_shape=(None, None, 3), global_pool=True)
    maps = alexnet.AlexNetV2(None, input_shape=(None, None, 3))
    pooled.set_weights(network[alexnet.AlexNetV2].get_weights())
    maps.set_weights(network[alexnet.AlexNetV2].get_weights()[:-2])
    assert pooled.output_shape == (None, 7)
    assert_close(pooled(IMAGES), network[alexnet.AlexNetV2](IMAGES))
    wide = np.random.default_rng(2).uniform(-128, 128, [1, 256, 300, 3]).astype(np.float32)
    features = maps(wide)
    assert features.shape == (1, 2, 4, 512)
    fc8 = pooled.get_layer('fc8')
    assert_close(pooled(wide), tf.reduce_mean(features, [1, 2]) @ fc8.kernel[0, 0] + fc8.bias)


@BOTH
def test_mixed_bfloat16_is_close_to_float32(network, make):
    mixed = make(7, dtype='mixed_bfloat16')
    mixed.set_weights(network[make].get_weights())
    assert {weight.dtype for weight in mixed.weights} == {tf.float32}
    logits = mixed(IMAGES)
    assert logits.dtype == tf.bfloat16
    assert_close(logits, network[make](IMAGES), 0.05)


def test_model_trains_in_mixed_bfloat16():
    model = alexnet.AlexNet(7, dtype='mixed_bfloat16')
    with tf.GradientTape() as tape:
        value = loss()(LABELS, tf.cast(model(IMAGES, training=True), tf.float32))
    gradients = tape.gradient(value, model.trainable_variables)
    assert {gradient.dtype for gradient in gradients} == {tf.float32}
    assert all(np.isfinite(gradient).all() and np.any(gradient) for gradient in gradients[-2:])


@BOTH
def test_weight_decay(network, make):
    model = make(7, weight_decay=0.5)
    kernels = [layer.kernel for layer in convolutions(model).values()]
    assert len(kernels) == len(model.losses) == 8
    np.testing.assert_allclose(model.losses, [0.5 / 2 * np.square(kernel, dtype=np.float64).sum()
                                              for kernel in kernels], rtol=1e-3)
    assert not network[make].losses
    with pytest.raises(ValueError, match='weight_decay is -1'):
        make(7, weight_decay=-1)


@pytest.mark.parametrize('make, hidden', [(alexnet.AlexNet, ['conv2', 'conv4', 'conv5', 'fc6', 'fc7']),
                                          (alexnet.AlexNetV2, [row for row in V2_ROWS if row != 'fc8'])],
                         ids=['AlexNet', 'AlexNetV2'])
def test_initial_biases_and_weights(make, hidden):
    for value, arguments in ((0.1, {}), (1, {'hidden_bias': 1})):
        model = make(7, **arguments)
        for layer in convolutions(model).values():
            expected = value if layer.name in hidden else 0
            np.testing.assert_array_equal(layer.bias, np.float32(expected), err_msg=layer.name)
    if make is alexnet.AlexNet:  # paper, section 5: normal, deviation 0.01
        for name in ('conv1', 'conv2', 'conv5', 'fc7', 'fc8'):
            kernel = model.get_layer(name).kernel.numpy()
            assert kernel.std() == pytest.approx(0.01, rel=0.03)
            assert np.abs(kernel).max() > 0.03  # not cut at two deviations


def test_dropout_is_active_in_training_alone(network):
    model = network[alexnet.AlexNet]
    np.testing.assert_array_equal(model(IMAGES), model(IMAGES, training=False))
    assert np.abs(model(IMAGES, training=True) - model(IMAGES)).max() > 0.01
    keeps_all = alexnet.AlexNet(7, dropout_keep_prob=1)
    keeps_all.set_weights(model.get_weights())
    np.testing.assert_array_equal(keeps_all(IMAGES, training=True), model(IMAGES))


# Functions on Keras tensors ---------------------------------------------------------------------------


@pytest.mark.parametrize('function, make', [(alexnet.alexnet, alexnet.AlexNet),
                                            (alexnet.alexnet_v2, alexnet.AlexNetV2)])
def test_function_on_keras_tensors(network, function, make):
    inputs = tf_keras.Input([224, 224, 3])
    logits, end_points = function(inputs, 7)
    scope = function.__name__
    rows = [row for row in ROWS[make] if not row.startswith('dropout')]
    assert list(end_points) == [f'{scope}/{row}' for row in rows]
    assert end_points[f'{scope}/fc8'] is logits
    model = tf_keras.Model(inputs, [logits, end_points[f'{scope}/conv5']], name=scope)
    assert {layer.name for layer in model.layers[1:]} == {f'{scope}/{row}' for row in ROWS[make]}
    model.set_weights(network[make].get_weights())
    assert_close(model(IMAGES)[0], network[make](IMAGES))
    reference = tf_keras.Model(network[make].input, network[make].get_layer('conv5').output)
    assert_close(model(IMAGES)[1], reference(IMAGES))


def test_the_arg_scope_holds_on_keras_tensors():
    inputs = tf_keras.Input([224, 224, 3])
    with nets.arg_scope(alexnet.alexnet_v2_arg_scope(weight_decay=0.001)):
        logits, _ = alexnet.alexnet_v2(inputs, 7)
    model = tf_keras.Model(inputs, logits)
    assert len(model.losses) == 8
    np.testing.assert_array_equal(model.get_layer('alexnet_v2/conv1').bias, np.float32(0.1))


@pytest.mark.parametrize('global_pool, key', [(True, 'global_pool'), (False, 'net/fc7')])
def test_function_without_classes_on_keras_tensors(global_pool, key):
    net, end_points = alexnet.alexnet_v2(tf_keras.Input([256, 256, 3]), None, scope='net',
                                         global_pool=global_pool)
    assert net is end_points[key]
    size = 1 if global_pool else 2
    assert net.shape.as_list() == [None, size, size, 512]
    assert 'net/fc8' not in end_points
    assert ('global_pool' in end_points) == global_pool


def test_is_training_false_never_drops():
    inputs = tf_keras.Input([224, 224, 3])
    logits, _ = alexnet.alexnet_v2(inputs, 7, is_training=False)
    model = with_larger_weights(tf_keras.Model(inputs, logits))
    np.testing.assert_array_equal(model(IMAGES, training=True), model(IMAGES, training=False))


# Errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['alexnet', 'alexnet_v2'])
@pytest.mark.parametrize('images', [IMAGES, tf.constant(IMAGES)], ids=['numpy', 'tensor'])
def test_eager_tensors_and_tf_function_are_refused(name, images):
    function, model = getattr(alexnet, name), {'alexnet': 'AlexNet', 'alexnet_v2': 'AlexNetV2'}[name]
    sentence = rf'{name}\(\) makes variables by name.*call a model: nets.alexnet.{model}\(num_classes=7\)'
    with pytest.raises(ValueError, match=sentence):
        function(images, 7)
    with pytest.raises(ValueError, match=sentence):
        tf.function(lambda: function(images, 7))()


@pytest.mark.parametrize('make, minimum', [(alexnet.AlexNet, 224), (alexnet.AlexNetV2, 195)])
@pytest.mark.parametrize('arguments', [{}, {'global_pool': True}, {'spatial_squeeze': False}], ids=str)
def test_images_below_the_minimum(make, minimum, arguments):
    for shape in ((minimum - 1, minimum, 3), (minimum, 100, 3), (8, 8, 3)):
        with pytest.raises(ValueError, match=f'at least {minimum}x{minimum}'):
            make(7, input_shape=shape, **arguments)


@pytest.mark.parametrize('make', list(ROWS))
@pytest.mark.parametrize('shape, message', [
    ((None, None, 3), 'cannot be squeezed; pass spatial_squeeze=False or global_pool=True'),
    ((300, 400, 3), '300x400 give a .* cannot be squeezed'),
    ((224, 224, None), 'number of channels known'),
    ((224, 224), r'\[batch, height, width, channels\]')])
def test_other_shapes_that_cannot_be(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make(7, input_shape=shape)


@pytest.mark.parametrize('num_classes', [-1, 2.5, True])
def test_bad_num_classes(num_classes):
    with pytest.raises(ValueError, match=f'num_classes is {num_classes}.*whole number'):
        alexnet.AlexNet(num_classes)


@pytest.mark.parametrize('keep_prob', [0, -0.5, 1.5])
def test_bad_keep_prob(keep_prob):
    with pytest.raises(ValueError, match=f'dropout_keep_prob is {keep_prob}.*above 0 and at most 1'):
        alexnet.AlexNet(7, dropout_keep_prob=keep_prob)


def test_integer_keras_tensors_are_refused():
    with pytest.raises(ValueError, match='uint8.*floating point'):
        alexnet.alexnet_v2(tf_keras.Input([224, 224, 3], dtype='uint8'), 7)
