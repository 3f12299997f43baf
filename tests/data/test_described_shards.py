"""Shards with fewer records than their description says."""
import pytest

from alexnet_tf.data import datasets
from tests.helpers import shards


def test_records_that_a_shard_should_have_count_as_bad(tmp_path):
    shards.write(tmp_path, [shards.picture(number) for number in range(30)], described=True)
    path = shards.shard(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:shards.places(path)[4][0] + 5])  # the fifth of ten is cut off, five are gone
    with pytest.raises(ValueError, match='lacks 5 records, besides .* damaged; --max_bad_records=4 allows no more'):
        datasets.open_dataset(str(tmp_path), 'train', max_bad_records=4, log=lambda _: None)
    lines = []
    dataset = datasets.open_dataset(str(tmp_path), 'train', max_bad_records=6, log=lines.append)
    dataset.report_bad(lines.append)
    assert len(dataset.bad) == 6 and f'of {tmp_path}: 6 of 30 (--max_bad_records=6)' in lines[-1]
