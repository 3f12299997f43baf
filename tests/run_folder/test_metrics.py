"""metrics.jsonl and TensorBoard's events: each row once, also where a run was cut off."""
import json
import os
from pathlib import Path

import pytest
import tensorflow as tf

from alexnet_tf.run_folder import metrics
from alexnet_tf.run_folder.metrics_log import MetricsLog


def events(folder):
    """{(tag, step): [values]} as TensorBoard would read them."""
    found = {}
    for path in sorted(Path(folder).glob('events.out.tfevents.*')):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == 'scalars'
                found.setdefault((value.tag, event.step), []).append(float(tf.make_ndarray(value.tensor)))
    return found


def test_rows_and_events_say_the_same(tmp_path):
    log = MetricsLog(str(tmp_path / 'new'), 0)
    log.write('train', 10, loss=2.5, learning_rate=0.01)
    log.write('validation', 10, accuracy=0.25)
    log.write('train', 20, loss=1.5, learning_rate=0.001)
    rows = metrics.read(str(tmp_path / 'new'))  # on disk at once, before close()
    log.close()
    assert rows == [{'kind': 'train', 'step': 10, 'loss': 2.5, 'learning_rate': 0.01},
                    {'kind': 'validation', 'step': 10, 'accuracy': 0.25},
                    {'kind': 'train', 'step': 20, 'loss': 1.5, 'learning_rate': 0.001}]
    assert events(tmp_path / 'new') == {
        ('train/loss', 10): [2.5], ('train/learning_rate', 10): [pytest.approx(0.01)],
        ('validation/accuracy', 10): [0.25],
        ('train/loss', 20): [1.5], ('train/learning_rate', 20): [pytest.approx(0.001)]}


@pytest.mark.parametrize('start_step, kept', [(0, []), (9, []), (10, [10, 10]), (20, [10, 10, 20]),
                                              (99, [10, 10, 20, 30])])
def test_rows_behind_the_start_are_taken_out(tmp_path, start_step, kept):
    log = MetricsLog(str(tmp_path), 0)
    for kind, step in (('train', 10), ('validation', 10), ('train', 20), ('train', 30)):
        log.write(kind, step, loss=1.0)
    log.close()
    MetricsLog(str(tmp_path), start_step).close()
    assert [row['step'] for row in metrics.read(str(tmp_path))] == kept


@pytest.mark.parametrize('cut', range(1, 40, 6))
def test_a_line_cut_anywhere_is_left_out_and_later_rows_are_whole(tmp_path, cut):
    log = MetricsLog(str(tmp_path), 0)
    log.write('train', 10, loss=1.0)
    log.write('train', 20, loss=2.0)
    log.close()
    path = tmp_path / metrics.METRICS_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    expected = [10, 20] if cut == 1 else [10]  # with cut 1 only the end of the line is missing
    assert [row['step'] for row in metrics.read(str(tmp_path))] == expected
    log = MetricsLog(str(tmp_path), 20)
    log.write('train', 30, loss=3.0)
    log.close()
    assert [json.loads(line)['step'] for line in path.read_text().splitlines()] == expected + [30]


def test_a_folder_without_metrics_has_no_rows(tmp_path):
    assert metrics.read(str(tmp_path)) == []


@pytest.mark.parametrize('row', ['{"kind": "train", "step": "5", "loss": 1}', '{"kind": "train", "step": true}',
                                 '{"kind": "train", "step": -1}', '{"kind": "train", "step": 1' + '0' * 400 + '}'])
def test_a_damaged_row_is_named_when_a_run_goes_on(tmp_path, row):
    (tmp_path / 'metrics.jsonl').write_text(row + '\n{"kind": "train", "step": 6, "loss": 1}\n')
    with pytest.raises(ValueError, match='line 1 of .*metrics.jsonl is damaged'):
        MetricsLog(str(tmp_path), 10)


def test_a_row_that_cannot_be_written(tmp_path, monkeypatch):
    """/dev/full takes nothing, as a full disk."""
    with monkeypatch.context() as context:
        context.setattr(os, 'replace', lambda _, path: os.symlink('/dev/full', path))
        log = MetricsLog(str(tmp_path), 0)
    with pytest.raises(OSError, match='cannot write .*metrics.jsonl: No space left.*the same command goes on'):
        log.write('train', 1, loss=1.0)
    log.close()
