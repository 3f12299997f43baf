"""Storage that stalls is waited for; a shard that vanishes ends the run at once, by name, whatever is allowed."""
import time

import numpy as np
import pytest

from alexnet_tf.data import datasets, records
from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches
from tests.helpers import shards

COUNT = 60


@pytest.fixture
def folder(tmp_path):
    return shards.write(tmp_path, [shards.picture(number) for number in range(COUNT)])


@pytest.mark.parametrize('seconds', [0.5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_stall_changes_nothing_but_the_time(folder, monkeypatch, seconds):
    dataset = datasets.open_dataset(str(folder), 'train')
    expected = shards.trained(dataset, 20)
    reads, pread = [], records.os.pread

    def stalling(*arguments):
        reads.append(arguments)
        if len(reads) == 30:
            time.sleep(seconds)
        return pread(*arguments)
    monkeypatch.setattr(records.os, 'pread', stalling)
    began = time.monotonic()
    np.testing.assert_array_equal(shards.trained(dataset, 20), expected)
    assert time.monotonic() - began >= seconds and len(reads) >= 80


@pytest.mark.parametrize('limit', [0, 1000])
@pytest.mark.parametrize('training', [True, False])
def test_a_shard_that_vanishes_is_named_within_a_minute(folder, training, limit):
    dataset, lines = shards.open_counting(folder, limit)
    batches = iter(TrainingBatches(dataset, seed=0, batch_size=1, image_size=shards.SIZE) if training else
                   EvaluationBatches(dataset, batch_size=1, image_size=shards.SIZE))
    next(batches)
    shards.shard(folder, 2).unlink()
    began, come = time.monotonic(), 1
    with pytest.raises(ValueError, match=r'train-00002-of-00003, record \d+: No such file'):
        for _ in batches:
            come += 1
    assert time.monotonic() - began < 60 and come < COUNT
    assert len(dataset.bad) == 0 and not lines
