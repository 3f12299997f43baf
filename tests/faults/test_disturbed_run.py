"""The short form of disturbed_run.py, on the sample; `python -m tests.faults.disturbed_run` makes it as long as one
likes.
"""
import pytest

from alexnet_tf.data.datasets import SAMPLE_DIR
from tests.faults import disturbed_run, machine


@pytest.mark.slow
@pytest.mark.skipif(bool(machine.missing()), reason=f'this machine lacks {machine.missing()}')
def test_a_run_to_which_everything_happens_for_minutes(tmp_path):
    disturbed_run.compare(tmp_path, dataset_dir=SAMPLE_DIR, network='narrow', minutes=3, kills=6, seed=0)
