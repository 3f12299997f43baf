"""inspect_dataset: what it counts and finds in records that are made here."""
import csv
import sys

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import inspect_dataset
from tests.helpers import shards
from tests.helpers.commands import call


def image(number, height=20, width=30):
    return tf.io.encode_jpeg(np.full([height, width, 3], number, np.uint8)).numpy()


def inspected(folder, *arguments):
    return call(inspect_dataset, folder, *arguments, positional='dataset_dir', check=True).stdout


@pytest.fixture
def records(tmp_path):
    """train: a, a, b, one image twice, one also in validation; one record without an image."""
    train = [(image(1), 1), (image(2, 40, 50), 1), (image(3), 2), (image(2, 40, 50), 2), (b'no image', 3),
             (image(5), 3)]
    shards.write_split(tmp_path, [shards.example(*one) for one in train])
    shards.write_split(tmp_path, [shards.example(image(1), 1), shards.example(image(9, 10, 90), 3)], split='validation')
    return tmp_path


def test_counts_sizes_and_what_is_there_twice(records):
    printed = inspected(records)
    assert f'{records}: 3 classes, stored as labels 1 to 3.\n' in printed
    assert 'train: 5 images, 1 damaged record.\n  height: 20 to 40 pixels, median 20\n' in printed
    assert '  width: 30 to 50 pixels, median 30\n  shorter side: 20 to 40 pixels, median 20\n' in printed
    assert 'train-00000-of-00001, record 4: the image cannot be decoded (it is neither JPEG nor PNG).' in printed
    assert f'1 image stored twice in train; first {records}/train-00000-of-00001, record 1 and ' in printed
    assert '1 image stored both in train and in validation, which makes scores look better; first ' in printed
    assert 'No statistics of build_tfrecords' in printed
    assert printed.endswith('label  class  train  validation\n    1  a          2           1\n'
                            '    2  b          2           0\n    3  c          1           1\n')


def test_decoding_finds_damage_within_images(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, [64, 64, 3], np.uint8)
    broken = tf.io.encode_jpeg(noise).numpy()[:-3000]
    shards.write_split(tmp_path, [shards.example(broken, 1), shards.example(image(1), 2)])
    assert 'train: 2 images, 0 damaged' in inspected(tmp_path)
    printed = inspected(tmp_path, '--decode')
    assert 'train: 1 image, 1 damaged' in printed and 'record 0: the image cannot be decoded' in printed


def test_a_damaged_shard_and_a_label_out_of_range(records):
    (_, length), *_ = shards.places(records / 'train-00000-of-00001')
    shards.flip(records / 'train-00000-of-00001', 12 + length // 2)
    printed = inspected(records, '--splits=train,train')
    assert 'in train and in train' not in printed
    assert 'train: 4 images, 2 damaged records' in printed and 'record 0 (byte 12): its checksum is wrong' in printed
    printed = inspected(records, '--splits=validation', '--labels_offset=2')
    assert 'stored as labels 2 to 3' in printed and 'label 1 less labels_offset 2 is -1' in printed


def test_of_many_classes_the_smallest_and_largest_are_shown_and_all_are_in_the_file(tmp_path):
    counts = {label: 1 + label % 7 for label in range(1, 51)}
    examples = [shards.example(image(label), label) for label, count in counts.items() for _ in range(count)]
    shards.write_split(tmp_path, examples, labels_txt=''.join(f'{label}:class {label}\n' for label in counts))
    printed = inspected(tmp_path, f'--csv={tmp_path}/counts.csv')
    assert 'images a class in train: 1 to 7, median 4\n' in printed and printed.count('  class ') == 21
    with open(tmp_path / 'counts.csv', encoding='utf-8') as file:
        title, *stored = csv.reader(file)
    assert title == ['label', 'class', 'train']
    assert stored == [[str(label), f'class {label}', str(count)] for label, count in counts.items()]


def test_the_sample_that_comes_along_and_its_picture(tmp_path):
    pytest.importorskip('matplotlib')
    from alexnet_tf.data import datasets
    printed = inspected(datasets.SAMPLE_DIR, '--examples=2', f'--contact_sheet={tmp_path}/made/sheet.png')
    assert 'train: 2000 images, 0 damaged records' in printed and 'mean image mean_image.npy' in printed
    height, width, _ = tf.io.decode_png((tmp_path / 'made' / 'sheet.png').read_bytes()).shape
    assert (height, width) == (round(120 * (0.65 + 2 * 1.15)), 900)


def test_without_matplotlib_a_picture_is_refused_at_once(records, monkeypatch):
    for name in ('matplotlib', 'matplotlib.figure'):
        monkeypatch.setitem(sys.modules, name, None)
    result = call(inspect_dataset, records, f'--contact_sheet={records}/sheet.png', positional='dataset_dir')
    assert result.returncode == 1 and 'pictures need matplotlib' in result.stderr and not result.stdout
