"""build_tfrecords: slim's schema, exact statistics, what is kept and what is refused, and a run that is killed."""
import contextlib
import errno
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, folder_builder
from tests.helpers.processes import ROOT, run_python

MEAN = (120, 130, 110)
DEVIATIONS = (9, 20, 40)  # along AXES, gray levels
AXES = np.array([[1, 1, -2], [1, -1, 0], [1, 1, 1]]) / np.sqrt([[6], [2], [3]])  # rows


def colors(seed):
    """256x256 pixels in flat 16x16 blocks (JPEG keeps those), colors normal along AXES about MEAN."""
    draws = np.random.default_rng(seed).normal(size=[16, 16, 3]) * DEVIATIONS
    return np.clip(MEAN + draws @ AXES, 0, 255).round().astype(np.uint8).repeat(16, 0).repeat(16, 1)


def jpeg(image, quality=95):
    return tf.io.encode_jpeg(image, quality=quality).numpy()


def examples(output, split):
    """The records of a split, as protocol buffers in order."""
    paths = sorted(map(str, Path(output).glob(f'{split}-*-of-*')))
    return [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(paths)]


def value(example, key):
    feature = example.features.feature[key]
    return (feature.bytes_list.value or feature.int64_list.value)[0]


def contents(output):
    return {path.name: path.read_bytes() for path in Path(output).iterdir()}


def build(source, output, **kwargs):
    """folder_builder.build in this process, without a word."""
    return folder_builder.build(str(source), str(output), **{'num_processes': 1, 'log': lambda _: None} | kwargs)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """train: 16 images in each of two classes; val: 3 each."""
    folder = tmp_path_factory.mktemp('images')
    for split, count in (('train', 16), ('val', 3)):
        for number, name in enumerate(['cat', 'dog']):
            (folder / split / name).mkdir(parents=True)
            for image in range(count):
                path = folder / split / name / f'{split}_{name}_{image:02d}.jpg'
                path.write_bytes(jpeg(colors([number, image, count])))
    return folder


@pytest.fixture(scope='module')
def built(images, tmp_path_factory):
    """What the command makes of them, by two processes, with four training shards."""
    output = tmp_path_factory.mktemp('built') / 'my records'
    result = run_python('-m', 'alexnet_tf.build_tfrecords', f'--input_dir={images}', f'--output_dir={output}',
                        '--train_shards=4', '--num_processes=2')
    printed = result.stdout
    assert not result.stderr  # no notes of TensorFlow's, from no process
    assert '32 train images, 6 validation images of 2 classes in 5 shards' in printed and '/s)' in printed
    assert f"Next: python train_image_classifier.py --dataset_dir='{output}' --train_dir='runs/my records'\n" in printed
    return output


# Records -----------------------------------------------------------------------------------------------


FEATURES = {
    **{f'image/{key}': tf.io.FixedLenFeature([], tf.string) for key in (
        'encoded', 'format', 'colorspace', 'filename', 'class/synset', 'class/text')},
    **{f'image/{key}': tf.io.FixedLenFeature([], tf.int64) for key in ('height', 'width', 'channels', 'class/label')},
    **{f'image/object/bbox/{side}': tf.io.VarLenFeature(tf.float32) for side in ('xmin', 'xmax', 'ymin', 'ymax')},
    'image/object/bbox/label': tf.io.VarLenFeature(tf.int64)}


def test_records_have_slims_schema(built, images):
    assert sorted(contents(built)) == [
        'dataset_info.json', 'labels.txt', 'mean_image.npy', *(f'train-{n:05d}-of-00004' for n in range(4)),
        'validation-00000-of-00001']
    assert (built / 'labels.txt').read_text() == '1:cat\n2:dog\n'
    for record in tf.data.TFRecordDataset(sorted(map(str, built.glob('train-*')))):
        parsed = tf.io.parse_single_example(record, FEATURES)
        synset, name = (parsed[key].numpy().decode() for key in ('image/class/synset', 'image/filename'))
        assert parsed['image/encoded'] == (images / 'train' / synset / name).read_bytes()
        assert parsed['image/class/label'] == {'cat': 1, 'dog': 2}[synset] and parsed['image/class/text'] == synset
        assert (parsed['image/height'], parsed['image/width'], parsed['image/channels']) == (256, 256, 3)
        assert parsed['image/format'] == b'JPEG' and parsed['image/colorspace'] == b'RGB'
        assert len(parsed['image/object/bbox/label'].values) == len(parsed['image/object/bbox/xmin'].values) == 0


