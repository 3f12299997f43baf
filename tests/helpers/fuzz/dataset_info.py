"""What describes a folder of records: dataset_info.json, or slim's labels.txt."""
import functools
import json

from hypothesis import strategies as st

from tests.helpers.fuzz import records, texts, wire

RECORDS = b''.join(records.framed(wire.written(records.good(label))) for label in (0, 1, 2))


@functools.cache
def info():
    from alexnet_tf.data.records import description
    return {'format': 'slim', 'counts': {'train': 3}, 'class_names': ['a', 'b', 'c'], 'label_base': 0,
            'shards': {records.PATH: description([len(wire.written(records.good(label))) for label in (0, 1, 2)])},
            'mean_rgb': [1.5, 2, 3], 'mean_image': 'mean_image.npy', 'rgb_covariance_eigenvalues': [3, 2, 1],
            'rgb_covariance_eigenvectors': [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}


def prepare():
    pass


def whole():
    return {records.PATH: RECORDS, 'dataset_info.json': json.dumps(info()).encode()}


LINE = st.sampled_from(('0:a', '1:b', '2:c', '3:d', '1:a:b', '-1:x', '0:background', '999999:x', '9999999:x', '²:x',
                        'x', ':', '',
                        '1', ' 2 : c ', '1:\x1b[31m', '1:\0', '1:\u2028', '1:' + 'x' * 5000, '٣:x',
                        '1:\ufeff')) | st.text(max_size=6)
LABELS = st.lists(LINE, max_size=6).map(lambda lines: '\n'.join(lines).encode()) | st.permutations(
    ['0:a', '1:b', '2:c']).map(lambda lines: '\n'.join(lines).encode())


@st.composite
def cases(draw):
    files = {records.PATH: RECORDS}
    if draw(st.integers(0, 3)):
        files['dataset_info.json'] = draw(texts.changed_json(info()))
    else:
        files['labels.txt'] = draw(LABELS.flatmap(texts.changed_bytes))
    return files


def read(folder, files):
    from alexnet_tf.data import color_noise, datasets
    from alexnet_tf.training import description
    dataset = datasets.open_dataset(folder, 'train')
    assert len(dataset) == 3 and [dataset.example(position) for position in range(3)] == [
        (records.IMAGE, label - dataset.labels_offset) for label in (0, 1, 2)]
    assert dataset.num_classes >= 3 and all(isinstance(name, str) for name in dataset.class_names)
    spec = description.make_spec(dataset, model_name='alexnet', log=lambda line: None)
    assert len(spec.mean) == 3 and color_noise.color_noise(dataset.info).axes.shape == (3, 3)
    return True
