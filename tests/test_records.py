"""From image folders to batches: building, recognising, refusing, and the order that (seed, step) determine."""
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import build_tfrecords
from alexnet_tf.data import datasets
from alexnet_tf.data.batches import evaluation_batches, positions, training_batches
from tests.helpers.processes import ROOT, run_python

PHOTOGRAPHS = ROOT.parent / 'shared' / 'data' / 'imagenette'
FEATURES = {
    'image/encoded': tf.io.FixedLenFeature([], tf.string), 'image/format': tf.io.FixedLenFeature([], tf.string),
    'image/colorspace': tf.io.FixedLenFeature([], tf.string), 'image/filename': tf.io.FixedLenFeature([], tf.string),
    'image/height': tf.io.FixedLenFeature([], tf.int64), 'image/width': tf.io.FixedLenFeature([], tf.int64),
    'image/channels': tf.io.FixedLenFeature([], tf.int64),
    'image/class/label': tf.io.FixedLenFeature([], tf.int64),
    'image/class/synset': tf.io.FixedLenFeature([], tf.string),
    'image/class/text': tf.io.FixedLenFeature([], tf.string),
    **{f'image/object/bbox/{side}': tf.io.VarLenFeature(tf.float32) for side in ('xmin', 'xmax', 'ymin', 'ymax')},
    'image/object/bbox/label': tf.io.VarLenFeature(tf.int64)}


def picture(seed, height=60, width=80):
    """A smooth random image, uint8, which JPEG keeps to within a few grey levels."""
    small = np.random.default_rng(seed).uniform(0, 255, [1, 4, 5, 3])
    return tf.cast(tf.clip_by_value(tf.image.resize(small, [height, width], 'bicubic'), 0, 255), tf.uint8)[0]


def jpeg(seed, **kwargs):
    return tf.io.encode_jpeg(picture(seed), quality=95, **kwargs).numpy()


@pytest.fixture
def folder(tmp_path):
    """train: 8 JPEGs in each of two classes, one with a space and an umlaut in its name; val: 3 each."""
    for split, count in (('train', 8), ('val', 3)):
        for number, name in enumerate(['ä cat', 'dog']):
            path = tmp_path / 'images' / split / name
            path.mkdir(parents=True)
            for image in range(count):
                (path / f'{split}_{number}_{image}.jpg').write_bytes(jpeg(100 * number + image))
    return tmp_path / 'images'


def parse(output, split):
    paths = sorted(Path(output).glob(f'{split}-*'))
    return [tf.io.parse_single_example(record, FEATURES) for record in tf.data.TFRecordDataset(list(map(str, paths)))]


def contents(output):
    return {path.name: path.read_bytes() for path in sorted(Path(output).iterdir()) if path.is_file()}


def test_the_command_writes_slims_schema(folder, tmp_path):
    output = tmp_path / 'my records'
    printed = run_python('-m', 'alexnet_tf.build_tfrecords', f'--input_dir={folder}', f'--output_dir={output}',
                         '--train_shards=3', '--validation_shards=1').stdout
    assert '16 train images, 6 validation images of 2 classes in 4 shards' in printed and '/s)' in printed
    assert sorted(contents(output)) == [
        'dataset_info.json', 'labels.txt', 'mean_image.npy', *(f'train-{n:05d}-of-00003' for n in range(3)),
        'validation-00000-of-00001']
    assert (output / 'labels.txt').read_text() == '1:dog\n2:ä cat\n'
    examples = parse(output, 'train')
    assert {example['image/filename'].numpy().decode() for example in examples} == {
        f'train_{number}_{image}.jpg' for number in range(2) for image in range(8)}
    for example in examples:
        name = example['image/filename'].numpy().decode()
        synset = example['image/class/synset'].numpy().decode()
        assert example['image/encoded'] == (folder / 'train' / synset / name).read_bytes()
        assert example['image/class/label'] == {'dog': 1, 'ä cat': 2}[synset]
        assert (example['image/height'], example['image/width'], example['image/channels']) == (60, 80, 3)
        assert example['image/format'] == b'JPEG' and example['image/colorspace'] == b'RGB'
    assert [int(example['image/class/label']) for example in examples] != sorted(
        int(example['image/class/label']) for example in examples)
    again = run_python('-m', 'alexnet_tf.build_tfrecords', f'--input_dir={folder}', f'--output_dir={output}',
                       '--train_shards=3', '--validation_shards=1').stdout
    assert 'is finished already: nothing to do' in again


