"""ImageNet's archives, made here of a few images in the layout of the real ones: the records of the unpacked images,
and what is refused."""
import gzip
import io
import os
import struct
import sys
import tarfile
import zlib

import numpy as np
import pytest

from alexnet_tf import build_tfrecords
from alexnet_tf.data import datasets, imagenet_archives, tar_members
from tests.data.test_build_tfrecords import build, colors, contents, examples, jpeg, value
from tests.helpers import imagenet_archives as made
from tests.helpers.commands import call

pytest.importorskip('scipy', reason="reads and writes the development kit's meta.mat")
# The kit's numbers are in another order than the names, as in the real one; 1001 is an inner node.
SYNSETS = [(7, 'n02000000', 'second, Two'), (1001, 'n00001740', 'entity'), (3, 'n03000000', 'third'),
           (1000, 'n01000000', 'first')]
VALIDATION = ['n03000000', 'n01000000', 'n02000000', 'n03000000', 'n02000000']


def photographs(*seed, count):
    return [jpeg(colors([*seed, number])) for number in range(count)]


def parts(train=4):
    """Arguments of made.write and made.unpack; the archive has its classes in another order than their names."""
    images = {wnid: {f'{wnid}_{number * 7}.JPEG': image for number, image in enumerate(photographs(seed, count=train))}
              for seed, wnid in enumerate(['n03000000', 'n01000000', 'n02000000'])}
    return images, list(zip(VALIDATION, photographs(9, count=len(VALIDATION)))), SYNSETS


@pytest.fixture
def archives(tmp_path):
    return made.write(tmp_path / 'archives', *parts(train=1))


def listed(folder):
    return imagenet_archives.list_images(str(folder), True, lambda line: None)


def refused(folder, message, allow_partial=True):
    with pytest.raises(ValueError, match=message) as caught:
        imagenet_archives.list_images(str(folder), allow_partial, lambda line: None)
    return str(caught.value)


# The same records ----------------------------------------------------------------------------------------


def odd_images():
    """A CMYK JPEG and a PNG under a JPEG's name, as ImageNet has them."""
    pillow = pytest.importorskip('PIL.Image', reason='Pillow makes the odd images of this test')
    buffers = io.BytesIO(), io.BytesIO()
    pillow.fromarray(colors(5)).convert('CMYK').save(buffers[0], 'JPEG', quality=95)
    pillow.fromarray(colors(6)).save(buffers[1], 'PNG')
    return [buffer.getvalue() for buffer in buffers]


def test_records_are_those_of_the_unpacked_images_to_the_byte(tmp_path):
    train, *others = parts()
    train['n01000000'] |= dict(zip(('n01000000_cmyk.JPEG', 'n01000000_2933.JPEG'), odd_images()))
    archives = made.write(tmp_path / 'archives', train, *others)
    images = made.unpack(tmp_path / 'images', train, *others)
    shards = {'train': 3, 'validation': 2}
    info = build(archives, tmp_path / 'a', archives=True, allow_partial=True, shards=shards)
    build(images, tmp_path / 'b', synset_names=str(images / 'synsets.txt'), shards=shards)
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    assert info['class_names'] == ['first', 'second, Two', 'third'] and info['counts'] == {'train': 14, 'validation': 5}
    assert (tmp_path / 'a' / 'labels.txt').read_text() == '1:n01000000\n2:n02000000\n3:n03000000\n'
    found = {value(one, 'image/filename'): one for one in examples(tmp_path / 'a', 'validation')}
    for number, (wnid, image) in enumerate(others[0], 1):  # not by way of the builder of unpacked images
        one = found[made.validation_name(number).encode()]
        assert value(one, 'image/encoded') == image and value(one, 'image/class/synset').decode() == wnid
        assert value(one, 'image/class/label') == sorted(train).index(wnid) + 1
    assert len(datasets.open_dataset(str(tmp_path / 'a'), 'train')) == 14
    lines = []
    assert build(archives, tmp_path / 'a', archives=True, allow_partial=True, shards=shards, log=lines.append) == info
    assert 'is finished already' in lines[-1]


def test_the_command_builds_them(archives, tmp_path):
    arguments = f'--imagenet_archives={archives}', f'--output_dir={tmp_path / "records"}', '--num_processes=1'
    counted = call(build_tfrecords, *arguments)
    assert counted.returncode == 1 and not (tmp_path / 'records').exists()
    assert '3 train images instead of 1281167, 5 validation images instead of 50000, 3 classes instead of 1000' \
        in counted.stderr and '--allow_partial' in counted.stderr
    printed = call(build_tfrecords, *arguments, '--allow_partial', check=True).stdout
    assert '3 train images, 5 validation images of 3 classes in 2 shards' in printed
    for wrong, message in (
            ([], '--input_dir is missing: '),
            ([*arguments, '--input_dir=x'], '--input_dir has no effect with --imagenet_archives'),
            (['--input_dir=x', '--allow_partial'], '--allow_partial has no effect without --imagenet_archives'),
            ([*arguments, '--synset_names=x'], '--synset_names has no effect with --imagenet_archives')):
        assert message in call(build_tfrecords, f'--output_dir={tmp_path}', *wrong).stderr


