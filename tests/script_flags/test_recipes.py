"""The recipes: what they set, and what the scripts do with them; networks of a sixteenth of the kernels."""
import json

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.script_flags import recipes
from tests.helpers.commands import call
from tests.helpers.processes import NARROW, run_pythons

SMALL = ('--precision=float32', '--batch_size=8', '--mean=rgb')


def printed_recipe(*arguments):
    """{--flag: 'value source'} that --print_recipe shows."""
    lines = call('train_image_classifier', '--print_recipe', *arguments, check=True).stdout.splitlines()
    return dict(line.split('=', 1) for line in lines)


def test_print_recipe_shows_values_and_sources():
    source = printed_recipe('--recipe=source', '--batch_size=64')
    assert source['--variant'].split() == ['source', 'program,', 'layers-145']
    assert source['--learning_rate_steps'].split()[0] == ','.join(recipes.STEPS_145)
    assert source['--batch_size'].split() == ['64', 'given']
    assert source['--dropout_form'].split()[0] == 'original'
    paper = printed_recipe('--recipe=paper', '--learning_rate_decay_type=piecewise', '--decay_epochs=3')
    assert paper['--hidden_bias'].split()[0] == '1.0' and paper['--learning_rate_decay_type'].split()[1] == 'given'
    # Steps of one's own replace the recipe's schedule, its factor for biases included.
    caffe = printed_recipe('--recipe=caffe', '--learning_rate_decay_type=steps', '--learning_rate_steps=0:0.01')
    assert caffe['--bias_learning_rate_factor'].split() == ['1.0', 'default']
    assert caffe['--batch_size'].split()[0] == '256' and caffe['--variant'].split()[0] == 'caffe'
    assert len(source) == len(caffe) == len(paper) == len(recipes.RECIPES)
    assert printed_recipe()['--momentum'].split() == ['0.9', 'default']


@pytest.mark.slow
def test_the_original_recipe_trains_is_evaluated_and_exported(small_records, tmp_path, narrow):
    folder = tmp_path / 'run'
    # 48 images in batches of 8: 6 steps per epoch; conv1 is frozen and noise off from the third step on
    call('train_image_classifier', f'--dataset_dir={small_records}', f'--train_dir={folder}', *SMALL,
         '--recipe=source', '--max_number_of_steps=4', '--save_interval_secs=0', '--validation_split_name=',
         '--learning_rate_steps=0:0.001,0:biases=0.002,0.3:conv1=0,0.3:color_noise=0', check=True)
    spec = json.loads((folder / 'model.json').read_text())
    assert (spec['variant'], spec['unscaled_dropout'], spec['image_size']) == ('source', 0.5, 224)
    first, moving, frozen, last = (tf.train.load_checkpoint(str(folder / f'model.ckpt-{step}')) for step in range(1, 5))
    conv1, conv2 = 'alexnet/conv1/weights', 'alexnet/conv2/weights'
    assert not np.array_equal(first.get_tensor(conv1), moving.get_tensor(conv1))
    np.testing.assert_array_equal(frozen.get_tensor(conv1), last.get_tensor(conv1))
    assert not np.array_equal(frozen.get_tensor(conv2), last.get_tensor(conv2))
    call('alexnet_tf.export', f'--checkpoint_path={folder}', f'--output_dir={tmp_path / "out"}', check=True)
    # twice the same network: the mean of its own probabilities
    printed = call('eval_image_classifier', f'--checkpoint_path={folder},{folder}', f'--dataset_dir={small_records}',
                   f'--eval_dir={tmp_path}', f'--scores_file={tmp_path / "scores.npz"}', check=True).stdout
    assert printed.count('Scoring alexnet') == 2
    served = tf.saved_model.load(str(tmp_path / 'out')).signatures['serve_bytes']
    dataset = datasets.open_dataset(str(small_records), 'validation')
    encoded = [dataset.example(position)[0] for position in range(len(dataset))]
    probabilities = served(image_bytes=tf.constant(encoded))['probabilities'].numpy()
    assert np.ptp(probabilities, axis=0).max() > 1e-3  # they depend on the image
    np.testing.assert_allclose(np.exp(np.load(tmp_path / 'scores.npz')['scores']), probabilities, rtol=1e-4, atol=1e-7)


