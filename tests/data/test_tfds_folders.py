"""Folders that tensorflow-datasets wrote, and descriptions that only look so."""
import io
import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from tests.helpers import shards
from tests.helpers.shards import labels, refused


def prepare(folder, file_format='tfrecord', supervised=('image', 'label'), **extra):
    """A dataset written by tensorflow-datasets itself: 5 training and 2 test images of 8x8."""
    tfds = pytest.importorskip('tensorflow_datasets')

    class Pets(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """Made by a test."""
        name, VERSION = 'pets', tfds.core.Version('1.0.0')
        code_path = None  # where checksums of downloads would be looked for; there are none

        def _info(self):
            features = {'image': tfds.features.Image(encoding_format='jpeg'), 'file_name': tfds.features.Text(),
                        'label': tfds.features.ClassLabel(names=['cat', 'dog', 'ä'])}
            features |= {key: tfds.features.ClassLabel(num_classes=2) for key in extra}
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features), supervised_keys=supervised)

        def _split_generators(self, _):
            return {'train': self._generate_examples(5), 'test': self._generate_examples(2)}

        def _generate_examples(self, count):
            for number in range(count):
                yield number, {'image': io.BytesIO(image(number)), 'label': number % 3, 'file_name': str(number),
                               **extra}

    builder = Pets(data_dir=str(folder), file_format=file_format)
    builder.download_and_prepare()
    return folder / 'pets' / '1.0.0'


def image(number):
    return tf.io.encode_jpeg(np.full([8, 8, 3], 40 * number, np.uint8)).numpy()


def test_a_folder_that_tensorflow_datasets_wrote(tmp_path):
    folder = prepare(tmp_path)
    for opened in (folder, folder.parent):
        dataset = datasets.open_dataset(str(opened), 'train')
        assert dataset.class_names == ('cat', 'dog', 'ä') and dataset.num_classes == 3 and len(dataset) == 5
        assert sorted(map(dataset.example, range(5))) == sorted((image(number), number % 3) for number in range(5))
    assert len(datasets.open_dataset(str(folder), 'test', labels_offset=0)) == 2
    message = refused(folder, "has no split 'validation', only ", split='validation')
    assert 'train' in message and 'test' in message
    refused(folder, 'pets-train.tfrecord-00000-of-00001, record .*: label 0 less labels_offset 1', labels_offset=1)
    shutil.copytree(folder, folder.parent / '2.0.0')
    refused(folder.parent, 'several datasets; give one of .*1.0.0, .*2.0.0')


def test_tensorflow_datasets_folders_that_do_not_fit(tmp_path):
    folder = prepare(tmp_path)
    path = folder / 'pets-train.tfrecord-00000-of-00001'
    stored = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    shards.write_file(path, stored[:4])
    refused(folder, "has 4 records of split 'train', its description says 5")
    shards.write_file(path, stored[:4] + [shards.example(b'an image', 1)])
    refused(folder, "pets-train.*, record 4: no integer label under 'label'; it has image/class/label, image/encoded")
    path.unlink()
    refused(folder, f'cannot read the shard {path}: No such file')


def test_of_several_labels_the_supervised_one_is_taken(tmp_path):
    chosen = datasets.open_dataset(str(prepare(tmp_path / 'chosen', more=1)), 'train')
    assert chosen.label_key == 'label' and sorted(labels(chosen)) == [0, 0, 1, 1, 2]
    refused(prepare(tmp_path / 'unclear', supervised=None, more=1), r'has 2 features of type ClassLabel \(')


def test_another_file_format_is_refused(tmp_path):
    pytest.importorskip('array_record', reason='tensorflow-datasets writes that format only with it')
    refused(prepare(tmp_path, 'array_record'), 'stored as array_record; only tfrecord is read. Convert it')


# Descriptions from anybody --------------------------------------------------------------------------------


def test_a_features_json_cannot_have_a_module_imported(tmp_path, monkeypatch):
    tfds = pytest.importorskip('tensorflow_datasets')
    (tmp_path / 'evil_module.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / 'data'
    folder.mkdir()
    evil = {'pythonClassName': 'evil_module.Image'}
    for features in (evil, {'type': 'evil_module.Image'}, {'python_class_name': 'evil_module.Image'},
                     {'pythonClassName': 'tensorflow_datasets.core.features.features_dict.FeaturesDict',
                      'featuresDict': {'features': {'image': {'deeper': [evil]}}}}):
        (folder / 'features.json').write_text(json.dumps(features))
        with pytest.raises(ValueError, match="class 'evil_module.Image', .* Nothing of it was run"):
            datasets.open_dataset(str(folder), 'train')
    assert not (tmp_path / 'ran').exists()
    with pytest.raises(ValueError):
        tfds.features.FeatureConnector.from_json(evil)
    assert (tmp_path / 'ran').exists()  # so tensorflow-datasets would have run it
    sys.modules.pop('evil_module')


@pytest.mark.parametrize('content', ['{', '[]', '{"name": 7}', '{"splits": [{"name": "train"}]}', '{"version": "x"}'])
def test_a_damaged_description_of_tensorflow_datasets(content, tmp_path):
    pytest.importorskip('tensorflow_datasets')
    (tmp_path / 'features.json').write_text(json.dumps({
        'pythonClassName': 'tensorflow_datasets.core.features.features_dict.FeaturesDict', 'featuresDict': {}}))
    (tmp_path / 'dataset_info.json').write_text(content)
    with pytest.raises(ValueError, match='cannot read|has no split'):
        datasets.open_dataset(str(tmp_path), 'train')


def test_an_empty_split_of_tensorflow_datasets(tmp_path):
    folder = prepare(tmp_path)
    path = folder / 'dataset_info.json'
    info = json.loads(path.read_text())
    split, = (split for split in info['splits'] if split['name'] == 'test')
    split['shardLengths'] = ['0']
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match="has no examples in its split 'test'; choose another"):
        datasets.open_dataset(str(folder), 'test')
    assert len(datasets.open_dataset(str(folder), 'train')) == 5


@pytest.mark.parametrize('change, message', [
    (lambda split: split.update(filepathTemplate='{NOTHING}'), 'cannot read what tensorflow-datasets wrote'),
    (lambda split: split.update(filepathTemplate='x\0'), r"names the shard 'x\\x00', which is no name of a file")])
def test_names_of_shards_that_cannot_be(change, message, tmp_path):
    folder = prepare(tmp_path)
    path = folder / 'dataset_info.json'
    info = json.loads(path.read_text())
    for split in info['splits']:
        change(split)
    path.write_text(json.dumps(info))
    assert str(folder) in refused(folder, message)
