"""Images that are damaged, of other formats or hostile: decoded, or an error that names the record; never an abort."""
import functools
import gc
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, image_records, preprocessing
from alexnet_tf.data.batches import EvaluationBatches, TrainingBatches, positions
from alexnet_tf.serving import decoding
from tests.helpers import hostile_images, shards


def decoded(encoded):
    """What evaluation sees of an image, by itself; None where it cannot be decoded."""
    try:
        return preprocessing.evaluation_image(encoded, size=shards.SIZE).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def check_left_out(folder, images):
    """Of the images exactly those that cannot be decoded alone are left out; returns how many those are."""
    shards.write(folder, images)
    alone = [decoded(image) for image in images]
    bad = [number for number, image in enumerate(alone) if image is None]
    dataset, lines = shards.open_counting(folder, len(images))
    batches = list(EvaluationBatches(dataset, batch_size=8, image_size=shards.SIZE))
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in batches]),
                                  [image for image in alone if image is not None])
    assert [number for number in range(len(images)) if number in dataset.bad] == bad
    assert len(dataset.bad) == len(lines) == len(bad)
    assert all('the image cannot be decoded' in line and 'record ' in line for line in lines)
    return len(bad)


# Damaged images ---------------------------------------------------------------------------------------------


def test_a_photograph_cut_off_at_twenty_points(tmp_path):
    photograph, = hostile_images.photographs(1)
    points = np.linspace(3, len(photograph) - 1, 20).astype(int)
    images = [photograph[:point] for point in points] + hostile_images.photographs(4)
    assert 18 <= check_left_out(tmp_path, images) <= 20  # without its last byte alone it can be read
    dataset = datasets.open_dataset(str(tmp_path), 'train')
    with pytest.raises(ValueError, match='train-00000-of-00003, record 0: the image cannot be decoded'):
        shards.evaluated(dataset)


