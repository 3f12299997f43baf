"""The training script beside a twin: the same steps written out with TensorFlow's operations, from the flags' values.

Losses, rates and weights are compared.
"""
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import batches, color_noise, datasets, preprocessing
from alexnet_tf.run_folder import metrics
from nets import alexnet, ops, slim_checkpoints
from tests.helpers.commands import call
from tests.helpers.saved import content

BATCH, STEPS = 4, 2
# Each value is other than the default. Rates of single variables: {kind or layer: rate} by step.
PLAIN = {'seed': 3, 'learning_rate': 0.02, 'momentum': 0.7, 'weight_decay': 0.5, 'label_smoothing': 0.3,
         'color_noise': 0.4, 'color_noise_kind': 'source', 'resize_side_max': 400, 'hidden_bias': 0.3,
         'dropout_keep_prob': 0.8, 'bias_learning_rate_factor': 3.0}
OWN = {'mean': 'image', 'variant': 'source', 'initial_values': 'caffe', 'dropout_keep_prob': 0.8,
       'learning_rate_steps': '0:0.002,0:biases=0.004,0.002:conv1=0,0.002:color_noise=0'}  # 0.002 epochs: step 1


def rates(options, step, name):
    """(common rate, rate of a variable 'conv1/weights') at a step."""
    if 'learning_rate_steps' in options:
        rate = 0 if step >= 1 and name.startswith('conv1') else 0.004 if name.endswith('biases') else 0.002
        return 0.002, rate
    rate = options.get('learning_rate', 0.01)
    return rate, rate * (options.get('bias_learning_rate_factor', 1) if name.endswith('biases') else 1)


def noisy(images, options, step, info):
    """With noise along the axes and the division that the original program had: paper, section 4.1."""
    scale, kind = options.get('color_noise', 0.1), options.get('color_noise_kind', 'deviations')
    if 'learning_rate_steps' in options and step >= 1:
        return images
    values = np.array(info.get('rgb_covariance_eigenvalues', color_noise.IMAGENET_EIGENVALUES))
    vectors = np.array(info.get('rgb_covariance_eigenvectors', color_noise.IMAGENET_EIGENVECTORS))
    seed = tf.constant([options.get('seed', 0), step], tf.int64)
    draws = tf.random.stateless_normal([BATCH, 3], preprocessing.stream(seed, 3)).numpy()
    noise = scale * (draws * np.sqrt(values)) @ vectors.T
    return (images + noise[:, None, None]) / (1 + scale if kind == 'source' else 1)


@functools.cache
def crops(folder, seed, step, resize_side_max):
    """(uint8 images, labels) of a step."""
    dataset = datasets.open_dataset(folder, 'train')
    positions = batches.positions(seed, step * BATCH, BATCH, len(dataset))
    encoded, labels = zip(*(dataset.example(position) for position in positions))
    return np.stack([preprocessing.training_image(image, tf.constant([seed, step * BATCH + row], tf.int64),
                                                  resize_side_max=resize_side_max)
                     for row, image in enumerate(encoded)]), np.array(labels)


def inputs(dataset, options, step):
    """(float32 images less the mean, labels) of a step."""
    images, labels = crops(dataset.folder, options.get('seed', 0), step, options.get('resize_side_max'))
    info = dataset.info
    mean = np.array(info.get('mean_rgb', (127.30, 119.72, 104.91)))
    if options.get('mean') == 'image':
        mean = np.load(f'{dataset.folder}/mean_image.npy')[16:240, 16:240]
    return noisy(images - mean, options, step, info).astype(np.float32), labels


def twin(dataset, network, options):
    """(losses, common rates, {name: weights}) of the steps."""
    tf_keras.utils.set_random_seed(options.get('seed', 0))
    shared = {'dropout_keep_prob': options.get('dropout_keep_prob', 0.5), 'hidden_bias': options.get('hidden_bias')}
    model = alexnet.AlexNetV2(10, **{name: value for name, value in shared.items() if value is not None}) if (
        network == 'alexnet_v2') else alexnet.AlexNet(
            10, variant=options.get('variant', 'paper'), initial_values=options.get('initial_values'), **shared)
    weights = slim_checkpoints.named_variables(model)
    velocities, losses, common = {name: np.zeros(variable.shape) for name, variable in weights.items()}, [], []
    for step in range(STEPS):
        images, labels = inputs(dataset, options, step)
        targets = np.eye(10)[labels] * (1 - options.get('label_smoothing', 0)) + options.get('label_smoothing', 0) / 10
        draws = preprocessing.stream(tf.constant([options.get('seed', 0), step], tf.int64), 4)
        with ops.dropout_draws(draws), tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.reduce_sum(
                targets.astype(np.float32) * tf.nn.log_softmax(model(images, training=True)), 1))
        for name, gradient in zip(weights, tape.gradient(loss, list(weights.values()))):
            rate, own = rates(options, step, name.split('/', 1)[1])
            decay = options.get('weight_decay', 0.0005) if name.endswith('weights') else 0
            # the velocity has the common rate in it, and what is frozen stands still at once
            velocities[name] = (own > 0 or step == 0) * (
                options.get('momentum', 0.9) * velocities[name]
                - own * (gradient.numpy() + decay * weights[name].numpy()))
            weights[name].assign_add(velocities[name])
        losses.append(float(loss))
        common.append(rate)
    return losses, common, {name: variable.numpy() for name, variable in weights.items()}


def distance(one, other):
    """How far two such results are from each other, as a share of the losses and of each layer's largest weight."""
    shares = [np.abs(np.subtract(one[0], other[0])).max() / max(one[0])]
    return max(shares + [np.abs(one[2][name] - other[2][name]).max() / np.abs(one[2][name]).max() for name in one[2]])


CASES = pytest.mark.parametrize('network, options', [('alexnet_v2', PLAIN), ('alexnet', OWN)],
                                ids=['plain', 'own rates'])


@pytest.fixture
def dataset(network, small_records):
    return datasets.open_dataset(str(small_records) if network == 'alexnet_v2' else datasets.SAMPLE_DIR, 'train')


@CASES
def test_the_script_trains_as_the_flags_say(network, options, dataset, tmp_path):
    schedule = 'steps' if 'learning_rate_steps' in options else 'fixed'
    call('train_image_classifier', f'--train_dir={tmp_path}', f'--dataset_dir={dataset.folder}',
         *(f'--{name}={value}' for name, value in options.items()), f'--learning_rate_decay_type={schedule}',
         f'--batch_size={BATCH}', f'--max_number_of_steps={STEPS}', '--log_every_n_steps=1', '--precision=float32',
         '--validation_split_name=', f'--model_name={network}', check=True)
    rows, weights = metrics.read(str(tmp_path)), content(tmp_path / f'model.ckpt-{STEPS}')
    expected = twin(dataset, network, options)
    found = [row['loss'] for row in rows], None, {name: weights[name] for name in expected[2]}
    assert [row['learning_rate'] for row in rows] == pytest.approx(expected[1], rel=1e-6)
    assert distance(expected, found) < 1e-4


@pytest.mark.slow
@CASES
def test_each_flag_makes_another_twin(network, options, dataset):
    """Else a flag that did nothing could pass."""
    whole = twin(dataset, network, options)
    for name in options:
        others = {other: value for other, value in options.items() if other != name}
        assert distance(twin(dataset, network, others), whole) > 1e-3, name
