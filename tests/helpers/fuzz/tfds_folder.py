"""Folders as tensorflow-datasets writes them: features.json and dataset_info.json."""
import json

from hypothesis import strategies as st

from tests.helpers.fuzz import records, texts, wire

KEYS = 'image', 'label'
FILE = 'pets-train.tfrecord-00000-of-00001'
KIND = 'tensorflow_datasets.core.features.'
FEATURES = {
    'pythonClassName': f'{KIND}features_dict.FeaturesDict',
    'featuresDict': {'features': {
        'image': {'pythonClassName': f'{KIND}image_feature.Image', 'image': {
            'shape': {'dimensions': ['-1', '-1', '3']}, 'dtype': 'uint8', 'encodingFormat': 'jpeg'}},
        'label': {'pythonClassName': f'{KIND}class_label_feature.ClassLabel', 'classLabel': {'numClasses': '3'}}}}}
INFO = {'name': 'pets', 'version': '1.0.0', 'description': 'x', 'fileFormat': 'tfrecord', 'moduleName': 'x',
        'releaseNotes': {'1.0.0': 'x'}, 'supervisedKeys': {'tuple': {'items': [
            {'featureKey': 'image'}, {'featureKey': 'label'}]}},
        'splits': [{'name': 'train', 'numBytes': '300', 'shardLengths': ['3'],
                    'filepathTemplate': '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}'}]}
NAMES = b'cat\ndog\ncow\n'


def good(label):
    return records.framed(wire.written(records.example(
        ('image', records.feature(1, records.IMAGE)), ('label', records.feature(3, label)))))


RECORDS = b''.join(map(good, range(3)))


def prepare():
    pass


def whole():
    return {FILE: RECORDS, 'features.json': json.dumps(FEATURES).encode(),
            'dataset_info.json': json.dumps(INFO).encode(), 'label.labels.txt': NAMES}


@st.composite
def cases(draw):
    files, which = whole(), draw(st.integers(0, 5))
    if which < 2:
        files['dataset_info.json'] = draw(texts.changed_json(INFO))
    elif which < 4:
        files['features.json'] = draw(texts.changed_json(FEATURES))
    elif which == 4:
        files['label.labels.txt'] = draw(st.lists(st.sampled_from(('cat', 'dog', 'cow', '', 'cat', '\x1b',
                                                                   'x' * 999)) | st.text(
            max_size=4), max_size=5).map(lambda lines: '\n'.join(lines).encode()).flatmap(texts.changed_bytes))
    else:
        files.pop(draw(st.sampled_from(sorted(files))))
    return files


def read(folder, files):
    from alexnet_tf.data import datasets
    dataset = datasets.open_dataset(folder, 'train')
    assert len(dataset) == 3 and [dataset.example(position) for position in range(3)] == [
        (records.IMAGE, label) for label in range(3)]
    assert dataset.num_classes >= 3 and all(isinstance(name, str) for name in dataset.class_names)
    return True
