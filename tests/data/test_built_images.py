"""What build_tfrecords does with single images: unreadable, of other formats, larger than asked for."""
import io
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import image_records
from tests.data.test_build_tfrecords import build, colors, examples, jpeg, value
from tests.helpers.processes import run_python


@pytest.fixture
def odd(tmp_path):
    """One class of two good images, one named in Latin-1, and four unreadable ones."""
    folder = tmp_path / 'images' / 'train' / 'n01_chat'
    folder.mkdir(parents=True)
    (folder / 'good.jpg').write_bytes(jpeg(colors(1)))
    Path(os.fsdecode(os.fsencode(folder) + b'/caf\xe9.jpg')).write_bytes(jpeg(colors(2)))
    (folder / 'half.jpg').write_bytes(jpeg(colors(3))[:-1000])
    (folder / 'empty.jpg').write_bytes(b'')
    (folder / 'text.jpg').write_text('404 Not Found')
    (folder / 'nowhere.jpg').symlink_to(folder / 'removed.jpg')
    (folder / '.DS_Store').write_text('hidden files are no images')
    return folder


def test_the_command_lists_unreadable_images_and_then_leaves_them_out(odd, tmp_path):
    source, output, names = tmp_path / 'images', tmp_path / 'records', tmp_path / 'names.txt'
    names.write_text('n02 dog\nn01_chat chat bleuté, Felis catus\n', encoding='utf-8')
    command = ['-m', 'alexnet_tf.build_tfrecords', f'--input_dir={source}', f'--output_dir={output}',
               f'--synset_names={names}']
    failed = run_python(*command, check=False)
    assert failed.returncode == 1 and 'Traceback' not in failed.stderr
    assert 'build_tfrecords: 4 images cannot be read' in failed.stderr and '--skip_unreadable' in failed.stderr
    listed = [line for line in failed.stdout.splitlines() if line.startswith('unreadable: ')]
    assert [Path(line.split("'")[1]).name for line in listed] == ['empty.jpg', 'half.jpg', 'nowhere.jpg', 'text.jpg']
    assert not (output / 'dataset_info.json').exists()
    (odd / 'text.jpg').write_bytes(b'another text')  # replaced, though by nothing better
    info = build(source, output, synset_names=str(names), skip_unreadable=True)
    assert info['counts'] == {'train': 2} and info['unreadable'] == 4
    assert info['class_names'] == ['chat bleuté, Felis catus']
    assert (output / 'labels.txt').read_text(encoding='utf-8') == '1:n01_chat\n'
    found = {value(example, 'image/filename'): example for example in examples(output, 'train')}
    assert set(found) == {b'good.jpg', b'caf\xe9.jpg'}
    assert value(found[b'caf\xe9.jpg'], 'image/class/synset') == b'n01_chat'
    assert value(found[b'caf\xe9.jpg'], 'image/class/text').decode() == 'chat bleuté, Felis catus'
    assert value(found[b'caf\xe9.jpg'], 'image/encoded') == jpeg(colors(2))


def test_nothing_readable_is_an_error_whatever_the_flags(tmp_path):
    path = tmp_path / 'images' / 'train' / 'a' / 'text.jpg'
    path.parent.mkdir(parents=True)
    path.write_text('no image')
    with pytest.raises(ValueError, match='no training image can be read'):
        build(tmp_path / 'images', tmp_path / 'records', skip_unreadable=True)


