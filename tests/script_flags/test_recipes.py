"""The recipes: what they set, per-layer rates and colour noise by epoch, kinds of noise, several networks at once."""
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import evaluation
from alexnet_tf.script_flags import recipes
from alexnet_tf.training import schedules
from alexnet_tf.training.step import make_train_step
from tests import test_training as small
from tests.helpers.commands import messages_of
from tests.helpers.processes import run_python, run_pythons

STEPS = schedules.parse_steps(recipes.STEPS_145, ['conv1', 'conv2', 'fc8'])


def test_the_original_runs_rates():
    """alexnet-2012.md: 0.01; from 25 0.001; 51 0.0001; 67 conv1 0.00001, no noise; 72 conv1 frozen; 79 0.00001."""
    def at(epoch):
        return [schedules.stepped(STEPS, epoch, name) for name in ('conv2/weights', 'conv1/weights', 'conv2/biases',
                                                                   'conv1/biases', 'color_noise')]
    assert at(0) == [0.01, 0.01, 0.02, 0.02, None]
    assert at(24.99) == at(0)
    assert at(25) == [0.001, 0.001, 0.02, 0.02, None]
    assert at(51) == [0.0001, 0.0001, 0.02, 0.02, None]
    assert at(67) == [0.0001, 0.00001, 0.02, 0.00001, 0]
    assert at(72) == [0.0001, 0, 0.02, 0, 0]
    assert at(79) == at(90) == [0.00001, 0, 0.02, 0, 0]
    settings = schedules.follow_steps(STEPS, 67, ['conv1/weights', 'fc8/weights', 'fc8/biases'])
    assert settings.rate == 0.0001 and not settings.color_noise
    assert settings.factors == pytest.approx((0.1, 1, 200))


@pytest.mark.parametrize('entries, sentence', [
    (['0.01'], "has '0.01'; entries are epoch:rate"),
    (['0:0.01', '5:conv9=0.1'], "'5:conv9=0.1'; targets are weights, biases"),
    (['0:0.01', '5:conv1/kernel=0.1'], 'targets are'),
    (['5:0.01'], 'no rate for epoch 0'),
    (['0:0'], 'the rate of all above 0'),
    (['0:0.01', '3:conv1=-1'], 'must be at least 0'),
    (['0:0.01', '3:color_noise=0.5'], 'color_noise 0 or 1'),
    (['0:0.01', 'nan:0.1'], 'must be at least 0'),
])
def test_wrong_steps_are_refused(entries, sentence):
    with pytest.raises(ValueError, match=sentence.replace('[', '.')):
        schedules.parse_steps(entries, ['conv1'])


def test_rates_of_single_variables_are_the_rule_with_their_rates():
    """Two steps with own rates against the update rule in NumPy; then conv1 is frozen and stands still at once."""
    state, twin = small.small_state(own_rates=True), small.small_model()
    assert state.trainable_names == ['conv1/weights', 'conv1/biases', 'fc8/weights', 'fc8/biases']
    step = make_train_step(state, tf.distribute.get_strategy(), batch_size=4, mean=small.MEAN, seed=0)
    rates = np.array([0.001, 0.02, 0.01, 0.03])
    velocities = [np.zeros(variable.shape) for variable in twin.trainable_variables]

    def run(rates, number):
        state.follow(schedules.Settings(0.01, tuple(rates / 0.01)))
        step(tf.constant(small.IMAGES), tf.constant(small.LABELS), tf.constant(number, tf.int64))
    for number in range(2):
        _, gradients = small.loss_and_gradients(twin)
        run(rates, number)
        for index, variable in enumerate(twin.trainable_variables):
            decay = 0.0005 if 'weights' in variable.name else 0
            velocities[index] = 0.9 * velocities[index] - rates[index] * (gradients[index] + decay * variable.numpy())
            variable.assign_add(velocities[index])
    for one, other in zip(state.trainable, twin.trainable_variables):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for number in (2, 5):  # frozen, thawed, frozen again: each time at once
        before = [variable.numpy() for variable in state.trainable]
        run(np.array([0, 0, 0.01, 0.03]), number)
        for index, variable in enumerate(state.trainable):
            assert np.array_equal(variable, before[index]) == (index < 2)
        run(rates, number + 1)
        assert not np.array_equal(state.trainable[0], before[0])


