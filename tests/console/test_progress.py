"""The progress line: the time left counts from the first unit, not from the seconds that loading takes."""
import time

from alexnet_tf.console import progress


def test_rate_and_time_left(monkeypatch):
    clock, lines = [0.0], []
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    shown = progress.Progress(1001, 'images', lines.append)
    for seconds, done in ((20, 0), (30, 1), (35, 51), (40, 101), (45, 151), (51, 211)):
        clock[0] = seconds
        shown.update(done)
    assert lines == ['51/1001 images, 10.0/s, ETA 0:01:35', '151/1001 images, 10.0/s, ETA 0:01:25']
    clock[0] = 100.1
    shown.update(1001)
    shown.finish()
    assert lines[-1] == '1001 images in 0:01:40 (10.0/s)'


def test_work_that_goes_on_is_counted_from_where_it_was(monkeypatch):
    clock, lines = [0.0], []
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    shown = progress.Progress(100, 'images', lines.append, done=60)
    for seconds, done in ((5, 60), (6, 70), (16, 80)):
        clock[0] = seconds
        shown.update(done)
    assert lines == ['80/100 images, 1.0/s, ETA 0:00:20']
    clock[0] = 20
    shown.update(100)
    shown.finish()
    assert lines[-1] == '40 images in 0:00:20 (2.0/s)'


def test_units_that_come_in_batches(monkeypatch):
    clock, lines = [0.0], []
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    shown = progress.Progress(100, 'images', lines.append)
    for seconds, done in ((20, 1), (20.001, 2)):
        clock[0] = seconds
        shown.update(done)
    assert lines == ['2/100 images, 0.1/s, ETA 0:16:20']
