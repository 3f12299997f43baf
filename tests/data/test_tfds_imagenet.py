"""Folders that tensorflow-datasets' own builders of imagenet2012 and imagenette wrote, from archives and images made
here: read as they are, and with the labels of build_tfrecords."""
import collections
from unittest import mock

import pytest

from alexnet_tf.data import datasets
from tests.data.test_build_tfrecords import build, colors, jpeg
from tests.helpers import imagenet_archives as made

tfds = pytest.importorskip('tensorflow_datasets')
CLASSES = 'n01440764', 'n02102040', 'n03888257'  # of both datasets


def builder(of, folder, config=None):
    """tensorflow-datasets' builder of this name."""
    class Builder(tfds.builder_cls(of), skip_registration=True):
        name, code_path = of, None  # where checksums of downloads would be looked for; there are none

    return Builder(data_dir=str(folder), config=config)


def images(wnid, count):
    return [jpeg(colors([int(wnid[1:]), number, count])) for number in range(count)]


def stored(dataset):
    return collections.Counter(map(dataset.example, range(len(dataset))))


def test_imagenet2012(tmp_path):
    """Its list of the validation images' classes is the real one: here it makes the development kit."""
    pytest.importorskip('scipy', reason="writes the development kit's meta.mat")
    from tensorflow_datasets.datasets.imagenet2012 import imagenet_common
    real = tfds.core.tfds_path(imagenet_common._VALIDATION_LABELS_FNAME).read_text().split()[:4]
    names = tfds.core.tfds_path(imagenet_common._LABELS_FNAME).read_text().split()
    used = sorted({*CLASSES, *real})
    train = {wnid: {f'{wnid}_{number}.JPEG': image for number, image in enumerate(images(wnid, 2))}
             for wnid in reversed(used)}
    synsets = [(1000 - 7 * number, wnid, f'words of {wnid}') for number, wnid in enumerate(used)]
    validation = [(wnid, image) for number, wnid in enumerate(real) for image in images(wnid, 3 + number)[-1:]]
    archives = made.write(tmp_path / 'archives', train, validation, synsets)
    prepared = builder('imagenet2012', tmp_path / 'tfds')
    prepared.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(archives)))
    build(archives, tmp_path / 'own', archives=True, allow_partial=True)
    for split, count in (('train', 2 * len(used)), ('validation', 4)):
        theirs = datasets.open_dataset(str(tmp_path / 'tfds' / 'imagenet2012'), split)
        own = datasets.open_dataset(str(tmp_path / 'own'), split)
        assert theirs.num_classes == 1000 and theirs.class_names == tuple(names) and len(theirs) == count
        assert stored(theirs) == collections.Counter(
            (image, names.index(used[label])) for image, label in stored(own).elements())


def test_imagenette(tmp_path):
    source = tmp_path / 'downloaded' / 'imagenette2-320'
    for split, count in (('train', 3), ('val', 2)):
        for wnid in CLASSES:
            (source / split / wnid).mkdir(parents=True)
            for number, image in enumerate(images(wnid, count)):
                (source / split / wnid / f'{wnid}_{number}.JPEG').write_bytes(image)
    prepared = builder('imagenette', tmp_path / 'tfds', '320px-v2')
    with mock.patch.object(tfds.download.DownloadManager, 'download_and_extract', lambda *_: str(source.parent)):
        prepared.download_and_prepare()
    for split, count in (('train', 3), ('validation', 2)):
        dataset = datasets.open_dataset(str(prepared.data_dir), split)
        assert dataset.num_classes == 10 and dataset.class_names[0] == CLASSES[0]
        assert stored(dataset) == collections.Counter(
            (image, dataset.class_names.index(wnid)) for wnid in CLASSES for image in images(wnid, count))