# Statistics --------------------------------------------------------------------------------------------


def test_statistics_are_numpys_of_the_decoded_records(built):
    """The images are 256x256: nothing is resized, and the sums are whole numbers, so equality is exact."""
    info = json.loads((built / 'dataset_info.json').read_text())
    pixels = np.stack([tf.io.decode_jpeg(value(example, 'image/encoded'), dct_method='INTEGER_ACCURATE')
                       for example in examples(built, 'train')]).astype(np.float64)
    assert info['counts'] == {'train': 32, 'validation': 6} and info['unreadable'] == 0
    assert (info['num_classes'], info['class_names'], info['label_base']) == (2, ['cat', 'dog'], 1)
    np.testing.assert_array_equal(np.load(built / info['mean_image']), pixels.mean(0).astype(np.float32))
    np.testing.assert_allclose(info['mean_rgb'], pixels.mean((0, 1, 2)), rtol=1e-12)
    covariance = np.cov(pixels.reshape(-1, 3).T, bias=True)
    values, vectors = info['rgb_covariance_eigenvalues'], np.array(info['rgb_covariance_eigenvectors'])
    assert values == sorted(values)
    np.testing.assert_allclose(covariance @ vectors, vectors * values, rtol=1e-8)  # columns are eigenvectors
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)


def test_statistics_recover_the_axes_that_made_the_colors(built):
    info = json.loads((built / 'dataset_info.json').read_text())
    np.testing.assert_allclose(info['mean_rgb'], MEAN, atol=1.5)
    # 32 * 256 colors: a deviation's standard error is 0.8 %; rounding and JPEG add half a gray level.
    np.testing.assert_allclose(np.sqrt(info['rgb_covariance_eigenvalues']), DEVIATIONS, rtol=0.04)
    cosines = np.abs(AXES @ np.array(info['rgb_covariance_eigenvectors']))
    np.testing.assert_allclose(cosines, np.eye(3), atol=0.05)


def test_every_shard_is_described(built):
    described = json.loads((built / 'dataset_info.json').read_text())['shards']
    assert list(described) == sorted(path.name for path in built.glob('*-of-*'))
    for name, about in described.items():
        lengths = [len(record.numpy()) for record in tf.data.TFRecordDataset(str(built / name))]
        assert about == {'records': len(lengths), 'bytes': (built / name).stat().st_size,
                         'lengths_crc32c': google_crc32c.value(struct.pack(f'<{len(lengths)}q', *lengths))}


def test_statistics_are_those_of_the_central_squares(tmp_path):
    folder = tmp_path / 'images' / 'train' / 'a'
    folder.mkdir(parents=True)
    small = np.random.default_rng(0).uniform(0, 255, [4, 4, 5, 3])
    for number, image in enumerate(tf.image.resize(small, [60, 80], 'bicubic')):
        (folder / f'{number}.jpg').write_bytes(jpeg(np.clip(image, 0, 255).astype(np.uint8)))
    info = build(tmp_path / 'images', tmp_path / 'records')
    squares = []
    for example in examples(tmp_path / 'records', 'train'):
        image = tf.io.decode_jpeg(value(example, 'image/encoded'), dct_method='INTEGER_ACCURATE')
        resized = tf.image.resize(image, [256, 341], antialias=True)[:, 42:298]
        squares.append(np.round(resized.numpy()).astype(np.float64))
    squares = np.stack(squares)
    mean_image = np.load(tmp_path / 'records' / info['mean_image'])
    assert mean_image.shape == (256, 256, 3) and info['counts'] == {'train': 4}
    difference = np.abs(mean_image - squares.mean(0))
    assert difference.max() < 0.3 and difference.mean() < 1e-3  # gray levels on the half may round either way
    np.testing.assert_allclose(info['mean_rgb'], squares.mean((0, 1, 2)), rtol=1e-4)
    vectors = np.array(info['rgb_covariance_eigenvectors'])
    covariance = vectors @ np.diag(info['rgb_covariance_eigenvalues']) @ vectors.T
    np.testing.assert_allclose(covariance, np.cov(squares.reshape(-1, 3).T, bias=True), rtol=1e-3)


