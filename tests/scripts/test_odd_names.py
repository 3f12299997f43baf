"""Paths with characters that shells and globs act on."""
import json
import shutil

import numpy as np
import pytest

from tests.helpers.processes import run_python


@pytest.mark.slow
def test_the_commands_with_spaces_and_other_letters_in_all_paths(small_records, tmp_path):
    place = tmp_path / 'bilder äöü 猫 "q" $HOME;x'  # TensorFlow takes brackets in a checkpoint's path for a pattern
    shutil.copytree(small_records, place / 'records')
    run, records_flag = place / 'a run', f'--dataset_dir={place / "records"}'
    run_python('train_image_classifier.py', f'--train_dir={run}', records_flag, '--max_number_of_steps=1',
               '--batch_size=4', '--learning_rate_decay_type=fixed', '--validation_split_name=')
    run_python('eval_image_classifier.py', f'--checkpoint_path={run}', records_flag,
               f'--scores_file={place / "the scores.npz"}')
    assert json.loads((run / 'eval' / 'eval_results.json').read_text())['num_examples'] == 20
    assert np.load(place / 'the scores.npz')['scores'].shape == (20, 10)
    run_python('-m', 'alexnet_tf.export', f'--checkpoint_path={run}', f'--output_dir={place / "für später"}',
               '--to=npz')
    run_python('-m', 'alexnet_tf.import_weights', f'--source={place / "für später" / "weights.npz"}',
               f'--output_dir={place / "again"}')
    assert sorted(path.name for path in tmp_path.iterdir()) == [place.name]