def test_weights_of_another_variant_are_refused(small_records, tmp_path, narrow):
    folder, common = tmp_path / 'caffe', ['--model_name=alexnet', '--learning_rate_decay_type=fixed', *SMALL]
    call('train_image_classifier', f'--dataset_dir={small_records}', f'--train_dir={folder}', *common,
         '--variant=caffe', '--max_number_of_steps=1', '--validation_split_name=', check=True)
    assert json.loads((folder / 'model.json').read_text())['image_size'] == 227
    result = call('train_image_classifier', f'--dataset_dir={small_records}', f'--train_dir={tmp_path / "paper"}',
                  *common, f'--checkpoint_path={folder}')
    assert result.returncode == 1 and '--variant' in result.stderr
    assert 'is of a network with variant caffe, this run has paper' in result.stderr
    result = call('eval_image_classifier', f'--checkpoint_path={folder},{folder}')
    assert result.returncode == 1 and 'say with --eval_dir' in result.stderr


# On several devices, which want processes of their own --------------------------------------------------


def trainings(records, *runs):
    """Trains narrow networks, each (folder, flags) in a process."""
    run_pythons(*([*NARROW, 'train_image_classifier', f'--dataset_dir={records}', f'--train_dir={folder}',
                   '--num_preprocessing_threads=1', *SMALL, *flags] for folder, flags in runs))


@pytest.mark.slow
def test_two_devices_resume_and_export_on_one(small_records, tmp_path):
    """--model_parallel=2 for two steps, then one device for a third, is one device for three."""
    common = ['--model_name=alexnet', '--learning_rate_decay_type=fixed', '--learning_rate=0.0001',
              '--bias_learning_rate_factor=2']
    one, two = tmp_path / 'one', tmp_path / 'two'
    three_steps = [*common, '--max_number_of_steps=3']
    trainings(small_records, (one, three_steps),
              (two, [*common, '--max_number_of_steps=2', '--model_parallel=2', '--clone_on_cpu']))
    trainings(small_records, (two, three_steps))
    expected, found = (tf.train.load_checkpoint(str(folder)) for folder in (one, two))
    assert expected.get_variable_to_shape_map() == found.get_variable_to_shape_map()
    for name in expected.get_variable_to_shape_map():
        if name == 'best_step':
            continue  # the run in two parts was also validated at the end of the first
        assert np.abs(expected.get_tensor(name) - found.get_tensor(name)).max() < 1e-5, name
    run_pythons([*NARROW, 'alexnet_tf.export', f'--checkpoint_path={two}', f'--output_dir={tmp_path / "out"}'])
    assert (tmp_path / 'out' / 'saved_model.pb').exists()


@pytest.mark.slow
def test_clones_follow_own_rates_too(small_records, tmp_path):
    arguments = ['--max_number_of_steps=3', '--learning_rate_decay_type=steps',
                 '--learning_rate_steps=0:0.001,0:biases=0.002,0.1:conv1=0,0.1:color_noise=0']
    trainings(small_records, (tmp_path / 'one', arguments),
              (tmp_path / 'two', [*arguments, '--num_clones=2', '--clone_on_cpu']))
    one, two = (tf.train.load_checkpoint(str(tmp_path / name)) for name in ('one', 'two'))
    for name in one.get_variable_to_shape_map():
        np.testing.assert_allclose(two.get_tensor(name), one.get_tensor(name), atol=1e-5, rtol=1e-5, err_msg=name)
    assert not one.get_tensor('optimizer/m/conv1/weights').any() and one.get_tensor('optimizer/m/fc6/weights').any()
