"""A small network whose class names are HTML, and photographs."""
import pytest

from alexnet_tf.data import datasets
from alexnet_tf.model import specs
from tests.commands.test_predict import write_run
from tests.helpers import narrow

SCRIPT = '<img src=x onerror="document.title=1">'
NAMES = (SCRIPT, '</td><script>document.title=1</script>', '${document.title=1}{{value}}', '"><b>', 'a\x1b\u202e&amp;',
         'dog', 'frog', 'horse', 'ship', 'truck')


@pytest.fixture(scope='package')
def run(narrow_package, tmp_path_factory):
    spec = specs.Spec('alexnet', 224, NAMES, (120.0, 110.0, 100.0), 1)
    return write_run(tmp_path_factory.mktemp('page') / 'run', spec)


@pytest.fixture(scope='package')
def narrow_package():
    with narrow.networks():
        yield


@pytest.fixture(scope='package')
def photographs(tmp_path_factory):
    """Ten files of the sample."""
    folder, dataset = tmp_path_factory.mktemp('photographs'), datasets.open_dataset(datasets.SAMPLE_DIR, 'validation')
    for position in range(10):
        (folder / f'{position}.jpg').write_bytes(dataset.example(position)[0])
    return sorted(folder.iterdir())