def test_the_seed_alone_decides_the_order(folder, tmp_path):
    def built(name, **kwargs):
        build_tfrecords.build(str(folder), str(tmp_path / name), shards={'train': 2}, log=lambda _: None, **kwargs)
        return contents(tmp_path / name)
    one = built('one', num_processes=1)
    assert built('two', num_processes=2) == one
    other = built('other', num_processes=1, seed=1)
    assert other['train-00000-of-00002'] != one['train-00000-of-00002']
    with pytest.raises(ValueError, match='begun from other images or with other flags'):
        built('one', seed=1)


def test_statistics_equal_numpys(folder, tmp_path):
    info = build_tfrecords.build(str(folder), str(tmp_path / 'records'), num_processes=1, log=lambda _: None)
    squares = []
    for example in parse(tmp_path / 'records', 'train'):
        image = tf.io.decode_jpeg(example['image/encoded'], dct_method='INTEGER_ACCURATE')
        resized = tf.image.resize(image, [256, 341], antialias=True)[:, 42:298]
        squares.append(np.round(resized.numpy()).astype(np.float64))
    squares = np.stack(squares)
    mean_image = np.load(tmp_path / 'records' / info['mean_image'])
    assert mean_image.shape == (256, 256, 3) and info['counts'] == {'train': 16, 'validation': 6}
    difference = np.abs(mean_image - squares.mean(0))
    assert difference.max() < 0.3 and difference.mean() < 1e-3  # grey levels on the half may round either way
    np.testing.assert_allclose(info['mean_rgb'], squares.mean((0, 1, 2)), rtol=1e-4)
    vectors = np.array(info['rgb_covariance_eigenvectors'])
    covariance = vectors @ np.diag(info['rgb_covariance_eigenvalues']) @ vectors.T
    np.testing.assert_allclose(covariance, np.cov(squares.reshape(-1, 3).T, bias=True), rtol=1e-3)


def test_other_formats_become_rgb_jpeg_and_unreadable_files_fail(tmp_path):
    image_module = pytest.importorskip('PIL.Image', reason='Pillow makes the odd images of this test')
    path = tmp_path / 'images' / 'train' / 'a'
    path.mkdir(parents=True)
    colour = image_module.fromarray(picture(1).numpy())
    colour.save(path / 'png.JPEG', format='PNG')
    colour.convert('L').save(path / 'grey.jpg', quality=95)
    colour.convert('CMYK').save(path / 'cmyk.jpg', quality=95)
    colour.save(path / 'progressive.jpg', quality=95, progressive=True)
    (path / 'empty.jpg').write_bytes(b'')
    (path / 'cut.jpg').write_bytes(jpeg(1)[:300])
    (path / 'text.jpg').write_text('no image')
    lines = []
    with pytest.raises(ValueError, match='3 images cannot be read'):
        build_tfrecords.build(str(tmp_path / 'images'), str(tmp_path / 'failed'), log=lines.append)
    for name in ('empty.jpg', 'cut.jpg', 'text.jpg'):
        assert any(line.startswith('unreadable: ') and name in line for line in lines), name
    (tmp_path / 'failed').rename(tmp_path / 'records')  # what was done is kept
    (path / 'text.jpg').write_bytes(b'another text')  # replaced, though by nothing better
    info = build_tfrecords.build(str(tmp_path / 'images'), str(tmp_path / 'records'), skip_unreadable=True,
                                 log=lambda _: None)
    assert info['counts'] == {'train': 4} and info['unreadable'] == 3
    expected = picture(1).numpy().astype(int)
    for example in parse(tmp_path / 'records', 'train'):
        assert tf.io.extract_jpeg_shape(example['image/encoded'])[2] == 3
        decoded = tf.io.decode_jpeg(example['image/encoded']).numpy().astype(int)
        name = example['image/filename'].numpy()
        wanted = expected if name != b'grey.jpg' else expected @ [[0.299] * 3, [0.587] * 3, [0.114] * 3]
        assert np.abs(decoded - wanted).mean() < 4, name


def test_resize_shorter_side(folder, tmp_path):
    build_tfrecords.build(str(folder), str(tmp_path / 'records'), resize_shorter_side=30, quality=90,
                          num_processes=1, log=lambda _: None)
    for example in parse(tmp_path / 'records', 'validation'):
        assert tf.io.decode_jpeg(example['image/encoded']).shape == (30, 40, 3)
        assert (example['image/height'], example['image/width']) == (30, 40)


