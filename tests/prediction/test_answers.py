"""Batches of files for a source: their order, their sizes, what cannot be read, what is ahead."""
import threading
import time

import numpy as np
import pytest

from alexnet_tf.prediction import answers
from tests.helpers import special_files


@pytest.fixture
def files(tmp_path):
    """Function of a number that writes as many files, file n with n + 1 letters, and gives [(path, None)]."""
    def write(count):
        for number in range(count):
            (tmp_path / f'{number}.jpg').write_bytes(b'x' * (number + 1))
        return [(str(tmp_path / f'{number}.jpg'), None) for number in range(count)]
    return write


class Lengths:
    """A source that answers each image's length."""

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        return [[(str(len(image)), 1.0)] for image in images]


def given(found, source, batch_size=4):
    return [answer if isinstance(answer, str) else int(answer[0][0])
            for batch in answers.of_files(found, source, batch_size=batch_size) for _, answer in batch]


def test_answers_come_in_order_from_batches(files):
    found, source = files(10), Lengths()
    batches = list(answers.of_files(found, source, batch_size=4))
    assert [path for batch in batches for path, _ in batch] == [path for path, _ in found]
    assert given(found, Lengths()) == list(range(1, 11)) and sorted(source.batches) == [2, 4, 4]


def test_what_cannot_be_read_has_its_reason_in_its_place(files, tmp_path):
    found = files(4)
    (tmp_path / '1.jpg').write_bytes(b'')
    (tmp_path / '2.jpg').unlink()
    found.insert(1, ('elsewhere', 'there is no such file'))
    found += [(str(special_files.make(kind, tmp_path / kind)), None) for kind in special_files.KINDS]
    source = Lengths()
    read = given(found, source, 3)
    assert read[:5] == [1, 'there is no such file', 'the file is empty', 'No such file or directory', 4]
    assert all(special_files.MESSAGE in reason for reason in read[5:]) and len(read) == 8
    assert source.batches == [1, 1]  # nothing is asked where there is nothing to ask


def test_large_files_make_small_batches_and_too_large_ones_are_not_read(files, monkeypatch):
    monkeypatch.setattr(answers, 'MAX_BATCH_BYTES', 12)
    monkeypatch.setattr(answers, 'MAX_FILE_BYTES', 8)
    source = Lengths()
    read = given(files(9), source, 100)
    assert read[:8] == list(range(1, 9)) and read[8] == 'the file has 9 bytes; at most 8 are read'
    assert sorted(source.batches) == [1, 1, 2, 4]  # 1 2 3 4, 5 6, 7, 8; 9 alone is not asked


def test_a_reader_that_is_slow_is_waited_for(files):
    started, source = [], Lengths()

    def noted(images):
        started.append(len(images))
        return source(images)
    stream = answers.of_files(files(40), noted, batch_size=4)
    next(stream)
    time.sleep(0.2)
    assert len(started) <= answers.AT_ONCE


def test_one_batch_is_computed_while_the_next_is_read(files):
    both = threading.Barrier(2, timeout=20)

    def source(images):
        both.wait()
        return Lengths()(images)
    assert len(given(files(8), source)) == 8


def test_an_error_of_the_source_ends_it(files):
    def source(_):
        raise ConnectionError('the server is gone')
    with pytest.raises(ConnectionError, match='the server is gone'):
        given(files(30), source)


def test_the_best_five_with_equal_ones_by_class():
    names = list('abcdefg')
    assert answers.best(np.array([0.1, 0.3, 0.1, 0.2, 0.1, 0.1, 0.1]), names) == [
        ('b', 0.3), ('d', 0.2), ('a', 0.1), ('c', 0.1), ('e', 0.1)]
    assert answers.best(np.array([0.25, 0.75]), names) == [('b', 0.75), ('a', 0.25)]
