"""The four-layer network: its numbers by hand, what tanh changes, that nothing regularizes, its error by NumPy."""
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.figure_one import examples, networks, trial
from nets import alexnet, rows, slim_checkpoints
from tests.helpers.numpy_alexnet import np_conv, np_dense, np_pool, np_relu


def test_shapes_and_parameters():
    walked = {step.row.name: step for step in rows.walk(rows.resolve(networks.RELU, 10), 32, 32)}
    assert {name: step.shape for name, step in walked.items()} == {
        'conv1': (32, 32, 32), 'pool1': (15, 15, 32), 'conv2': (15, 15, 32), 'pool2': (7, 7, 32), 'conv3': (7, 7, 64),
        'pool3': (3, 3, 64), 'dropout3': (3, 3, 64), 'fc4': (1, 1, 10)}
    assert {name: step.parameters for name, step in walked.items() if step.parameters} == {
        'conv1': 25 * 3 * 32 + 32, 'conv2': 25 * 32 * 32 + 32, 'conv3': 25 * 32 * 64 + 64, 'fc4': 9 * 64 * 10 + 10}
    model = alexnet.from_table(networks.RELU, 10, input_shape=(32, 32, 3))
    assert model.count_params() == 85_098 and model.output_shape == (None, 10)


def test_tanh_differs_by_the_activation_alone():
    tanh = networks.TABLES['tanh']
    assert [row.kind for row in tanh if isinstance(row, rows.Activation)] == ['tanh'] * 3
    with_relu = [dataclasses.replace(row, relu=True) if row.name in ('conv1', 'conv2', 'conv3') else row
                 for row in tanh if not isinstance(row, rows.Activation)]
    assert tuple(with_relu) == networks.RELU
    after = {row.name: before.name for before, row in zip(tanh, tanh[1:]) if isinstance(row, rows.Activation)}
    assert list(after.values()) == ['conv1', 'conv2', 'conv3']


def of_records(folder):
    return examples.read(datasets.open_dataset(str(folder), 'train'), log=lambda _: None)


def trial_of(activation, rate, found, folder):
    return trial.Trial(activation, rate, found, folder=str(folder), batch_size=48, seed=5)


def weights(folder, step):
    """{layer: (weights, biases)} in a checkpoint, float64."""
    reader = slim_checkpoints.read(str(folder / f'model.ckpt-{step}'))
    names = reader.get_variable_to_shape_map()

    def stored(place):
        name, = (name for name in names if name.endswith(place) and not name.startswith('optimizer/'))
        return np.float64(reader.get_tensor(name))
    return {layer: (stored(f'{layer}/weights'), stored(f'{layer}/biases'))
            for layer in ('conv1', 'conv2', 'conv3', 'fc4')}


def logits(images, layers, activation):
    net = images
    for layer in ('conv1', 'conv2', 'conv3'):
        net = np_pool(activation(np_conv(net, *layers[layer], before=2, after=2)))
    return np_dense(net, *layers['fc4'])[:, 0, 0]


def test_a_step_follows_the_gradient_alone_and_the_error_is_that_of_the_training_images(small_records, tmp_path):
    found = of_records(small_records)
    images = np.float32(found.images) - np.float32(np.mean(found.images, (0, 1, 2)))
    starts = {}
    for activation, function in (('relu', np_relu), ('tanh', np.tanh)):
        trained = trial_of(activation, 1.0, found, tmp_path / activation)
        model = trained._state.model
        starts[activation] = [variable.numpy() for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(found.labels, model(images)))
        wanted = [before - gradient.numpy() for before, gradient in zip(starts[activation],
                                                                       tape.gradient(loss, model.trainable_variables))]
        error = trained.train_to(1)
        # decay of 0.0005, the scripts' default, would take 5e-6 of a weight of 0.01
        for got, want in zip(model.trainable_variables, wanted):
            np.testing.assert_allclose(got, want, atol=5e-7)
        answers = logits(np.float64(images), weights(tmp_path / activation, 1), function).argmax(1)
        assert error == pytest.approx(100 * np.mean(answers != found.labels))
    for one, other in zip(starts['relu'], starts['tanh']):
        np.testing.assert_array_equal(one, other)


def test_examples_are_the_images_as_they_are_each_once_an_epoch(small_records):
    dataset = datasets.open_dataset(str(small_records), 'train')
    found = examples.read(dataset, log=lambda _: None)
    for position in (0, 47):
        encoded, label = dataset.example(position)
        np.testing.assert_array_equal(found.images[position], tf.io.decode_jpeg(
            encoded, dct_method='INTEGER_ACCURATE'))
        assert found.labels[position] == label
    np.testing.assert_allclose(found.mean, found.images.reshape(-1, 3).mean(0), rtol=1e-6)

    def drawn(step, count):
        return [images.numpy() for _, (images, _) in zip(range(count), found.batches(seed=3, batch_size=16, step=step))]
    both = drawn(0, 6)
    seen = {image.tobytes() for images in both[:3] for image in images}
    assert seen == {image.tobytes() for image in found.images}
    assert not np.array_equal(both[:3], both[3:])
    np.testing.assert_array_equal(drawn(4, 2), both[4:])


def test_a_loss_that_is_not_finite_is_no_error_of_the_command(small_records, tmp_path):
    assert trial_of('relu', 1e30, of_records(small_records), tmp_path).train_to(3) is None
