"""Record files that are damaged: refused with file and byte, or as many left out as were damaged, never one more."""
import functools
import json
import re
import shutil

import google_crc32c
import numpy as np
import pytest

from alexnet_tf.data import datasets, records
from alexnet_tf.data.batches import positions
from tests.helpers import shards
from tests.helpers.commands import call

COUNT = 24  # records, eight in each of three shards


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return shards.write(tmp_path_factory.mktemp('whole'), [shards.picture(n) for n in range(COUNT)], described=True)


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole, tmp_path / 'records')
    return tmp_path / 'records'


def place(folder, number):
    """(path of the shard, first byte, length of the data) of a record."""
    path = shards.shard(folder, number // 8)
    return path, *shards.places(path)[number % 8]


def flip_in_data(folder, *numbers):
    for number in numbers:
        path, at, length = place(folder, number)
        shards.flip(path, at + 12 + length // 2)


def flip_in_lengths(folder, *numbers):
    found = [place(folder, number) for number in numbers]  # before they are damaged
    for path, at, _ in found:
        shards.flip(path, at + 1)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def append(path, garbage):
    path.write_bytes(path.read_bytes() + garbage)


def noise(size):
    return np.random.default_rng(0).bytes(size)


# Each: what is done to the folder; the numbers of the records that are lost by it; how many bad records that is; what
# the error says when none is allowed.
FAULTS = {
    'flipped data': (lambda folder: flip_in_data(folder, 3, 4, 17), [3, 4, 17], 3,
                     r'train-00000-of-00003, record 3 \(byte \d+\): its checksum is wrong'),
    'flipped length': (lambda folder: flip_in_lengths(folder, 0, 13, 23), [0, 13, 23], 3,
                       'train-00000-of-00003, record 0 at byte 0: the checksum of its length'),
    'cut off': (lambda folder: cut(place(folder, 13)[0], place(folder, 13)[1] + 40), [13, 14, 15], 3,
                'train-00001-of-00003, record 5 at byte .* is cut off'),
    'cut off in a header': (lambda folder: cut(place(folder, 15)[0], place(folder, 15)[1] + 7), [15], 1,
                            'train-00001-of-00003, record 7 at byte .* is cut off'),
    'empty': (lambda folder: cut(place(folder, 8)[0], 0), range(8, 16), 8, 'train-00001-of-00003 is empty'),
    'noise at the end': (lambda folder: append(place(folder, 8)[0], noise(3000)), [], 1,
                         'train-00001-of-00003, record 8 at byte .*: the checksum of its length'),
    'five bytes at the end': (lambda folder: append(place(folder, 8)[0], noise(5)), [], 1,
                              'train-00001-of-00003, record 8 at byte .* is cut off'),
    'zeros at the end': (lambda folder: append(place(folder, 23)[0], bytes(3 << 20)), [], 1,
                         'train-00002-of-00003, record 8 at byte .*: the checksum of its length')}


def all_together(folder):
    flip_in_lengths(folder, 2)  # backwards, since places are looked up in whole shards
    cut(place(folder, 15)[0], place(folder, 15)[1] + 40)
    path, at, length = place(folder, 18)
    append(path, noise(100))
    shards.flip(path, at + 12 + length)  # its data's checksum


FAULTS['all together'] = (all_together, [2, 15, 18], 4, 'train-00000-of-00003, record 2 at byte')


@pytest.mark.parametrize('fault', FAULTS)
def test_by_default_damage_is_refused_with_file_and_byte(folder, fault):
    damage, _, _, message = FAULTS[fault]
    damage(folder)
    with pytest.raises(ValueError, match=message):
        datasets.open_dataset(str(folder), 'train')


@pytest.mark.parametrize('fault', FAULTS)
def test_as_many_are_left_out_as_were_damaged_and_one_more_is_refused(folder, fault):
    damage, lost, injected, _ = FAULTS[fault]
    damage(folder)
    dataset, lines = shards.open_counting(folder, injected)
    kept = [number for number in range(COUNT) if number not in lost]
    assert shards.evaluated(dataset) == (kept, [number % 3 for number in kept])
    assert len(dataset.bad) == injected
    beside, named = (list(group) for group in (
        filter(re.compile(r'train-0000\d-of-00003 lacks \d records').search, lines),
        filter(re.compile(r'Bad record \d+ of .*train-0000.*[Bb]yte').search, lines)))
    assert len(lines) == len(named) + len(beside) == injected - dataset.bad.lost + len(beside)
    dataset.report_bad(lines.append)
    assert f'{injected} of {len(dataset) + dataset.bad.lost} (--max_bad_records={injected})' in lines[-1]
    if injected > 1:
        limit = f'--max_bad_records={injected - 1} allows'
        with pytest.raises(ValueError, match=f'(bad record number {injected}|damaged); {limit}'):
            datasets.open_dataset(str(folder), 'train', max_bad_records=injected - 1, log=lines.append)


@pytest.mark.parametrize('fault', ['flipped data', 'flipped length'])
def test_in_training_the_next_good_record_takes_a_bad_ones_place(folder, fault):
    damage, lost, injected, _ = FAULTS[fault]
    damage(folder)
    dataset, _ = shards.open_counting(folder, injected)
    expected = positions(1, 0, 10 * COUNT, COUNT)
    while np.isin(expected, lost).any():  # 3 and 4 are neighbors; 23's next is 0, which is bad too
        expected = np.where(np.isin(expected, lost), (expected + 1) % COUNT, expected)
    numbers = shards.trained(dataset, 60)
    np.testing.assert_array_equal(numbers.ravel(), expected)
    assert len(dataset.bad) == injected
    resumed, _ = shards.open_counting(folder, injected)
    np.testing.assert_array_equal(shards.trained(resumed, 20, start_step=40, num_threads=3), numbers[40:])


def test_damage_that_is_found_only_when_it_is_reached(folder, monkeypatch):
    """As in a split that is too large to be read through before the first step."""
    monkeypatch.setattr(datasets, 'READ_THROUGH', 100)
    monkeypatch.setattr(datasets, 'READ_FIRST', 3)
    flip_in_data(folder, 5, 6, 7, 20)
    dataset, lines = shards.open_counting(folder, 4)
    assert not lines
    assert shards.evaluated(dataset)[0] == [*range(5), *range(8, 20), 21, 22, 23]
    assert len(dataset.bad) == len(lines) == 4
    assert shards.evaluated(dataset, batch_size=5)[0] == [*range(5), *range(8, 20), 21, 22, 23]
    assert len(lines) == 4  # each is told once
    for limit, message in ((0, r'record \d \(byte .*checksum is wrong'), (3, '--max_bad_records=3 allows no more')):
        for see in (shards.evaluated, lambda dataset: shards.trained(dataset, 12)):
            dataset, _ = shards.open_counting(folder, limit)
            with pytest.raises(ValueError, match=message):
                see(dataset)


def test_where_none_is_good(folder):
    flip_in_data(folder, *range(COUNT))
    dataset, _ = shards.open_counting(folder, 1000)
    assert len(dataset.bad) == COUNT
    with pytest.raises(ValueError, match="none of the 24 records of split 'train'"):
        shards.evaluated(dataset)
    with pytest.raises(ValueError, match="none of the 24 records of split 'train'"):
        shards.trained(dataset, 1)


SMALL = [bytes([number]) * number for number in (20, 1, 33)]  # records


def test_a_flipped_byte_anywhere_costs_one_record(tmp_path):
    path = tmp_path / 'shard'
    shards.write_file(path, SMALL)
    content = path.read_bytes()
    for at, owner in enumerate(np.repeat(range(3), [16 + len(record) for record in SMALL])):
        path.write_bytes(content)
        shards.flip(path, at)
        found, errors = index_and_read(path)
        assert found == SMALL[:owner] + SMALL[owner + 1:] and len(errors) == 1, at
        assert f'{path}, record {owner} ' in errors[0], at


def test_a_shard_cut_off_anywhere_keeps_the_records_before(tmp_path):
    path = tmp_path / 'shard'
    shards.write_file(path, SMALL)
    content, ends = path.read_bytes(), np.cumsum([16 + len(record) for record in SMALL])
    for size in range(ends[-1]):
        path.write_bytes(content[:size])
        kept = int(np.searchsorted(ends, size, side='right'))
        found, errors = index_and_read(path)
        assert found == SMALL[:kept], size
        assert len(errors) == (0 if size in ends else 1), size  # whole records alone: only a description tells


def index_and_read(path):
    """(records, messages of what is no record) of one file."""
    index, found, errors = records.index_files([str(path)], tolerant=True), [], []
    for position in range(len(index)):
        try:
            found.append(records.read_record(index, position))
        except ValueError as error:
            errors.append(str(error))
    return found, errors


def test_a_record_of_a_gigabyte_is_refused_before_it_is_read(folder, monkeypatch):
    path, size = shards.shard(folder, 1), 1 << 30
    with open(path, 'r+b') as file:
        file.seek(0, 2)
        at = file.tell()
        file.write(header(size))
        file.truncate(at + 16 + size)  # a hole: it takes no room on the disk
    (folder / 'dataset_info.json').unlink()
    asked, pread = [], records.os.pread
    monkeypatch.setattr(records.os, 'pread', lambda file, length, at: asked.append(length) or pread(file, length, at))
    message = f'train-00001-of-00003, record 8 .byte {at + 12}. has {size} bytes; at most {records.MAX_BYTES} are read'
    with pytest.raises(ValueError, match=message):
        datasets.open_dataset(str(folder), 'train')
    dataset, lines = shards.open_counting(folder, 1)
    assert shards.evaluated(dataset)[0] == list(range(COUNT)) and len(dataset.bad) == len(lines) == 1
    assert 0 < max(asked) < 1 << 20


def header(length):
    """The beginning of a record that says it has so many bytes, its checksum right."""
    stored = np.array([length], '<u8').tobytes()
    crc = google_crc32c.value(stored)
    return stored + np.array([((crc >> 15 | crc << 17) + 0xa282ead8) % (1 << 32)], '<u4').tobytes()  # masked


@pytest.mark.parametrize('length', [2 ** 32 - 1, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1])
def test_a_length_beyond_the_file_among_what_is_searched(length, tmp_path):
    path = tmp_path / 'shard'
    shards.write_file(path, SMALL)
    content = path.read_bytes()
    for whole, found in ((content, SMALL), (b'', [])):  # before records, and behind damage
        path.write_bytes(b'x' + header(length) + whole)
        assert index_and_read(path)[0] == found and len(index_and_read(path)[1]) == 1


def test_a_name_in_a_record_cannot_forge_a_line(tmp_path):
    key = '\nBad record 9: done\x1b[31m' + 'x' * 10 ** 5
    shards.write_split(tmp_path, [shards.example(None, 1, {key: 1})] * 2)
    _, lines = shards.open_counting(tmp_path, 2)
    assert len(lines) == 2 and all(line.isprintable() and len(line) < 5000 for line in lines)
    assert 'it has \\nBad record 9: done\\x1b[31mxxx' in lines[0] and lines[0].endswith('with both.')


# Shards that are gone or of something else ------------------------------------------------------------------


@pytest.mark.parametrize('limit', [0, 1000])
def test_a_missing_shard_is_refused_whatever_is_allowed(folder, limit):
    shards.shard(folder, 1).unlink()
    with pytest.raises(ValueError, match='lacks 1 of 3 shards: train-00001-of-00003'):
        datasets.open_dataset(str(folder), 'train', max_bad_records=limit)
    shards.shard(folder, 1).mkdir()
    with pytest.raises(ValueError, match='train-00001-of-00003. is a device, a pipe or a folder'):
        datasets.open_dataset(str(folder), 'train', max_bad_records=limit)


@pytest.mark.parametrize('limit', [0, 1000])
@pytest.mark.parametrize('exchange', [
    lambda folder, other: shutil.copy(shards.shard(folder, 0), shards.shard(folder, 1)),
    lambda folder, other: shutil.copy(shards.shard(other, 1), shards.shard(folder, 1)),
    lambda folder, other: cut(*place(folder, 15)[:2])],
    ids=['neighbor', 'same images in another order', 'one short'])
def test_an_exchanged_shard_is_named(tmp_path, exchange, limit):
    images = [shards.picture(number) + bytes(number) for number in range(COUNT)]  # of different lengths
    folder = shards.write(tmp_path / 'records', images, described=True)
    exchange(folder, shards.write(tmp_path / 'other', images[::-1]))
    message = (r'train-00001-of-00003 is another shard than the dataset_info.json of .* describes: \d records and \d+ '
               r'bytes, there 8 and \d+. It was exchanged')
    with pytest.raises(ValueError, match=message):
        datasets.open_dataset(str(folder), 'train', max_bad_records=limit)


def test_a_folder_described_without_its_shards_is_read_as_before(folder):
    info = json.loads((folder / 'dataset_info.json').read_text())
    del info['shards']
    (folder / 'dataset_info.json').write_text(json.dumps(info))
    assert len(datasets.open_dataset(str(folder), 'train')) == COUNT


# The scripts ------------------------------------------------------------------------------------------------


def test_the_scripts_refuse_or_count(small_records, narrow, tmp_path):
    folder, run = shutil.copytree(small_records, tmp_path / 'records'), tmp_path / 'run'
    for split, numbers in (('train-00001-of-00002', (1, 5, 6)), ('validation-00000-of-00001', (0, 19))):
        found = shards.places(folder / split)
        for number in numbers:
            shards.flip(folder / split, found[number][0] + 100)
    train = functools.partial(call, 'train_image_classifier', f'--dataset_dir={folder}', f'--train_dir={run}',
                              '--batch_size=4', '--max_number_of_steps=1', '--learning_rate_decay_type=fixed')
    refused = train()
    assert refused.returncode == 1
    assert re.search(r'train-00001-of-00002, record 1 \(byte \d+\): its checksum is wrong', refused.stderr)
    trained = train('--max_bad_records=3')
    assert trained.returncode == 0, trained.stderr
    assert f"split 'train' of {folder}: 3 of 48 (--max_bad_records=3)" in trained.stdout
    assert f"split 'validation' of {folder}: 2 of 20 (--max_bad_records=3)" in trained.stdout
    assert 'of 18 validation images' in trained.stdout
    scored = call('eval_image_classifier', f'--checkpoint_path={run}', f'--dataset_dir={folder}', '--max_bad_records=2')
    assert scored.returncode == 0 and '2 of 20 (--max_bad_records=2)' in scored.stdout
    results = json.loads((run / 'eval' / 'eval_results.json').read_text())
    assert results['bad_records'] == 2 and results['num_examples'] == 18
