"""A trained run that the tests of this folder share."""
import pytest

from alexnet_tf.run_folder import metrics
from tests.helpers.commands import call
from tests.helpers.narrow import networks

TRAIN = ('--batch_size=8', '--learning_rate_decay_type=fixed', '--precision=float32', '--learning_rate=0.001',
         '--log_every_n_steps=1', '--num_preprocessing_threads=1')


def losses(folder):
    """[(step, loss)] of a run."""
    return [(row['step'], row['loss']) for row in metrics.read(folder) if row['kind'] == 'train']


@pytest.fixture(autouse=True, scope='package')
def narrow_networks():
    """Networks of a sixteenth of the kernels, for what is called in this process."""
    with networks():
        yield


@pytest.fixture(scope='package')
def trained(small_records, tmp_path_factory, narrow_networks):
    """(train_dir of an uninterrupted run of six steps with a narrow network, what it printed)."""
    folder = tmp_path_factory.mktemp('trained')
    result = call('train_image_classifier', *TRAIN, '--max_number_of_steps=6', f'--dataset_dir={small_records}',
                  f'--train_dir={folder}', '--validate_every_n_steps=3', check=True)
    return folder, result.stdout