# Order -------------------------------------------------------------------------------------------------


def test_the_shuffle_is_over_all_images(built, images):
    names = [value(example, 'image/filename').decode() for example in examples(built, 'train')]
    assert sorted(names) == sorted(path.name for path in images.glob('train/*/*'))
    for shard in range(4):  # shuffled within a class or a shard only, a shard would hold one class
        assert {name.split('_')[1] for name in names[8 * shard:8 * shard + 8]} == {'cat', 'dog'}
    # Written down once: another order for the same seed would make published folders irreproducible.
    assert [name[6:-4] for name in names[:4]] == ['cat_03', 'dog_09', 'dog_05', 'dog_13']


def test_another_seed_is_another_order(built, images, tmp_path):
    build(images, tmp_path, shards={'train': 4}, seed=1)
    names, others = ([value(example, 'image/filename') for example in examples(folder, 'train')]
                     for folder in (built, tmp_path))
    assert names != others and sorted(names) == sorted(others)


# A second run ------------------------------------------------------------------------------------------


def test_a_second_run_touches_nothing_even_from_a_moved_input(built, images, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in built.iterdir()}
    moved = shutil.copytree(images, tmp_path / 'moved')
    for source in (images, moved):
        lines = []
        info = build(source, built, shards={'train': 4}, log=lines.append)
        assert len(lines) == 1 and lines[0].startswith(f'{built} is finished already: nothing to do. (Images are known')
        assert info == json.loads((built / 'dataset_info.json').read_text())
    assert {path.name: path.stat().st_mtime_ns for path in built.iterdir()} == before


@pytest.mark.parametrize('change', [
    {'seed': 1}, {'shards': {'train': 2}}, {'shards': {'train': 4, 'validation': 2}}, {'quality': 90},
    {'resize_shorter_side': 200}, {'synset_names': 'names.txt'}, {'added': 'train/cat/one_more.jpg'}])
def test_other_flags_or_images_are_refused(built, images, tmp_path, change):
    source = shutil.copytree(images, tmp_path / 'images')
    (tmp_path / 'names.txt').write_text('cat Felis catus\ndog Canis familiaris\n')
    arguments = {'shards': {'train': 4}} | change
    if added := arguments.pop('added', None):
        (source / added).write_bytes(jpeg(colors(0)))
    if 'synset_names' in arguments:
        arguments['synset_names'] = str(tmp_path / 'names.txt')
    before = contents(built)
    with pytest.raises(ValueError, match='started from other images or with other flags; choose another --output_dir'):
        build(source, built, **arguments)
    assert contents(built) == before


def test_an_argument_that_cannot_be_leaves_the_folder_free(images, tmp_path):
    output = tmp_path / 'records'
    for shards, message in (({'train': 33}, '33 shards for the 32 images of train'),
                            ({'validation': 7}, '7 shards for the 6 images of validation')):
        with pytest.raises(ValueError, match=message):
            build(images, output, shards=shards)
    with pytest.raises(ValueError, match='cannot read --synset_names='):
        build(images, output, synset_names=str(tmp_path / 'none'))
    assert not output.exists()  # else the corrected command would be refused as another one


@pytest.mark.parametrize('folders, message', [
    ([], 'has no folder train'), (['train'], 'no images for the split train'),
    (['train/cat'], r"/train/cat' has no images: the network could not learn its class")])
def test_wrong_input_folders(tmp_path, folders, message):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        build(tmp_path, tmp_path / 'records')