def test_other_formats_become_rgb_jpeg_or_are_unreadable(tmp_path):
    pillow = pytest.importorskip('PIL.Image', reason='Pillow makes the odd images of this test')
    folder = tmp_path / 'images' / 'train' / 'a'
    folder.mkdir(parents=True)
    small = np.random.default_rng(1).uniform(0, 255, [4, 5, 3])
    pixels = np.clip(tf.image.resize(small, [60, 80], 'bicubic'), 0, 255).astype(np.uint8)
    color = pillow.fromarray(pixels)
    color.save(folder / 'png.JPEG', format='PNG')
    color.convert('L').save(folder / 'gray.jpg', quality=95)
    color.convert('CMYK').save(folder / 'cmyk.jpg', quality=95)
    color.save(folder / 'progressive.jpg', quality=95, progressive=True)
    for kind in ('GIF', 'BMP', 'WEBP'):
        color.save(folder / f'{kind}.jpg', format=kind)
    lines = []
    info = build(tmp_path / 'images', tmp_path / 'records', skip_unreadable=True, log=lines.append)
    assert info['counts'] == {'train': 4} and info['unreadable'] == 3
    for kind in ('GIF', 'BMP', 'WEBP'):
        assert f"unreadable: '{folder / kind}.jpg': it is neither JPEG nor PNG" in lines
    for example in examples(tmp_path / 'records', 'train'):
        encoded, name = value(example, 'image/encoded'), value(example, 'image/filename')
        assert encoded[:3] == b'\xff\xd8\xff' and tf.io.extract_jpeg_shape(encoded)[2] == 3
        wanted = pixels if name != b'gray.jpg' else pixels @ [[0.299] * 3, [0.587] * 3, [0.114] * 3]
        assert np.abs(tf.io.decode_jpeg(encoded).numpy().astype(int) - wanted).mean() < 4, name


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / 'a.jpg', 'wb') as file:
        file.truncate(1 << 30)  # a hole
    with pytest.raises(ValueError, match=f'the file has {1 << 30} bytes; at most {1 << 27} are read'):
        image_records.read_image(str(tmp_path / 'a.jpg'), None, 95)


# Single images, read without a process ------------------------------------------------------------------


def written(path, content):
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize('height, width, side, expected', [
    (300, 400, 150, (150, 200)), (401, 300, 100, (134, 100)), (300, 400, 300, None), (90, 400, 100, None)])
def test_only_larger_images_shrink(tmp_path, height, width, side, expected):
    """Against Pillow's triangle filter, which widens when shrinking too."""
    pillow = pytest.importorskip('PIL.Image', reason='Pillow is the reference')
    y, x = np.mgrid[:height, :width]  # waves of different length and direction, which JPEG keeps
    image = np.stack([np.sin(y / 15), np.sin(x / 23), np.sin((x + y) / 31)], -1) * 100 + 128
    original = jpeg(image.astype(np.uint8), 100)
    encoded, square, shape = image_records.read_image(written(tmp_path / 'a.jpg', original), side, 100)
    assert square.shape == (256, 256, 3)
    if expected is None:
        assert encoded == original and shape == (height, width)
        return
    assert shape == expected
    with pillow.open(io.BytesIO(original)) as opened:
        reference = np.asarray(opened.resize(expected[::-1], pillow.Resampling.BILINEAR))
    decoded, reference = (tf.io.decode_jpeg(one).numpy().astype(int) for one in (encoded, jpeg(reference, 100)))
    assert np.abs(decoded - reference).max() <= 8 and np.abs(decoded - reference).mean() < 1


@pytest.mark.parametrize('quality', [30, 95])
def test_quality_is_that_of_images_written_anew(tmp_path, quality):
    pillow = pytest.importorskip('PIL.Image', reason='Pillow reads the quantization tables')
    color = pillow.fromarray(colors(4))
    buffer = io.BytesIO()
    color.save(buffer, 'JPEG', quality=quality)
    with pillow.open(buffer) as reference:
        tables = reference.quantization
    png = io.BytesIO()
    color.convert('RGBA').save(png, 'PNG')
    encoded, square, shape = image_records.read_image(written(tmp_path / 'a.JPEG', png.getvalue()), None, quality)
    with pillow.open(io.BytesIO(encoded)) as opened:
        assert (opened.format, opened.mode, opened.quantization) == ('JPEG', 'RGB', tables)
    np.testing.assert_array_equal(square, colors(4))
    kept, _, _ = image_records.read_image(written(tmp_path / 'b.jpg', jpeg(colors(4), 60)), None, quality)
    assert kept == jpeg(colors(4), 60) and shape == (256, 256)
