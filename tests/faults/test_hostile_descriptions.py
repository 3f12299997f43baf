"""Descriptions and checkpoints of wrong types, or made to do harm: a sentence that names the field."""
import json
import re

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.model import building, specs
from alexnet_tf.run_folder import checkpoints
from alexnet_tf.weights import own_npz
from nets import slim_checkpoints
from tests.faults.test_hostile import INFO, write_records

SPEC = {'model_name': 'alexnet_v2', 'image_size': 224, 'class_names': ['a', 'b'], 'mean': [1, 2, 3]}


@pytest.mark.parametrize('field, values', {
    'counts': [[], 3, {'train': 'x'}, {'train': -1}, {'train': True}, {'train': 10 ** 30}],
    'class_names': [[], 'ab', 3, None, ['a', 3], [['a']], {'a': 1}],
    'label_base': ['1', None, -1, 1.0, True, 2 ** 31, 10 ** 30],
    'shards': [[1], 3, 'x', {'train-00000-of-00001': 5}, {'train-00000-of-00001': {'records': 3}}, {'a': {}},
               {'train-00000-of-00001': {'records': 3, 'bytes': '9', 'lengths_crc32c': 1}},
               {'train-00000-of-00001': {'records': 3, 'bytes': 9, 'lengths_crc32c': -1}}],
    'mean_rgb': [[], [1, 2], 'abc', [1, 2, 'x'], [1, 2, float('nan')], [1, 2, float('inf')], [1, 2, 10 ** 400], 7],
    'mean_image': ['../x', '/etc/passwd', '', '.', '..', 'a/b', 'a\0b', 7, None, ['x']],
    'rgb_covariance_eigenvalues': [[1, 2], [-1, 2, 3], 'x', [[1], [2], [3]]],
    'rgb_covariance_eigenvectors': [[1, 2, 3], [[1, 2, 3]], [[1, 2, 3]] * 2 + [[1, 2]], 'x'],
}.items())
def test_a_dataset_info_of_wrong_types_names_the_field(field, values, tmp_path):
    write_records(tmp_path)
    path = tmp_path / 'dataset_info.json'
    for value in values:
        path.write_text(json.dumps(INFO | {field: value}))
        pattern = rf'cannot read {re.escape(str(path))}: {field} is .*; it must be '
        with pytest.raises(ValueError, match=pattern) as caught:
            datasets.open_dataset(str(tmp_path), 'train')
        assert len(str(caught.value)) < 400
    if field in INFO:
        path.write_text(json.dumps({key: value for key, value in INFO.items() if key != field}))
        with pytest.raises(ValueError, match=f'it has no {field}, which must be '):
            datasets.open_dataset(str(tmp_path), 'train')
    path.write_text(json.dumps(INFO))
    assert len(datasets.open_dataset(str(tmp_path), 'train')) == 3


@pytest.mark.parametrize('field, values', {
    'model_name': [7, None, ['alexnet'], 'vgg', '../alexnet'], 'image_size': ['224', 0, -1, 1.5, None, 2 ** 40, True],
    'class_names': [[], 'ab', 3, {'a': 1}, [1, 2]],
    'mean': [[1, 2], 'a/b', '../mean.npy', '/dev/zero', '', None, [1, 2, None], {'r': 1}],
    'labels_offset': ['1', -1, 1.5, []], 'variant': [7, None, 'vgg', ['paper']],
    'unscaled_dropout': ['x', 0, -1, 1.5, [0.5], float('nan')]}.items())
def test_a_model_json_of_wrong_types_is_a_sentence(field, values, tmp_path):
    for value in values:
        content = json.dumps(SPEC | {field: value})
        (tmp_path / 'model.json').write_text(content)
        with pytest.raises(ValueError, match=f'{field} is|unknown network|variant is|has no variants'):
            building.build(specs.read_spec(str(tmp_path)))
        with pytest.raises(ValueError, match='not the description of a network|unknown network|variant|its mean has'):
            spec, _, _ = own_npz.parse({'format': np.array('alexnet_tf 1'), 'model_json': np.array(content)})
            building.build(spec)


@pytest.mark.parametrize('content', [b'[' * 100_000, b'\xff\xfe{}', b'\0' * 9, b'"x"', b'9' * 5000])
def test_json_that_is_none(content, tmp_path):
    (tmp_path / 'model.json').write_bytes(content)
    with pytest.raises(ValueError, match='cannot read .*model.json'):
        specs.read_spec(str(tmp_path))


@pytest.mark.parametrize('content, message', [
    ('1:a\n2:caf\xe9\n'.encode('latin1'), 'labels.txt: it is not UTF-8'), ('²:a\n'.encode(), "line '²:a' is not"),
    (b'9999999999:a\n', 'is not of the form'), (b'-1:a\n', 'is not of the form'), (b'1:a\n1:b\n', 'there twice'),
    (b'1:a\0b\n2:\x1b[31m\n', None)])
def test_a_labels_txt_from_anybody(content, message, tmp_path):
    write_records(tmp_path)
    (tmp_path / 'labels.txt').write_bytes(content)
    if message:
        with pytest.raises(ValueError, match=message):
            datasets.open_dataset(str(tmp_path), 'train')
    else:  # names are kept as they are, and escaped where they are printed
        assert datasets.open_dataset(str(tmp_path), 'train').class_names == ('a\0b', '\x1b[31m')


def test_a_file_checkpoint_cannot_lead_out_of_its_folder(tmp_path):
    inside, outside = tmp_path / 'inside', tmp_path / 'outside'
    for folder in (inside, outside):
        slim_checkpoints.save({'scope/x': tf.constant(1.0)}, str(folder / 'model.ckpt-3'))
    for path in (outside / 'model.ckpt-3', '../outside/model.ckpt-3'):
        (inside / 'checkpoint').write_text(f'model_checkpoint_path: "{path}"\n')
        assert checkpoints.find(str(inside)) == str(inside / 'model.ckpt-3')
    (inside / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-3"\n')
    assert checkpoints.find(str(inside)) == str(inside / 'model.ckpt-3')


@pytest.mark.parametrize('held', [tf.constant([b'\x1b[31m', b'x']), tf.constant([1, 2], tf.int64),
                                  tf.constant([1j, 2], tf.complex64)])
def test_a_checkpoint_that_holds_something_else_under_the_name(held, tmp_path):
    path = slim_checkpoints.save({'scope/x': held, 'scope/\x1b[31m': held}, str(tmp_path / 'model.ckpt-1'))
    with pytest.raises(ValueError, match='holds numbers of another kind: scope/x (string|int64|complex64)'):
        slim_checkpoints.load({'scope/x': tf.Variable([0.0, 0.0])}, path)