# A killed run ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stopped_at(fifos, *command):
    """Runs Python until its processes read all of the named pipes, and kills the parent, only the parent, there.

    Yields the file descriptors of the pipes' other ends.
    """
    site = fifos[0].parent / '.site'  # a hidden folder is no image; here pipes are let through, which are refused else
    site.mkdir()
    (site / 'sitecustomize.py').write_text('from alexnet_tf.files import reading\n'
                                           'reading.check_regular = lambda path: None\n')
    with subprocess.Popen([sys.executable, *map(str, command)], cwd=ROOT, start_new_session=True,
                          env=os.environ | {'PYTHONPATH': f'{site}{os.pathsep}{ROOT}'},
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            pipes = [wait_for_reader(fifo, process) for fifo in fifos]
            process.kill()
            process.wait()
            yield pipes
            for pipe in pipes:
                os.close(pipe)
        finally:  # should the test fail: leave nothing behind
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_reader(fifo, process):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
        time.sleep(0.02)
    raise AssertionError(f'{fifo} was never read')


def has_no_reader(pipe, seconds):
    poll = select.poll()
    poll.register(pipe, 0)  # POLLERR is always reported: the last reader is gone
    return any(event & select.POLLERR for _, event in poll.poll(1000 * seconds))


@pytest.mark.skipif(sys.platform != 'linux', reason='polls a named pipe as Linux does')
def test_a_run_whose_parent_is_killed_ends_whole_and_is_completed(built, images, tmp_path):
    """Named pipes stand for the first images of the third and fourth shard: the two workers are in the middle then."""
    source, output = shutil.copytree(images, tmp_path / 'images'), tmp_path / 'records'
    stops = []
    for position in (16, 24):
        name = value(examples(built, 'train')[position], 'image/filename').decode()
        stops.append(source / 'train' / name.split('_')[1] / name)
        stops[-1].unlink()
        os.mkfifo(stops[-1])
    with stopped_at(stops, '-m', 'alexnet_tf.build_tfrecords', f'--input_dir={source}', f'--output_dir={output}',
                    '--train_shards=4', '--num_processes=2') as pipes:
        # A process that lived on would write to the same files as the next run.
        assert all(has_no_reader(pipe, 30) for pipe in pipes), 'a writing process outlives its parent'
    assert {path.name for path in output.iterdir()} == {
        'parts', *(f'train-{number:05d}-of-00004{".partial" if number > 1 else ""}' for number in range(4))}
    with pytest.raises(ValueError, match='is unfinished; run build_tfrecords again'):
        datasets.open_dataset(str(output), 'train')
    for stop in stops:
        stop.unlink()
        shutil.copy(images / stop.relative_to(source), stop)
    with open(output / 'train-00001-of-00004', 'r+b') as file:  # as if its end had been lost: it is written again
        file.truncate(file.seek(0, 2) - 1)
    lines = []
    build(source, output, shards={'train': 4}, log=lines.append)
    assert lines[0] == '1 of 5 shards are there already.'
    assert contents(output) == contents(built)  # which others wrote, uninterrupted


def test_a_worker_that_is_killed_is_named(images, tmp_path, monkeypatch):
    # every process that multiprocessing starts dies at once, as for lack of memory
    (tmp_path / 'sitecustomize.py').write_text(
        "import os, sys\nif '--multiprocessing-fork' in sys.orig_argv:\n    os._exit(9)\n")
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    with pytest.raises(ValueError, match='a process that writes records was ended from outside, .* --num_processes'):
        build(images, tmp_path / 'records', num_processes=2)


# Odd files ---------------------------------------------------------------------------------------------


def test_images_are_shrunk_before_they_are_stored(images, tmp_path):
    build(images, tmp_path, resize_shorter_side=30, quality=90)
    for example in examples(tmp_path, 'validation'):
        assert tf.io.decode_jpeg(value(example, 'image/encoded')).shape == (30, 30, 3)
        assert (value(example, 'image/height'), value(example, 'image/width')) == (30, 30)