def test_noise_and_its_division_are_off_when_the_schedule_says_so():
    images = np.random.default_rng(0).integers(0, 256, [3, 224, 224, 3], np.uint8)
    mean, axes = np.array([1, 2, 3], np.float32), 10 * np.eye(3, dtype=np.float32)
    plain = preprocessing.training_batch(images, mean, [0, 1])
    off = preprocessing.training_batch(images, mean, [0, 1], noise_axes=axes, noise_on=tf.constant(0.0), divisor=1.1)
    np.testing.assert_array_equal(off, plain)
    on = preprocessing.training_batch(images, mean, [0, 1], noise_axes=axes, noise_on=tf.constant(1.0), divisor=1.1)
    np.testing.assert_allclose(on, preprocessing.add_colour_noise(plain, [0, 1], axes) / 1.1, rtol=1e-5)


def test_kinds_of_colour_noise():
    """Grey levels along the axes for ImageNet's statistics, as alexnet-2012.md has them."""
    def levels(kind):
        statistics = preprocessing.IMAGENET_EIGENVALUES, preprocessing.IMAGENET_EIGENVECTORS
        axes = preprocessing.noise_axes(*statistics, 0.1, kind)
        return np.linalg.norm(axes, axis=1) / preprocessing.noise_divisor(0.1, kind)
    np.testing.assert_allclose(levels('source'), [11.1, 3.4, 1.8], atol=0.05)
    np.testing.assert_allclose(levels('popular'), [5.5, 0.48, 0.11], atol=0.06)
    np.testing.assert_allclose(levels('deviations'), [12.2, 3.7, 2.0], atol=0.05)
    # the paper's eigenvalues, of pixels at 0..1: 121.78^2 / 255^2 * 0.1 * 255
    np.testing.assert_allclose(levels('paper'), [5.82, 0.54, 0.15], atol=0.01)
    other = preprocessing.noise_axes([1.0, 1, 1], np.eye(3), 0.1, 'popular')
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), levels('popular'), rtol=1e-6)  # whatever the data


def test_recovered_colour_axes_give_the_noise_they_should(tmp_path):
    """Images with known axes and deviations -> build_tfrecords' statistics -> axes of the noise."""
    Image = pytest.importorskip('PIL.Image')
    from alexnet_tf import build_tfrecords
    random = np.random.default_rng(1)
    axes, _ = np.linalg.qr(random.normal(size=[3, 3]))
    deviations = np.array([8.0, 16.0, 40.0])
    folder = tmp_path / 'images' / 'train' / 'one'
    folder.mkdir(parents=True)
    for number in range(40):
        pixels = 128 + (random.normal(size=[64 * 64, 3]) * deviations) @ axes.T
        pixels = pixels.reshape(64, 64, 3)
        Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8)).resize((256, 256), 0).save(
            folder / f'{number}.png')
    info = build_tfrecords.build(str(tmp_path / 'images'), str(tmp_path / 'records'), num_processes=1,
                                 log=lambda _: None)
    noise = preprocessing.noise_axes(info['rgb_covariance_eigenvalues'], info['rgb_covariance_eigenvectors'], 0.1)
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), 0.1 * deviations, rtol=0.05)
    for row, axis in zip(noise.numpy(), axes.T):
        assert abs(row @ axis) / np.linalg.norm(row) > 0.999


def test_scale_jitter_and_no_augmentation():
    image = np.random.default_rng(2).integers(0, 256, [300, 400, 3], np.uint8)
    encoded = tf.io.encode_png(image).numpy()
    plain = preprocessing.training_image(encoded, [1, 2])
    np.testing.assert_array_equal(preprocessing.training_image(encoded, [1, 2], resize_side_max=256), plain)
    jittered = [preprocessing.training_image(encoded, [1, number], resize_side_max=512) for number in range(4)]
    assert all(one.shape == (224, 224, 3) for one in jittered)
    # Larger squares are smoother: neighbouring pixels differ less.
    def roughness(image):
        return np.abs(np.diff(image.numpy().astype(int), axis=1)).mean()
    assert len({round(roughness(one), 3) for one in jittered}) == 4
    assert min(map(roughness, jittered)) < roughness(plain)
    centre = preprocessing.central_crop(preprocessing.evaluation_image(encoded), 224)
    np.testing.assert_array_equal(preprocessing.training_image(encoded, [1, 2], augment=False), centre)