def write_shards(folder, labels_a_shard, split='train', **extra):
    """Slim shards with one record a label, image number = position."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for shard, labels in enumerate(labels_a_shard):
        path = folder / f'{split}-{shard:05d}-of-{len(labels_a_shard):05d}'
        with tf.io.TFRecordWriter(str(path)) as writer:
            for label in labels:
                feature = {'image/encoded': [jpeg(number)], 'image/class/label': [label]} | extra
                writer.write(tf.train.Example(features=tf.train.Features(feature={
                    key: tf.train.Feature(int64_list=tf.train.Int64List(value=value)) if isinstance(value[0], int)
                    else tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
                    for key, value in feature.items() if value[0] is not None})).SerializeToString())
                number += 1
    return folder


@pytest.mark.parametrize('labels, offset, expected, names', [
    ([[1, 2], [3]], None, [0, 1, 2], ('1', '2', '3')),
    ([[0, 1], [2]], None, [0, 1, 2], ('0', '1', '2')),
    ([[1, 2], [3]], 1, [0, 1, 2], ('1', '2', '3')),
    ([[1, 2], [3]], 0, [1, 2, 3], ('background', '1', '2', '3')),  # slim's 1001 classes
])
def test_label_base_is_found_by_looking(tmp_path, labels, offset, expected, names):
    dataset = datasets.open_dataset(str(write_shards(tmp_path, labels)), 'train', labels_offset=offset,
                                    default_num_classes=3)
    assert [dataset.example(position)[1] for position in range(3)] == expected
    assert dataset.class_names == names and dataset.example(1)[0] == jpeg(1)


def test_labels_that_do_not_tell_their_base(tmp_path):
    write_shards(tmp_path, [[1, 2], [3]])  # of ten classes: neither 0 nor 10 is there
    with pytest.raises(ValueError, match='labels of 3 records are 1 to 3, which does not tell .*--labels_offset=0'):
        datasets.open_dataset(str(tmp_path), 'train', default_num_classes=10)
    for offset in (0, 1):
        dataset = datasets.open_dataset(str(tmp_path), 'train', default_num_classes=10, labels_offset=offset)
        assert dataset.num_classes == 10 and dataset.example(2)[1] == 3 - offset


def test_model_gardens_subfolders_and_labels_txt(tmp_path):
    write_shards(tmp_path / 'train', [[1], [2]])
    (tmp_path / 'labels.txt').write_text('0:background\n1:cat\n2:dog\n')
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    assert dataset.class_names == ('cat', 'dog') and dataset.labels_offset == 1 and len(dataset) == 2


def test_a_folder_of_tensorflow_datasets(tmp_path):
    tfds = pytest.importorskip('tensorflow_datasets')
    features = tfds.features.FeaturesDict({
        'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
        'label': tfds.features.ClassLabel(names=['cat', 'dog'])})
    splits = {'train': [(jpeg(n), n % 2) for n in range(6)], 'validation': [(jpeg(9), 1)]}
    version = tmp_path / 'pets' / '1.0.0'
    version.mkdir(parents=True)
    writer_splits = []
    for split, examples in splits.items():
        template = tfds.core.ShardedFileTemplate(
            dataset_name='pets', split=split, filetype_suffix='tfrecord', data_dir=version)
        with tf.io.TFRecordWriter(str(version / f'pets-{split}.tfrecord-00000-of-00001')) as writer:
            for image, label in examples:
                encoded = features.encode_example({'image': __import__('io').BytesIO(image), 'label': label})
                writer.write(features.serialize_example(encoded))
        writer_splits.append(tfds.core.SplitInfo(name=split, shard_lengths=[len(examples)], num_bytes=1,
                                                 filename_template=template))
    tfds.folder_dataset.write_metadata(data_dir=str(version), features=features, split_infos=writer_splits)
    for root in (version, version.parent):
        dataset = datasets.open_dataset(str(root), 'train')
        assert dataset.class_names == ('cat', 'dog') and dataset.num_classes == 2
        assert [dataset.example(n) for n in range(6)] == splits['train']
    with pytest.raises(ValueError, match='has no split'):
        datasets.open_dataset(str(version), 'test')


def break_file(path, how):
    content = path.read_bytes()
    if how == 'empty':
        content = b''
    elif how == 'cut':
        content = content[:-100]
    elif how == 'data byte':
        content = content[:200] + bytes([content[200] ^ 1]) + content[201:]
    elif how == 'length byte':
        content = bytes([content[0] ^ 1]) + content[1:]
    elif how == 'gzip':
        content = __import__('gzip').compress(content)
    path.write_bytes(content)


@pytest.mark.parametrize('how, message', [
    ('empty', 'is empty'), ('cut', 'record 1 at byte .* is cut off'), ('data byte', 'record 0 .*checksum is wrong'),
    ('length byte', 'record 0 at byte 0: the checksum of its length'), ('gzip', 'a gzip file')])
def test_a_damaged_shard_is_named_before_the_first_step(tmp_path, how, message):
    write_shards(tmp_path, [[1, 2], [1, 2]])
    break_file(tmp_path / 'train-00001-of-00002', how)
    with pytest.raises(ValueError, match=f'train-00001-of-00002.*{message}'):
        datasets.open_dataset(str(tmp_path), 'train', default_num_classes=2)


@pytest.mark.parametrize('labels, extra, message', [
    ([[1, 2], [1, 7]], {}, 'train-00001-of-00002, record 1: label 7 less labels_offset 1 is 6'),
    ([[1, 2], [1, 2]], {'image/encoded': [None]}, "train-00000-of-00002, record 0: no image under 'image/encoded'"),
    ([[1, 2], [1, 2]], {'image/class/label': [None]}, "record 0: no integer label under 'image/class/label'")])
def test_wrong_records_are_named(tmp_path, labels, extra, message):
    write_shards(tmp_path, labels, **extra)
    (tmp_path / 'labels.txt').write_text('1:cat\n2:dog\n')
    with pytest.raises(ValueError, match=message):
        datasets.open_dataset(str(tmp_path), 'train')


def test_missing_shards_splits_and_folders(tmp_path):
    write_shards(tmp_path, [[1], [2], [1]])
    (tmp_path / 'train-00001-of-00003').unlink()
    for split, folder, message in (('train', tmp_path, 'lacks 1 of 3 shards: train-00001-of-00003'),
                                   ('test', tmp_path, 'splits there: train'),
                                   ('train', tmp_path / 'no', 'does not exist')):
        with pytest.raises(ValueError, match=message):
            datasets.open_dataset(str(folder), split)


def test_positions_visit_all_records_once_an_epoch_in_an_order_of_its_own():
    order = positions(3, 0, 30, 10).reshape(3, 10)
    np.testing.assert_array_equal(np.sort(order, 1), np.tile(np.arange(10), (3, 1)))
    assert len({tuple(row) for row in order}) == 3
    np.testing.assert_array_equal(positions(3, 7, 9, 10), order.ravel()[7:16])
    # Written down once: another order would make old runs impossible to resume.
    assert hashlib.sha256(positions(5, 1000, 300, 123).tobytes()).hexdigest() == GOLDEN


GOLDEN = 'a5fcbca9ebb7fb91a26a47607583f595919ad0c8a756beb539ad087fa4979e00'


def batch_hashes(dataset, start, count, **kwargs):
    batches = training_batches(dataset, seed=7, batch_size=7, start_step=start, **kwargs)
    return [hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()
            for (images, labels), _ in zip(batches, range(count))]


def test_batches_from_step_k_are_those_of_a_run_from_0(small_records):
    dataset = datasets.open_dataset(str(small_records), 'train')
    whole = batch_hashes(dataset, 0, 16, num_threads=1)  # 112 examples: over two epochs of 48
    assert len(set(whole)) == 16
    assert batch_hashes(dataset, 9, 7, num_threads=4) == whole[9:]
    assert batch_hashes(dataset, 3, 5) == whole[3:8]


def test_crops_reach_all_offsets_and_half_are_mirrored(tmp_path):
    rows, columns = np.meshgrid(np.arange(256), np.arange(256), indexing='ij')
    image = np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)
    write_shards(tmp_path, [[1] * 4], **{'image/encoded': [tf.io.encode_png(image).numpy()]})
    (tmp_path / 'labels.txt').write_text('1:a\n2:b\n')
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    tops, lefts, mirrored = [], [], []
    for (images, _), _ in zip(training_batches(dataset, seed=0, batch_size=50), range(24)):
        images = images.numpy().astype(int)
        flipped = images[:, 0, 0, 1] > images[:, 0, -1, 1]
        images[flipped] = images[flipped, :, ::-1]
        corner = images[:, :1, :1]
        expected = corner + np.stack([rows, columns, 0 * rows], -1)[:224, :224]
        np.testing.assert_array_equal(images, expected)
        mirrored += list(flipped)
        tops += list(corner[:, 0, 0, 0])
        lefts += list(corner[:, 0, 0, 1])
    assert set(tops) == set(lefts) == set(range(33))
    assert 0.45 < np.mean(mirrored) < 0.55 and abs(np.corrcoef(tops, lefts)[0, 1]) < 0.1


@pytest.mark.parametrize('batch_size', [1, 7, 20, 50])
def test_evaluation_takes_every_example_once_in_order(small_records, batch_size):
    dataset = datasets.open_dataset(str(small_records), 'validation')
    batches = list(evaluation_batches(dataset, batch_size=batch_size))
    assert np.concatenate([labels for _, labels in batches]).tolist() == [dataset.example(n)[1] for n in range(20)]
    assert all(images.shape[1:] == (256, 256, 3) for images, _ in batches)


def test_an_image_that_cannot_be_decoded_is_named_when_it_is_reached(tmp_path, monkeypatch):
    write_shards(tmp_path, [[1, 2, 1, 2]])
    (tmp_path / 'labels.txt').write_text('1:a\n2:b\n')
    path = tmp_path / 'train-00000-of-00001'
    images = [jpeg(0), jpeg(1), jpeg(2)[:200], jpeg(3)]
    examples = list(tf.data.TFRecordDataset(str(path)))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record, image in zip(examples, images):
            example = tf.train.Example.FromString(record.numpy())
            example.features.feature['image/encoded'].bytes_list.value[0] = image
            writer.write(example.SerializeToString())
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    with pytest.raises(ValueError, match='train-00000-of-00001, record 2: the image cannot be decoded'):
        list(evaluation_batches(dataset, batch_size=2))


def test_a_wrong_label_deep_in_a_file_is_named_when_it_is_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, '_CHECKED', 2)
    monkeypatch.setattr(datasets, '_CHECKED_BYTES', 100)  # as if it were larger than that
    write_shards(tmp_path, [[1, 2, 1, 9]])
    (tmp_path / 'labels.txt').write_text('1:a\n2:b\n')
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    with pytest.raises(ValueError, match='train-00000-of-00001, record 3: label 9'):
        list(evaluation_batches(dataset, batch_size=4))


def test_the_sample_is_what_its_readme_says():
    info = json.loads((Path(datasets.SAMPLE_DIR) / 'dataset_info.json').read_text())
    assert info['counts'] == {'train': 2000, 'validation': 500}
    for split, each in (('train', 200), ('validation', 50)):
        dataset = datasets.open_dataset(datasets.SAMPLE_DIR, split)
        labels = [dataset.example(position)[1] for position in range(len(dataset))]
        assert np.bincount(labels).tolist() == [each] * 10


@pytest.mark.parametrize('make, message', [
    (lambda folder: (folder / 'val' / 'bird').mkdir(), "a class 'bird' that train has not"),
    (lambda folder: (folder / 'val' / 'stray.jpg').touch(), 'is not in a class folder'),
    (lambda folder: (folder / 'train' / 'dog' / 'more').mkdir(), 'is a folder within a class'),
    (lambda folder: (folder / 'train' / 'a\nb').mkdir(), 'has control characters'),
    (lambda folder: (folder / 'train').rename(folder / 'training'), 'has no folder train')])
def test_input_folders_that_do_not_fit(folder, make, message):
    make(folder)
    with pytest.raises(ValueError, match=message):
        build_tfrecords.list_images(str(folder))


def test_readable_names(folder, tmp_path):
    names = tmp_path / 'names.txt'
    names.write_text('dog domestic dog, Canis familiaris\nother x\n')
    classes, _ = build_tfrecords.list_images(str(folder))
    with pytest.raises(ValueError, match='has no line for ä cat'):
        build_tfrecords.read_texts(str(names), classes)
    assert build_tfrecords.read_texts(str(names), {'dog': 1}) == {'dog': 'domestic dog, Canis familiaris'}
