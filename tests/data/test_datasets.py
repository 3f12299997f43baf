"""Folders of records that others wrote: what is recognized, and what is refused with file, record and remedy."""
import gzip
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, records
from tests.helpers import shards
from tests.helpers.shards import labels, refused

IMAGE = tf.io.encode_jpeg(np.full([8, 8, 3], 100, np.uint8)).numpy()
DAMAGED = 'its checksum is wrong; the file is damaged or was changed'


def example(label, image=IMAGE, other=None):
    return shards.example(image, label, other)


def write_split(folder, *contents, split='train', labels_txt='1:cat\n2:dog\n'):
    """Shards of lists of labels or of serialized examples, and labels.txt."""
    return shards.write_split(folder, *([one if isinstance(one, bytes) else example(one) for one in shard]
                                        for shard in contents), split=split, labels_txt=labels_txt)


# Labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('labels_txt, stored, offset, found, names', [
    ('1:cat\n2:dog\n', [1, 2, 2], None, [0, 1, 1], ('cat', 'dog')),
    ('1:cat\n2:dog\n', [1, 2, 2], 1, [0, 1, 1], ('cat', 'dog')),
    ('1:cat\n2:dog\n', [1, 2, 0], 0, [1, 2, 0], ('background', 'cat', 'dog')),  # slim's 1001 classes
    ('0:background\n1:cat\n2:dog\n', [1, 2, 2], None, [0, 1, 1], ('cat', 'dog')),
    ('0:background\n1:cat\n2:dog\n', [1, 2, 2], 0, [1, 2, 2], ('background', 'cat', 'dog')),
    ('0:cat\n1:dog\n', [0, 1, 1], None, [0, 1, 1], ('cat', 'dog')),
    ('0:cat\n1:dog\n', [0, 1, 1], 0, [0, 1, 1], ('cat', 'dog')),
    ('0:cat\n1:dog\n', [1, 1], 1, [0, 0], ('dog',)),  # as slim: subtracted from labels and from their number
    ('2: ä b: c\r\n1:cat\r\n', [1, 2], None, [0, 1], ('cat', 'ä b: c')),
])
def test_labels_and_their_offset(tmp_path, labels_txt, stored, offset, found, names):
    dataset = datasets.open_dataset(str(write_split(tmp_path, stored, labels_txt=labels_txt)), 'train',
                                labels_offset=offset)
    assert labels(dataset) == found
    assert dataset.class_names == names and dataset.num_classes == len(names)


@pytest.mark.parametrize('base, stored, offset, message', [
    (1, [2, 1], 2, 'record 1: label 1 less labels_offset 2 is -1; labels must then be 0 to 0'),
    (1, [1, 0], None, 'record 1: label 0 less labels_offset 1 is -1; labels must then be 0 to 1'),
    (1, [1, 2, 3], None, 'record 2: label 3 less labels_offset 1 is 2; labels must then be 0 to 1'),
    (1, [3], 0, 'record 0: label 3 less labels_offset 0 is 3; labels must then be 0 to 2'),
    (0, [1, 0], 1, 'record 1: label 0 less labels_offset 1 is -1; labels must then be 0 to 0'),
    (0, [0, 2], None, 'record 1: label 2 less labels_offset 0 is 2; labels must then be 0 to 1')])
def test_labels_that_do_not_fit_are_refused(tmp_path, base, stored, offset, message):
    """slim trained on rows of zeros instead."""
    good = [base + 1, base + 1]  # fits whatever the offset
    write_split(tmp_path, good, stored, labels_txt=f'{base}:cat\n{base + 1}:dog\n')
    refused(tmp_path, f'train-00001-of-00002, {message}', labels_offset=offset)


@pytest.mark.parametrize('labels_txt, message', [
    ('cat\ndog\n', "labels.txt: line 'cat' is not 'label:name'"),
    ('1:cat\n2 dog\n', "line '2 dog' is not"), ('-1:cat\n', "line '-1:cat' is not"),
    ('1:cat\n3:dog\n', 'labels.txt: labels must be consecutive'), ('', 'labels must be consecutive'),
    ('0:background\n', 'labels must be consecutive')])
def test_a_labels_txt_that_cannot_be(tmp_path, labels_txt, message):
    refused(write_split(tmp_path, [1], labels_txt=labels_txt), message)


def test_without_labels_txt_someone_must_know_the_number(tmp_path):
    write_split(tmp_path, [1, 2, 3], labels_txt=None)
    for offset in (None, 1):
        refused(tmp_path, 'does not say how many classes it has; put a labels.txt beside', labels_offset=offset)
    dataset = datasets.open_dataset(str(tmp_path), 'train', default_num_classes=3)
    assert dataset.class_names == ('1', '2', '3') and labels(dataset) == [0, 1, 2]
    refused(tmp_path, 'record 1: label 2 less labels_offset 0', default_num_classes=2, labels_offset=0)