def test_a_cut_off_image_that_serves_for_some_crops(tmp_path):
    """Whether it is bad depends on the crop then, and not on what was seen before: a resumed run sees the same."""
    pixels = np.random.default_rng(0).integers(0, 256, [6, 64, 64, 3], np.uint8)
    images = [tf.io.encode_jpeg(image, quality=100).numpy() for image in pixels]
    for number in (2, 3):
        images[number] = images[number][:len(images[number]) * 15 // 16]  # the last rows are lost
    shards.write(tmp_path, images)

    def see(steps, **kwargs):
        dataset, lines = shards.open_counting(tmp_path, 2)
        batches = TrainingBatches(dataset, seed=3, batch_size=5, image_size=56, resize_side_max=200, **kwargs)
        return np.stack([images for (images, _), _ in zip(batches, range(steps))]), dataset, lines
    seen, dataset, lines = see(14)
    assert sorted(position for position in range(6) if position in dataset.bad) == [2, 3] and len(lines) == 2
    encoded = [dataset.example(position)[0] for position in range(6)]
    whole_crops = 0
    for number, position in enumerate(positions(3, 0, 14 * 5, 6).tolist()):
        seed = tf.constant([3, number], tf.int64)
        while True:
            try:
                crop = preprocessing.training_image(encoded[position], seed, size=56, resize_side_max=200)
                break
            except tf.errors.InvalidArgumentError:
                position = (position + 1) % 6
        whole_crops += position in (2, 3)
        np.testing.assert_array_equal(seen[number // 5, number % 5], crop)
    assert 3 < whole_crops < 20  # of about 23: else this tests nothing
    np.testing.assert_array_equal(see(9, start_step=5, num_threads=3)[0], seen[5:])


def test_too_many_undecodable_images(tmp_path):
    images = [shards.picture(number) for number in range(12)]
    for number in (4, 6, 9):
        images[number] = images[number][:60]
    shards.write(tmp_path, images)
    for see in (shards.evaluated, lambda dataset: shards.trained(dataset, 3)):
        dataset, lines = shards.open_counting(tmp_path, 2)
        with pytest.raises(ValueError, match='the image cannot be decoded .* --max_bad_records=2 allows no more'):
            see(dataset)
        assert len(dataset.bad) == len(lines) == 2
        dataset, _ = shards.open_counting(tmp_path, 3)
        see(dataset)
        assert [number for number in range(12) if number in dataset.bad] == [4, 6, 9]


def test_a_failed_pipeline_is_ended_even_while_its_error_is_kept(tmp_path):
    """Left to the garbage collector, several such pipelines have kept a process waiting for a minute."""
    kind = type(iter(tf.data.Dataset.range(1)))

    def iterators():
        return sum(isinstance(one, kind) for one in gc.get_objects())
    shards.write(tmp_path, [shards.picture(0), shards.picture(1)[:60], shards.picture(2), shards.picture(3)[:60]])
    dataset, _ = shards.open_counting(tmp_path, 1)
    gc.collect()
    before = iterators()
    with pytest.raises(ValueError, match='--max_bad_records=1 allows no more') as kept:
        shards.evaluated(dataset, batch_size=1)
    assert iterators() == before and kept.tb


def check_mutations(folder, count):
    """(whole images, bad ones) among mutated photographs: bad is exactly what cannot be decoded alone."""
    random = np.random.default_rng(count)
    originals = hostile_images.photographs(20)
    images = [hostile_images.mutated(originals[number % 20], random) for number in range(count)]
    bad = check_left_out(folder, images)
    return count - bad, bad


def test_random_mutations_of_photographs(tmp_path):
    assert min(check_mutations(tmp_path, 100)) > 5


# Formats ----------------------------------------------------------------------------------------------------


def formats(pixels):
    """{name: encoded image} of uint8 pixels [height, width, 3]."""
    image_module = pytest.importorskip('PIL.Image', reason='Pillow writes the images')

    def saved(kind, mode='RGB', **options):
        file = io.BytesIO()
        image_module.fromarray(pixels).convert(mode).save(file, kind, **options)
        return file.getvalue()
    return {'PNG': saved('PNG'), '16-bit PNG': tf.io.encode_png(pixels.astype(np.uint16) * 257).numpy(),
            'CMYK': saved('JPEG', 'CMYK', quality=95), 'grayscale': saved('JPEG', 'L', quality=95),
            'progressive': saved('JPEG', progressive=True, quality=95), 'plain': saved('JPEG', quality=95)}


@pytest.mark.parametrize('height, width', [(32, 40), (1, 1), (1, 300)])
def test_formats_that_are_read_whatever_the_files_name(tmp_path, height, width):
    smooth = tf.image.resize(np.random.default_rng(0).uniform(0, 255, [3, 4, 3]), [height, width], 'bicubic')
    pixels = np.clip(smooth, 0, 255).astype(np.uint8)
    encoded = formats(pixels)
    dataset = datasets.open_dataset(str(shards.write(tmp_path, list(encoded.values()))), 'train')
    (images, _), = EvaluationBatches(dataset, batch_size=len(encoded), image_size=28)
    for kind, image in zip(encoded, images.numpy()):
        gray = np.repeat(pixels @ [[0.299], [0.587], [0.114]], 3, axis=2)
        expected = preprocessing.resized_square(tf.cast(gray if kind == 'grayscale' else pixels, tf.uint8), 32)
        difference = np.abs(image - expected.numpy().astype(int)).mean()
        assert difference <= (0 if 'PNG' in kind else 6), kind


def other_formats():
    tiny_png = shards.picture(0)
    return {
        'WebP': b'RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f' + bytes(12), 'JPEG XL': b'\xff\x0a' + bytes(40),
        'JPEG XL in boxes': b'\0\0\0\x0cJXL \r\n\x87\n' + bytes(40), 'BMP': b'BM' + bytes(60), 'text': b'no image',
        'GIF': GIF, 'beginning of a JPEG': b'\xff\xd8\xff', 'beginning of a PNG': tiny_png[:8],
        'PNG whose header is not first': tiny_png[:8] + struct.pack('>I', 0) + b'tESt' + bytes(4) + tiny_png[8:],
        'PNG without width': hostile_images.png(0, 5, b''), 'PNG that is too long': hostile_images.png(70_000, 1, b'')}


GIF = (b'GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff\x2c\0\0\0\0\x01\0\x01\0\0'
       b'\x02\x02\x44\x01\0\x3b')  # of one pixel


def test_the_gif_is_whole():
    """TensorFlow's decoder takes it, so it is refused for what it is."""
    assert tf.io.decode_jpeg(GIF).shape == (1, 1, 3)


def test_other_formats_and_beginnings_are_errors_that_name_the_record(tmp_path):
    kinds = other_formats()
    images = [image for pair in zip(kinds.values(), map(shards.picture, range(100))) for image in pair]
    shards.write(tmp_path, images)
    dataset, lines = shards.open_counting(tmp_path, len(kinds))
    assert shards.evaluated(dataset)[0] == list(range(len(kinds)))
    assert [position in dataset.bad for position in range(len(images))] == [True, False] * len(kinds)
    for kind, position in zip(kinds, range(0, len(images), 2)):
        named = f'{dataset.index.where(position)}: the image cannot be decoded ('
        assert sum(named in line for line in lines) == 1, kind
    refused = datasets.open_dataset(str(tmp_path), 'train')
    with pytest.raises(ValueError, match=r'of-00003, record 0: .* decoded \(it is neither JPEG nor PNG\). Take it'):
        shards.evaluated(refused)


def test_an_empty_image_names_the_record(tmp_path):
    shards.write(tmp_path, [shards.picture(0), b'', shards.picture(2), shards.picture(3)])
    with pytest.raises(ValueError, match="train-00000-of-00003, record 1: no image under 'image/encoded'"):
        datasets.open_dataset(str(tmp_path), 'train')
    dataset, _ = shards.open_counting(tmp_path, 1)
    assert shards.evaluated(dataset)[0] == [0, 2, 3] and len(dataset.bad) == 1


# Bombs ------------------------------------------------------------------------------------------------------


def ways_in(folder, image, serve):
    """[(name, function)] of every way that an image takes into the program."""
    dataset = datasets.open_dataset(str(shards.write(folder, [image] * 3)), 'train')
    (folder / 'image').write_bytes(image)
    sizes = {'batch_size': 3, 'image_size': 56, 'num_threads': 2}
    return [('training', lambda: next(iter(TrainingBatches(dataset, seed=0, **sizes)))),
            ('evaluation', lambda: list(EvaluationBatches(dataset, **sizes))),
            ('build', lambda: image_records.read_image(str(folder / 'image'), None, 95)),
            ('serving', lambda: serve(tf.constant([image] * 3)))]


def peak():
    """MB of memory that this process has had since it was last asked."""
    lines = Path('/proc/self/status').read_text().splitlines()
    Path('/proc/self/clear_refs').write_text('5')
    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) // 1024


@pytest.mark.skipif(sys.platform != 'linux', reason='asks Linux for the memory')
def test_bombs_are_refused_before_memory_is_taken(tmp_path):
    serve = tf.function(functools.partial(decoding.whole_squares, size=56, resize_mode='shorter_side'),
                        input_signature=[tf.TensorSpec([None], tf.string)])
    # As long as the longer bomb, 2 MB, so that what the queues of encoded images take is not counted.
    for image in (hostile_images.gray_jpeg(320) + bytes(2 << 20), hostile_images.gray_png(320)):
        for _, run in ways_in(tmp_path, image, serve):
            run()  # everything is loaded and traced now
    bombs = hostile_images.gray_jpeg(12_000), hostile_images.gray_png(12_000)  # 432 MB of RGB
    peak()
    before = peak()
    for bomb in bombs:
        for way, run in ways_in(tmp_path, bomb, serve):
            with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as caught:
                run()
            said = str(caught.value).replace('] [', ' ').replace('[', '').replace(']', '')
            limit = f'more than {preprocessing.MAX_PIXELS} pixels' if way == 'serving' else (
                f'pixels; at most {preprocessing.MAX_PIXELS} are decoded')
            assert limit in said, way
    assert peak() - before < 100


def test_the_bombs_are_whole_images():
    """Small ones of the same make are decoded; so it is their size alone that is refused."""
    for encoded in (hostile_images.gray_jpeg(9_440), hostile_images.gray_png(9_459)):  # just below the limit
        image = preprocessing.evaluation_image(encoded, size=56)
        assert len(np.unique(image)) == 1
    for encoded in (hostile_images.gray_jpeg(9_472), hostile_images.gray_png(9_460)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f'at most {preprocessing.MAX_PIXELS} are decoded'):
            preprocessing.evaluation_image(encoded, size=56)