def test_whole_archives_are_counted(archives, monkeypatch):
    monkeypatch.setattr(imagenet_archives, 'IMAGES', {'train': 3, 'validation': 5})
    monkeypatch.setattr(imagenet_archives, 'CLASSES', 3)
    assert len(imagenet_archives.list_images(str(archives))[1]['train']) == 3
    monkeypatch.setattr(imagenet_archives, 'IMAGES', {'train': 3, 'validation': 6})
    refused(archives, ': 5 validation images instead of 6. Download again', allow_partial=False)


def test_part_of_the_classes_has_part_of_the_validation_images(tmp_path):
    train, validation, synsets = parts(train=1)
    del train['n02000000']
    lines = []
    archives = made.write(tmp_path, train, validation, synsets)
    names, images = imagenet_archives.list_images(str(archives), True, lines.append)
    assert list(names) == ['n01000000', 'n03000000'] and 'Note: 2 validation images are of classes' in lines[0]
    assert [(str(member), label) for member, label in images['validation']] == [
        ('val/n01000000/ILSVRC2012_val_00000002.JPEG', 1), ('val/n03000000/ILSVRC2012_val_00000001.JPEG', 2),
        ('val/n03000000/ILSVRC2012_val_00000004.JPEG', 2)]


def test_an_unreadable_image_is_named(tmp_path):
    train, validation, synsets = parts(train=1)
    train['n01000000']['n01000000_5.JPEG'] = b'no image'
    made.write(tmp_path / 'in', train, validation, synsets)
    lines = []
    with pytest.raises(ValueError, match='1 images cannot be read'):
        build(tmp_path / 'in', tmp_path / 'out', archives=True, allow_partial=True, log=lines.append)
    assert "unreadable: 'train/n01000000/n01000000_5.JPEG': it is neither JPEG nor PNG" in lines


def test_an_archive_that_shrinks_while_it_is_read(archives):
    member = listed(archives)[1]['train'][-1][0]
    os.truncate(archives / made.TRAIN, member.offset + 5)
    with pytest.raises(ValueError, match='has become shorter since it was indexed'):
        member.read()


# Archives that are refused -------------------------------------------------------------------------------


def test_missing_archives_are_named(tmp_path):
    message = refused(tmp_path, 'lacks ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz')
    assert 'image-net.org' in message
    refused(tmp_path / 'none', 'lacks ')