@pytest.mark.parametrize('stored, offset, found, names', [
    ([[1, 2], [3]], None, [0, 1, 2], ('1', '2', '3')),
    ([[0, 1], [2]], None, [0, 1, 2], ('0', '1', '2')),
    ([[1, 2], [3]], 1, [0, 1, 2], ('1', '2', '3')),
    ([[1, 2], [3]], 0, [1, 2, 3], ('background', '1', '2', '3')),  # slim's 1001 classes
])
def test_without_labels_txt_the_first_label_is_found_by_looking(tmp_path, stored, offset, found, names):
    write_split(tmp_path, *stored, labels_txt=None)
    dataset = datasets.open_dataset(str(tmp_path), 'train', labels_offset=offset, default_num_classes=3)
    assert labels(dataset) == found and dataset.class_names == names


def test_labels_that_do_not_tell_the_first_one(tmp_path):
    write_split(tmp_path, [1, 2], [3], labels_txt=None)  # of ten classes: neither 0 nor 10 is there
    refused(tmp_path, 'labels of 3 records are 1 to 3, which does not tell .*--labels_offset=0', default_num_classes=10)
    for offset in (0, 1):
        dataset = datasets.open_dataset(str(tmp_path), 'train', default_num_classes=10, labels_offset=offset)
        assert dataset.num_classes == 10 and dataset.example(2)[1] == 3 - offset


# Layouts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('subfolders', [False, True], ids=['slim', 'Model Garden'])
def test_shards_in_the_folder_and_in_one_a_split(tmp_path, subfolders):
    for split, stored in (('train', ([1, 2], [2], [1])), ('validation', ([2],))):
        write_split(tmp_path / split if subfolders else tmp_path, *stored, split=split, labels_txt=None)
    (tmp_path / 'labels.txt').write_text('1:cat\n2:dog\n')
    (tmp_path / 'train-00000-of-00003.bak').write_bytes(b'no shard, by its name')
    train, validation = (datasets.open_dataset(str(tmp_path), split) for split in ('train', 'validation'))
    assert labels(train) == [0, 1, 1, 0] and labels(validation) == [1]  # in the order of the shards' numbers
    assert train.example(3) == (IMAGE, 0) and train.info == {}


def test_the_sample_record_for_record():
    dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation')
    assert dataset.class_names == ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship',
                                   'truck')
    features = {'image/encoded': tf.io.FixedLenFeature([], tf.string),
                'image/class/text': tf.io.FixedLenFeature([], tf.string)}
    for position, record in enumerate(tf.data.TFRecordDataset(dataset.index.files)):
        parsed = tf.io.parse_single_example(record, features)
        image, label = dataset.example(position)
        assert image == parsed['image/encoded']
        assert dataset.class_names[label] == parsed['image/class/text'].numpy().decode()
    assert position == len(dataset) - 1 == 499
    assert dataset.info['num_classes'] == 10 and len(dataset.info['mean_rgb']) == 3
    assert datasets.open_dataset(datasets.SAMPLE_DIR, 'validation', labels_offset=0).class_names[:2] == (
        'background', 'airplane')


def test_the_sample_is_what_its_readme_says():
    for split, each in (('train', 200), ('validation', 50)):
        dataset = datasets.open_dataset(datasets.SAMPLE_DIR, split)
        assert dataset.info['counts'] == {'train': 2000, 'validation': 500}
        assert np.bincount(labels(dataset)).tolist() == [each] * 10


def test_dataset_info_is_held_against_the_shards(tmp_path):
    write_split(tmp_path, [1, 2], [1])
    path, info = tmp_path / 'dataset_info.json', {
        'format': 'slim', 'counts': {'train': 4}, 'class_names': ['a', 'b'], 'label_base': 1}
    path.write_text(json.dumps(info))
    refused(tmp_path, "has 3 records of split 'train', its dataset_info.json says 4")
    path.write_text(json.dumps(info | {'counts': {'train': 3}}))
    assert datasets.open_dataset(str(tmp_path), 'train').class_names == ('a', 'b')  # more exact than labels.txt
    path.write_text(json.dumps({'name': 'of another program'}))
    assert datasets.open_dataset(str(tmp_path), 'train').class_names == ('cat', 'dog')
    path.write_text('{"format": "sl')
    refused(tmp_path, 'cannot read .*dataset_info.json')


def test_what_is_not_there_is_named(tmp_path):
    write_split(tmp_path, *[[1]] * 6)
    write_split(tmp_path, [1], split='validation')
    refused(tmp_path, 'has no shards test-00000-of-…; splits there: train, validation', split='test')
    (tmp_path / 'Val').mkdir()
    write_split(tmp_path / 'Val', [1], split='val')
    refused(tmp_path, 'splits there: Val/val, train, validation', split='test')
    refused(tmp_path / 'typo', 'typo.* does not exist; give one with TFRecord shards')
    refused(tmp_path / 'labels.txt', 'is a file; give the folder that it is in')
    (tmp_path / 'empty').mkdir()
    refused(tmp_path / 'empty', 'make some with python -m alexnet_tf.build_tfrecords')
    for number in (0, 2, 3, 5):  # the last too: the names say how many there are
        (tmp_path / f'train-{number:05d}-of-00006').unlink()
    refused(tmp_path, 'lacks 4 of 6 shards: train-00000-of-00006, train-00002-of-00006, train-00003-of-00006 …')
    write_split(tmp_path, [1], [2])
    refused(tmp_path, r'more than one build \(train-…-of-00002, -of-00006\); remove all but one')