def test_networks_probabilities_are_averaged():
    def network(seed):
        tf_keras.utils.set_random_seed(seed)
        images = tf_keras.Input([8, 8, 3])
        return tf_keras.Model(images, tf_keras.layers.Dense(4)(
            tf_keras.layers.Rescaling(0.02)(tf_keras.layers.GlobalMaxPool2D()(images))))
    networks = [(network(seed), np.full(3, 100 + seed, np.float32), 8) for seed in range(3)]
    squares = np.random.default_rng(3).integers(0, 256, [5, 9, 9, 3], np.uint8)
    labels = np.array([0, 1, 2, 3, 0], np.int64)
    for views in (1, 10):
        probabilities = []
        for model, mean, size in networks:
            probabilities += [tf.nn.softmax(model(tf.cast(crop, tf.float32) - mean)).numpy()
                              for crop in preprocessing.views(squares, size, views)]
        scores, hits, _, loss = evaluation.make_eval_step(networks, num_views=views)(squares, labels)
        expected = np.mean(probabilities, 0)
        np.testing.assert_allclose(np.exp(scores), expected, rtol=1e-4, atol=1e-7)
        assert int(hits) == np.sum(expected.argmax(1) == labels)
        assert float(loss) == pytest.approx(-np.log(expected[np.arange(5), labels]).sum(), rel=1e-4)


# The scripts --------------------------------------------------------------------------------------------


def test_print_recipe_shows_values_and_sources():
    source, other, caffe, none = (
        {line.split('=')[0]: line.split('=', 1)[1] for line in result.stdout.splitlines()} for result in run_pythons(*(
            ['train_image_classifier.py', '--print_recipe', *arguments] for arguments in (
                ['--recipe=source', '--batch_size=64'],
                ['--recipe=paper', '--learning_rate_decay_type=piecewise', '--decay_epochs=3'],
                ['--recipe=caffe', '--learning_rate_decay_type=steps', '--learning_rate_steps=0:0.01'], []))))
    assert source['--variant'].split() == ['source', 'program,', 'layers-145']
    assert source['--learning_rate_steps'].split()[0] == ','.join(recipes.STEPS_145)
    assert source['--batch_size'].split() == ['64', 'given']
    assert source['--dropout_form'].split()[0] == 'original'
    assert other['--hidden_bias'].split()[0] == '1.0' and other['--learning_rate_decay_type'].split()[1] == 'given'
    # Steps of one's own replace the recipe's schedule, its factor for biases included.
    assert caffe['--bias_learning_rate_factor'].split() == ['1.0', 'default']
    assert caffe['--batch_size'].split()[0] == '256' and caffe['--variant'].split()[0] == 'caffe'
    assert len(source) == len(caffe) == len(other) == len(recipes.RECIPES)
    assert none['--momentum'].split() == ['0.9', 'default']


def run_recipe(small_records, folder, *arguments):
    return run_python('train_image_classifier.py', f'--dataset_dir={small_records}', f'--train_dir={folder}',
                      '--precision=float32', '--batch_size=8', '--mean=rgb', *arguments)


