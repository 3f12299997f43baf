"""The small run that nobody disturbs, which all others are compared with."""
import pytest

from alexnet_tf.run_folder import metrics
from tests.helpers.small_processes import finish, hash_in


def rows(folder):
    return [{name: row[name] for name in ('kind', 'step', 'loss')} for row in metrics.read(str(folder))]


@pytest.fixture(scope='session')
def uninterrupted(tmp_path_factory):
    """(hash, rows of metrics.jsonl less the speeds)."""
    folder = tmp_path_factory.mktemp('uninterrupted')
    return hash_in(finish(folder, '--decode_threads=4')), rows(folder)