# Damaged records -----------------------------------------------------------------------------------------


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 16]) + content[at + 1:]


# A shard of two records of SIZE bytes, each in 12 + SIZE + 4.
SIZE = len(example(1))
SECOND = SIZE + 16


@pytest.mark.parametrize('change, message', [
    (lambda content: b'', 'is empty'),
    (lambda content: content[:-1], f'record 1 at byte {SECOND} is cut off'),  # in the last checksum
    (lambda content: content[:SECOND + 100], f'record 1 at byte {SECOND} is cut off'),
    (lambda content: content[:SECOND + 5], f'record 1 at byte {SECOND} is cut off'),
    (lambda content: content[:100], 'record 0 at byte 0 is cut off'),
    (lambda content: flipped(content, SECOND), f'record 1 at byte {SECOND}: the checksum of its length is wrong'),
    (lambda content: flipped(content, SECOND + 8), f'record 1 at byte {SECOND}: the checksum of its length'),
    (lambda content: flipped(content, 12), f'record 0 .*{DAMAGED}'),
    (lambda content: flipped(content, SECOND + 12 + SIZE // 2), f'record 1 .*{DAMAGED}'),
    (lambda content: flipped(content, 2 * SECOND - 1), f'record 1 .*{DAMAGED}'),  # its checksum itself
    (lambda content: content + b'more', f'record 2 at byte {2 * SECOND} is cut off'),
    (lambda content: gzip.compress(content), 'record 0 .* a gzip file. Unpack it'),
    (lambda content: IMAGE, 'record 0 .* damaged, or no TFRecord file'),
    (lambda content: b'<html>\n<body>404 Not Found', 'record 0 .* no TFRecord file'),
    (lambda content: b'a,b', 'record 0 at byte 0 is cut off')])
def test_damaged_and_foreign_shards(tmp_path, change, message):
    write_split(tmp_path, [1, 2], [1, 2])
    path = tmp_path / 'train-00001-of-00002'
    path.write_bytes(change(path.read_bytes()))
    refused(tmp_path, f'{re.escape(str(path))}.*{message}')


@pytest.mark.parametrize('record, message', [
    (b'\xffno protocol buffer', 'is not a tf.train.Example'),
    (b'', "no integer label under 'image/class/label'; it has no keys"),
    (example(None), "no integer label under 'image/class/label'; it has image/encoded"),
    (example(b'cat'), 'no integer label'), (example(1.0), 'no integer label'), (example([1, 2]), 'no integer label'),
    (example(1, None, {'image': IMAGE}), "no image under 'image/encoded'; it has image, image/class/label"),
    (example(1, b''), 'no image under'), (example(1, [IMAGE, IMAGE]), 'no image under'),
    (example(1, [1, 2]), 'no image under')])
def test_whole_records_of_something_else(tmp_path, record, message):
    write_split(tmp_path, [1, 2], [1, record])
    refused(tmp_path, f'train-00001-of-00002, record 1.* {message}')


def test_of_a_large_split_the_first_records_of_every_shard_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, 'READ_THROUGH', 100)
    monkeypatch.setattr(datasets, 'READ_FIRST', 4)  # two of each shard
    write_split(tmp_path, [1, 2, 1], [1, 2, 9])
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    with pytest.raises(ValueError, match='train-00001-of-00002, record 2: label 9'):
        dataset.example(5)
    write_split(tmp_path, [1, 2, 1], [1, 9, 2])
    refused(tmp_path, 'train-00001-of-00002, record 1: label 9')


def test_records_are_read_in_any_order_and_checked_at_every_read(tmp_path):
    stored = [bytes([number]) * number ** 4 for number in range(20)]  # 0 to 130,321 bytes
    shards.write_file(tmp_path / 'a', stored[:7])
    shards.write_file(tmp_path / 'b', stored[7:])
    index = records.index_files([str(tmp_path / 'a'), str(tmp_path / 'b')])
    for position in np.random.default_rng(0).permutation(20):
        assert records.read_record(index, position) == stored[position]
    assert index.where(9) == f'{tmp_path}/b, record 2'
    content = (tmp_path / 'b').read_bytes()
    (tmp_path / 'b').write_bytes(content[:-1])  # changed while a run goes on
    with pytest.raises(ValueError, match=f'/b, record 12 .*{DAMAGED}'):
        records.read_record(index, 19)
    assert records.read_record(index, 18) == stored[18]
    (tmp_path / 'b').unlink()
    with pytest.raises(ValueError, match='/b, record 11: No such file'):
        records.read_record(index, 18)