def test_the_original_recipe_trains_is_evaluated_and_exported(small_records, tmp_path):
    folder = tmp_path / 'run'
    # 48 images in batches of 8: 6 steps an epoch; conv1 is frozen and noise off from the third step on
    run_recipe(small_records, folder, '--recipe=source', '--max_number_of_steps=4', '--save_interval_secs=0',
               '--learning_rate_steps=0:0.001,0:biases=0.002,0.3:conv1=0,0.3:color_noise=0')
    spec = json.loads((folder / 'model.json').read_text())
    assert (spec['variant'], spec['unscaled_dropout'], spec['image_size']) == ('source', 0.5, 224)
    first, moving, frozen, last = (tf.train.load_checkpoint(str(folder / f'model.ckpt-{step}')) for step in range(1, 5))
    conv1, conv2 = 'alexnet/conv1/weights', 'alexnet/conv2/weights'
    assert not np.array_equal(first.get_tensor(conv1), moving.get_tensor(conv1))
    np.testing.assert_array_equal(frozen.get_tensor(conv1), last.get_tensor(conv1))
    assert not np.array_equal(frozen.get_tensor(conv2), last.get_tensor(conv2))
    *_, twice = run_pythons(
        ['-m', 'alexnet_tf.export', f'--checkpoint_path={folder}', f'--output_dir={tmp_path / "out"}'],
        *(['eval_image_classifier.py', f'--checkpoint_path={paths}', f'--dataset_dir={small_records}',
           f'--eval_dir={tmp_path / name}', f'--scores_file={tmp_path / name}.npz', '--precision=float32']
          for name, paths in (('once', folder), ('twice', f'{folder},{folder}'))))
    scores = [np.load(tmp_path / f'{name}.npz')['scores'] for name in ('once', 'twice')]
    # twice the same network: its own probabilities
    np.testing.assert_allclose(np.exp(scores[1]), tf.nn.softmax(scores[0]), rtol=1e-4, atol=1e-6)
    assert twice.stdout.count('Scoring alexnet') == 2
    served = tf.saved_model.load(str(tmp_path / 'out')).signatures['serve_bytes']
    dataset = datasets.open_dataset(str(small_records), 'validation')
    encoded = [dataset.example(position)[0] for position in range(len(dataset))]
    logits = served(image_bytes=tf.constant(encoded))['logits'].numpy()
    np.testing.assert_allclose(logits, scores[0], atol=1e-4 * np.abs(scores[0]).max())


@pytest.mark.slow
def test_two_devices_resume_and_export_on_one(small_records, tmp_path):
    """--model_parallel=2 for two steps, then one device for a third, is one device for three."""
    common = ['--model_name=alexnet', '--learning_rate_decay_type=fixed', '--learning_rate=0.0001',
              '--num_preprocessing_threads=1', '--bias_learning_rate_factor=2']
    run_recipe(small_records, tmp_path / 'one', *common, '--max_number_of_steps=3')
    run_recipe(small_records, tmp_path / 'two', *common, '--max_number_of_steps=2', '--model_parallel=2',
               '--clone_on_cpu')
    run_recipe(small_records, tmp_path / 'two', *common, '--max_number_of_steps=3')
    one, two = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ('one', 'two'))
    assert one.get_variable_to_shape_map() == two.get_variable_to_shape_map()
    for name in one.get_variable_to_shape_map():
        if name == 'best_step':
            continue  # the run in two parts was also validated at the end of the first
        assert np.abs(one.get_tensor(name) - two.get_tensor(name)).max() < 1e-5, name
    run_python('-m', 'alexnet_tf.export', f'--checkpoint_path={tmp_path / "two"}', f'--output_dir={tmp_path / "out"}')
    assert (tmp_path / 'out' / 'saved_model.pb').exists()


CONTRADICTIONS = {
    'this machine has 0 GPUs, where it needs 2': ['--model_parallel=2'],
    'do not go together': ['--model_parallel=2', '--num_clones=2', '--clone_on_cpu'],
    'trains alexnet, not --model_name=alexnet_v2': ['--recipe=paper', '--model_name=alexnet_v2'],
    'these are of --model_name=alexnet': ['--dropout_form=original'],
    '--learning_rate_decay_type=steps and --learning_rate_steps': ['--learning_rate_decay_type=steps'],
    "has '0:x'": ['--learning_rate_decay_type=steps', '--learning_rate_steps=0:x'],
    'momentum and sgd can': ['--bias_learning_rate_factor=2', '--optimizer=adam'],
    '--resize_side_max=100; for crops of 224 pixels it must be at least 256': ['--resize_side_max=100'],
    '--learning_rate has no effect with --learning_rate_decay_type=steps': ['--recipe=source', '--learning_rate=0.1'],
    'no effect with --color_noise=0': ['--color_noise_kind=popular', '--color_noise=0'],
    'give biases their rate there': ['--learning_rate_decay_type=steps', '--learning_rate_steps=0:0.1',
                                     '--bias_learning_rate_factor=2'],
    '--plateau_patience has no effect with --learning_rate_decay_type=fixed; leave it out, or choose': [
        '--plateau_patience=3', '--learning_rate_decay_type=fixed'],
    'learning_rate_decay_type=exponential|polynomial': ['--num_epochs_per_decay=2', '--decay_epochs='],
    '--adam_beta1 has no effect with --optimizer=momentum': ['--adam_beta1=0.8'],
    '--rmsprop_decay has no effect with --optimizer=adam': ['--rmsprop_decay=0.8', '--optimizer=adam'],
    '--num_epochs=2 and --max_number_of_steps=5 both say': ['--num_epochs=2', '--max_number_of_steps=5'],
    '--validate_every_n_steps has no effect': ['--validate_every_n_steps=5', '--validation_split_name=',
                                               '--learning_rate_decay_type=fixed'],
    '--ignore_missing_vars is about --checkpoint_path': ['--ignore_missing_vars'],
    'has no mean image': ['--recipe=caffe', '--num_epochs=1'],
}