def special(name, kind, target=''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return {name: info}


GOOD = made.validation_name(1)
HOSTILE = {
    "the file '../x'": {'../x': b'1'}, "the file '/etc/x'": {'/etc/x': b'1'}, r"the file 'a\\x1b": {'a\x1b[31m': b'1'},
    'the folder': special('a', tarfile.DIRTYPE), 'the symbolic link': special(GOOD, tarfile.SYMTYPE, '/etc/passwd'),
    'the hard link': special(GOOD, tarfile.LNKTYPE, '../x'), 'the pipe': special(GOOD, tarfile.FIFOTYPE),
    'the device': special(GOOD, tarfile.CHRTYPE), "type b'L'": {'x' * 200: b'1'},
    "has 'photo.JPEG', of which the development kit does not know": {'photo.JPEG': b'1'},
    'ILSVRC2012_val_00000006.JPEG.*does not know': {made.validation_name(6): b'1'},
    'has no images of the classes': {}}


@pytest.mark.parametrize('message', HOSTILE)
def test_hostile_members_of_an_archive(message, archives, tmp_path):
    made.tar(archives / made.VALIDATION, HOSTILE[message])
    refused(archives, message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['archives']


@pytest.mark.parametrize('files, message', [
    ({'../n01000000.tar': b''}, "the file '../n01000000.tar'"), ({'n01000000.zip': b''}, 'no archive of a class'),
    ({'n00001740.tar': b''}, 'no archive of a class'), ({'n09999999.tar': b''}, 'no archive of a class'),
    ({'n01000000.tar': b''}, 'n01000000.tar is cut off'),
    ({'n01000000.tar': bytes(1024)}, 'n01000000.tar has no images'),
    ({'n01000000.tar': b'x' * 1024}, 'n01000000.tar has no tar header at byte'),
    ({'n01000000.tar': made.tar_bytes({'../x': b'1'})}, "n01000000.tar has the file '../x'"),
    ({'n01000000.tar': made.tar_bytes({'x' * 50: b'1' * 600})[:1024]}, 'has 600 bytes; 512 are left')])
def test_hostile_archives_in_the_archive(files, message, archives):
    made.tar(archives / made.TRAIN, files)
    refused(archives, message)


def test_a_name_that_is_there_twice(archives):
    made.tar(archives / made.VALIDATION, {GOOD: b'2'})
    content = (archives / made.VALIDATION).read_bytes()[:1024]
    (archives / made.VALIDATION).write_bytes(content + content + bytes(1024))
    refused(archives, f"has the name '{GOOD}' twice")


@pytest.mark.parametrize('keep', [0, 1, 511, 512, 513, -20480, -10240])
def test_archives_that_are_cut_off(keep, archives):
    for name in (made.TRAIN, made.VALIDATION):
        whole = (archives / name).read_bytes()
        (archives / name).write_bytes(whole[:keep])
        refused(archives, 'is cut off|are left')
        (archives / name).write_bytes(whole)
    listed(archives)


def header(name, size):
    """A header that claims any size, in base 256 where it must."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize('size', [1 << 33, 1 << 62, (1 << 80) - 1, -1, -512])
def test_sizes_that_cannot_be(size, archives):
    (archives / made.VALIDATION).write_bytes(header(GOOD, size) + bytes(1024))
    refused(archives, f"says that '{GOOD}' has {size} bytes; 1024 are left")


def test_headers_of_python_s_tarfile_are_read_and_those_that_rename_are_refused(tmp_path):
    for name, message in ((GOOD, None), ('ä' + GOOD, 'gives the next file another name or size')):
        info = tarfile.TarInfo(name)
        info.size, info.mtime = 3, 1.5
        with tarfile.open(tmp_path / 'a.tar', 'w', format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(info, io.BytesIO(b'abc'))
        assert b'mtime=1.5' in (tmp_path / 'a.tar').read_bytes()
        if message:
            with pytest.raises(ValueError, match=message):
                tar_members.index(str(tmp_path / 'a.tar'))
        else:
            assert tar_members.index(str(tmp_path / 'a.tar'))[GOOD].read() == b'abc'


def test_a_pipe_in_place_of_an_archive_is_not_waited_for(archives):
    for name in (made.TRAIN, made.KIT):
        whole = (archives / name).read_bytes()
        (archives / name).unlink()
        os.mkfifo(archives / name)
        refused(archives, 'is a device, a pipe or a folder')
        (archives / name).unlink()
        (archives / name).write_bytes(whole)


# The development kit -------------------------------------------------------------------------------------


@pytest.mark.parametrize('synsets, truth, message', [
    (SYNSETS, [7, 1001], r"ground_truth.txt has '1001' for image 2; it must be the number of a class"),
    (SYNSETS, [7, 'x'], "has 'x' for image 2"), (SYNSETS, [2], "has '2' for image 1"),
    ([*SYNSETS, (4, 'n01000000', 'again')], [7], 'some are there twice'),
    ([*SYNSETS, (3, 'n04000000', 'again')], [7], 'some are there twice'),
    ([*SYNSETS, (0, 'n04000000', 'zero')], [7], r'\(0, '), ([*SYNSETS, (4, '../x', 'a')], [7], r"\(4, '../x'"),
    ([*SYNSETS, (4, 'n04000000', 'a\x1b[31m')], [7], r"\(4, 'n04000000', 'a\\x1b"),
    ([(1001, 'n04000000', 'entity')], [], 'none is there')])
def test_kits_that_say_something_else(synsets, truth, message, archives):
    made.kit(archives / made.KIT, synsets, truth)
    assert refused(archives, message).isprintable()


def test_kits_that_are_damaged(archives):
    path = archives / made.KIT
    whole = path.read_bytes()
    too_much = bytes((1 << 26) + 1)
    zeros = zlib.compress(too_much, 1)
    bomb = b'MATLAB 5.0'.ljust(124) + b'\0\1IM' + struct.pack('<II', 15, len(zeros)) + zeros
    root = 'ILSVRC2012_devkit_t12/data'
    truth = {f'{root}/ILSVRC2012_validation_ground_truth.txt': b'7\n'}
    link = special(f'{root}/meta.mat', tarfile.SYMTYPE, '/etc/passwd')
    for content, message in (
            (whole[:100], 'cannot read'), (b'no gzip', 'cannot read'),
            (gzip.compress(b'x' * 2000), 'has no tar header'),
            (gzip.compress(too_much, 1), 'unpacks to more than 67,108,864 bytes'), ({}, 'has no data/meta.mat and no'),
            (truth | link, 'has no data/meta.mat;'), (truth | {f'{root}/meta.mat': b'x' * 500}, 'cannot read its'),
            (truth | {f'{root}/meta.mat': bomb}, 'unpacks to more than 67,108,864 bytes')):
        if isinstance(content, dict):
            made.tar(path, content, 'w:gz')
        else:
            path.write_bytes(content)
        refused(archives, message)


def test_without_scipy_the_sentence_names_it(archives, monkeypatch):
    monkeypatch.setitem(sys.modules, 'scipy.io', None)
    refused(archives, 'needs scipy: pip install scipy')


def test_every_byte_of_small_archives_may_be_damaged(archives):
    """Whatever is changed: the archives are read, or refused with a sentence."""
    random = np.random.default_rng(0)
    for name in (made.TRAIN, made.VALIDATION, made.KIT):
        whole = (archives / name).read_bytes()
        for _ in range(60):
            changed = bytearray(whole)
            for place in random.integers(0, min(len(whole), 2048), 3):
                changed[place] = random.integers(256)
            (archives / name).write_bytes(changed)
            try:
                listed(archives)
            except ValueError as error:
                assert str(error)
        (archives / name).write_bytes(whole)
