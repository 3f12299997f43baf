"""Descriptions of wrong types, or made to do harm: a sentence that names the field. Files that are no files."""
import json
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, folder_builder, image_records, slim_folders
from alexnet_tf.data.batches import EvaluationBatches
from tests.helpers import shards, special_files

INFO = {'format': 'slim', 'counts': {'train': 3}, 'class_names': ['a', 'b'], 'label_base': 1}
THREE = [shards.example(b'no image', label) for label in (1, 2, 1)]


@pytest.mark.parametrize('field, values', {
    'counts': [[], 3, {'train': 'x'}, {'train': -1}, {'train': True}, {'train': 10 ** 30}],
    'class_names': [[], 'ab', 3, None, ['a', 3], [['a']], {'a': 1}],
    'label_base': ['1', None, -1, 1.0, True, 2 ** 31, 10 ** 30],
    'shards': [[1], 3, 'x', {'train-00000-of-00001': 5}, {'train-00000-of-00001': {'records': 3}}, {'a': {}},
               {'train-00000-of-00001': {'records': 3, 'bytes': '9', 'lengths_crc32c': 1}},
               {'train-00000-of-00001': {'records': 3, 'bytes': 9, 'lengths_crc32c': -1}}],
    'mean_rgb': [[], [1, 2], 'abc', [1, 2, 'x'], [1, 2, float('nan')], [1, 2, float('inf')], [1, 2, 10 ** 400], 7],
    'mean_image': ['../x', '../../stolen.npy', '/etc/passwd', '', '.', '..', 'a/b', 'a\0b', '\ud800', 7, None, ['x']],
    'rgb_covariance_eigenvalues': [[1, 2], [-1, 2, 3], 'x', [[1], [2], [3]]],
    'rgb_covariance_eigenvectors': [[1, 2, 3], [[1, 2, 3]], [[1, 2, 3]] * 2 + [[1, 2]], 'x'],
}.items())
def test_a_dataset_info_of_wrong_types_names_the_field(field, values, tmp_path):
    shards.write_split(tmp_path, THREE, labels_txt=None)
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


@pytest.mark.parametrize('content, message', [
    ('1:a\n2:caf\xe9\n'.encode('latin1'), 'labels.txt: it is not UTF-8'), ('²:a\n'.encode(), "line '²:a' is not"),
    (b'9999999999:a\n', "is not 'label:name'"), (b'-1:a\n', "is not 'label:name'"), (b'1:a\n1:b\n', 'there twice'),
    (b'1:a\0b\n2:\x1b[31m\n', None)])
def test_a_labels_txt_from_anybody(content, message, tmp_path):
    shards.write_split(tmp_path, THREE, labels_txt=None)
    (tmp_path / 'labels.txt').write_bytes(content)
    if message:
        with pytest.raises(ValueError, match=message):
            datasets.open_dataset(str(tmp_path), 'train')
    else:  # names are kept as they are, and escaped where they are printed
        assert datasets.open_dataset(str(tmp_path), 'train').class_names == ('a\0b', '\x1b[31m')


@pytest.mark.skipif(sys.platform == 'win32', reason='has no such files')
@pytest.mark.parametrize('kind', special_files.KINDS)
def test_special_files_are_refused(kind, tmp_path):
    special = special_files.make(kind, tmp_path / 'special')
    for name in ('dataset_info.json', 'labels.txt', 'train-00000-of-00001'):
        folder = shards.write_split(tmp_path / f'with {name}', THREE)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(special)
        with pytest.raises(ValueError, match=f'{name}.*{special_files.MESSAGE}'):
            datasets.open_dataset(str(folder), 'train')
    with pytest.raises(ValueError, match=special_files.MESSAGE):
        image_records.read_image(str(special), None, 95)


def test_a_link_to_another_file_among_images_is_read_as_an_image(tmp_path):
    (tmp_path / 'private').write_text('a secret')
    (tmp_path / 'a.jpg').symlink_to(tmp_path / 'private')
    with pytest.raises(ValueError, match='it is neither JPEG nor PNG') as caught:
        image_records.read_image(str(tmp_path / 'a.jpg'), None, 95)
    assert 'secret' not in str(caught.value)


def test_folders_with_spaces_and_other_letters(tmp_path):
    """Records are built, opened and read under names that shells and globs act on."""
    odd = tmp_path / 'bilder äöü 猫 [1] "q" $HOME;x'
    for name in ('chat noir', "d'Artagnan", '猫'):
        for split in ('train', 'val'):
            folder = odd / 'images' / split / name
            folder.mkdir(parents=True)
            (folder / f'{name} 1.jpg').write_bytes(tf.io.encode_jpeg(np.full([8, 8, 3], 99, np.uint8)).numpy())
    output = str(odd / 'records')
    info = folder_builder.build(str(odd / 'images'), output, num_processes=1, log=lambda line: None)
    assert info['counts'] == {'train': 3, 'validation': 3}
    dataset = datasets.open_dataset(output, 'train')
    assert dataset.class_names == ('chat noir', "d'Artagnan", '猫') and len(dataset) == 3
    assert slim_folders.read_info(output)['mean_image'] == 'mean_image.npy'
    assert {len(images) for images, _ in EvaluationBatches(dataset, batch_size=2)} == {1, 2}