def test_flags_that_contradict_each_other(small_records, tmp_path):
    common = [f'--train_dir={tmp_path}', f'--dataset_dir={small_records}']
    messages = messages_of('train_image_classifier', [common + case for case in CONTRADICTIONS.values()])
    for sentence, message in zip(CONTRADICTIONS, messages):
        assert sentence in message and 'File "' not in message, message
    assert {path.name for path in tmp_path.iterdir()} <= {'lock'}  # nothing was written for them


def test_towers_of_a_network_without_towers(tmp_path):
    result = run_python('train_image_classifier.py', f'--train_dir={tmp_path}', '--model_parallel=2', '--clone_on_cpu',
                        check=False)
    assert result.returncode == 1 and 'these are of --model_name=alexnet' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.slow
def test_weights_of_another_variant_are_refused(small_records, tmp_path):
    folder = tmp_path / 'caffe'
    run_recipe(small_records, folder, '--model_name=alexnet', '--variant=caffe', '--learning_rate_decay_type=fixed',
               '--max_number_of_steps=1')
    assert json.loads((folder / 'model.json').read_text())['image_size'] == 227
    result = run_python('train_image_classifier.py', f'--dataset_dir={small_records}', f'--checkpoint_path={folder}',
                        f'--train_dir={tmp_path / "paper"}', '--model_name=alexnet', check=False)
    assert result.returncode == 1
    assert 'is of a network with variant caffe, this run has paper' in result.stderr and '--variant' in result.stderr
    result = run_python('eval_image_classifier.py', f'--checkpoint_path={folder},{folder}', check=False)
    assert result.returncode == 1 and 'say with --eval_dir' in result.stderr


def test_networks_that_cannot_be_averaged():
    import dataclasses

    import eval_image_classifier
    from alexnet_tf.model import loading, specs
    spec = specs.Spec('alexnet', 224, ('a', 'b'), (1.0, 2.0, 3.0))
    first = loading.Loaded(None, spec, None, 'one', 0)
    eval_image_classifier.check_together([first, dataclasses.replace(first, spec=dataclasses.replace(
        spec, variant='caffe', image_size=227))])
    for change, what in (({'class_names': ('a', 'c')}, 'classes'), ({'labels_offset': 1}, 'labels_offset'),
                         ({'image_size': 300}, 'side of the resized image')):
        other = loading.Loaded(None, dataclasses.replace(spec, **change), None, 'two', 0)
        with pytest.raises(ValueError, match=f'one and two differ in their {what}'):
            eval_image_classifier.check_together([first, other])


@pytest.mark.slow
def test_clones_follow_own_rates_too(small_records, tmp_path):
    arguments = ['--max_number_of_steps=3', '--learning_rate_decay_type=steps', '--num_preprocessing_threads=1',
                 '--learning_rate_steps=0:0.001,0:biases=0.002,0.1:conv1=0,0.1:color_noise=0']
    run_recipe(small_records, tmp_path / 'one', *arguments)
    run_recipe(small_records, tmp_path / 'two', *arguments, '--num_clones=2', '--clone_on_cpu')
    one, two = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ('one', 'two'))
    for name in one.get_variable_to_shape_map():
        np.testing.assert_allclose(two.get_tensor(name), one.get_tensor(name), atol=1e-5, rtol=1e-5, err_msg=name)
    assert not one.get_tensor('optimizer/m/conv1/weights').any() and one.get_tensor('optimizer/m/fc6/weights').any()
