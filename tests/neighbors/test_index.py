"""The index: what it holds, what it finds, and what it refuses."""
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.files import reading
from alexnet_tf.model import features as network_features
from alexnet_tf.neighbors import description, index


def made(vectors):
    """An Index of these vectors alone."""
    about = description.Description('', 1, '', '', 'train', 0, ('a',), 0, *vectors.shape, 1)
    return index.Index('made', about, vectors.astype(np.float16), np.zeros(len(vectors), np.int64))


def test_it_holds_fc7_of_what_evaluation_sees_of_each_record(loaded, built, small_records):
    import tf_keras
    found = index.open_index(str(built))
    dataset = datasets.open_dataset(str(small_records), 'train')
    fc7 = tf_keras.Model(loaded.model.inputs, loaded.model.get_layer('fc7').output)
    for position in (0, 13, 47):
        encoded, label = dataset.example(position)
        assert found.example(position) == (encoded, label) and found.labels[position] == label
        image = preprocessing.evaluation_image(encoded).numpy()[16:240, 16:240].astype(np.float32)
        expected = fc7(image[np.newaxis] - np.float32([120, 110, 100]), training=False).numpy().ravel()
        assert expected.max() > 0
        np.testing.assert_allclose(found.vectors[position], expected, rtol=2e-3, atol=2e-3 * expected.max())
    assert found.vectors.dtype == np.float16 and len(found) == 48 and found.class_names == dataset.class_names


def test_features_of_a_query_are_those_of_the_index(loaded, built):
    pytest.importorskip('faiss')
    found = index.open_index(str(built))
    squares = tf.stack([preprocessing.evaluation_image(found.example(position)[0]) for position in (5, 40)])
    positions, distances = found.nearest(network_features.of_squares(loaded)(squares).numpy(), 3)
    assert positions[:, 0].tolist() == [5, 40]
    assert (distances[:, 0] < 0.01 * distances[:, 1]).all()  # float16's rounding


@pytest.mark.parametrize('queries', [3, 30])  # for more than twenty the library multiplies matrices
def test_nearest_is_exact(queries, monkeypatch):
    pytest.importorskip('faiss')
    monkeypatch.setattr(index, 'BLOCK', 64)
    random = np.random.default_rng(2)
    vectors = random.integers(0, 3, [200, 6]).astype(np.float16) + 1000  # many are equal; large numbers, small steps
    asked = random.integers(0, 3, [queries, 6]).astype(np.float32) + 1000
    positions, distances = made(vectors).nearest(asked, 5)
    exact = np.sqrt(np.square(asked[:, None].astype(float) - vectors.astype(float)).sum(2))
    order = np.argsort(exact, axis=1, kind='stable')[:, :5]
    np.testing.assert_allclose(distances, np.take_along_axis(exact, order, 1), rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(exact, positions, 1), distances, rtol=1e-6)
    assert all(len(set(row)) == 5 for row in positions.tolist())


def test_wrong_counts_and_shapes(built):
    pytest.importorskip('faiss')
    found = index.open_index(str(built))
    for features, count, sentence in (([[1.0] * 256], 49, '49 neighbors of 48 images; ask for 1 to 48'),
                                      ([[1.0] * 256], 0, '0 neighbors of 48 images'),
                                      ([[1.0] * 255], 1, 'features of the shape [1, 255]'),
                                      ([1.0] * 256, 1, 'features of the shape [256]')):
        with pytest.raises(ValueError) as error:
            found.nearest(np.float32(features), count)
        assert sentence in str(error.value)


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e30])
def test_an_image_whose_features_no_index_can_have_is_refused(value, built):
    pytest.importorskip('faiss')
    features = np.ones([1, 256], np.float32)
    features[0, 9] = value
    with pytest.raises(ValueError, match='features of an image are no numbers, or beyond 65504,'):
        index.open_index(str(built)).nearest(features, 2)


def test_without_the_library_it_says_how_to_get_it(built, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'faiss', None)
    with pytest.raises(ValueError, match="pip install 'faiss-cpu>=1.9'"):
        index.open_index(str(built)).nearest(np.zeros([1, 256], np.float32), 1)


def test_another_network_is_refused(loaded, built):
    found = index.open_index(str(built))
    found.check_network(loaded)
    other = dataclasses.replace(loaded, mean=loaded.mean + 1)
    with pytest.raises(ValueError, match='is another network than that of .*model.ckpt-7 .step 7.; give that one'):
        found.check_network(other)


def change_description(folder, **changes):
    path = folder / 'index.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def hostile(name, content):
    """A function of a folder that puts other bytes in the place of a file, and their checksum in the description."""
    def replace(folder):
        (folder / name).write_bytes(content)
        files = json.loads((folder / 'index.json').read_text())['files']
        change_description(folder, files=files | {name: reading.fingerprint(str(folder / name))})
    return replace


def with_feature(row, value):
    """A function of a folder that puts a value into the features of an image, and the right checksum."""
    def replace(folder):
        vectors = np.load(folder / 'features.npy')
        vectors[row, 5] = value
        np.save(folder / 'changed.npy', vectors)
        hostile('features.npy', (folder / 'changed.npy').read_bytes())(folder)
    return replace


def header(words):
    """The beginning of a .npy file with this header."""
    return b'\x93NUMPY\x01\x00' + len(words).to_bytes(2, 'little') + words


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGE = {  # how it is damaged: (function of the folder, the sentence)
    'not there': (lambda folder: (folder / 'index.json').unlink(), 'there is no index in'),
    'unfinished': (lambda folder: (folder / 'index.json').rename(folder / 'building.json'), 'is unfinished; give the'),
    'features lost': (lambda folder: (folder / 'features.npy').unlink(), 'cannot read'),
    'features cut off': (lambda folder: (folder / 'features.npy').write_bytes(b'abc'), 'is not as it was written'),
    'one bit of the features': (lambda folder: flip(folder / 'features.npy'), 'is not as it was written'),
    'one bit of the labels': (lambda folder: flip(folder / 'labels.npy'), 'is not as it was written'),
    'another shape': (lambda folder: change_description(folder, images=47), 'holds float16 [48, 256], not float16 [47'),
    'no images': (lambda folder: change_description(folder, images=0), 'images is 0; it must be a number of images'),
    'fewer classes': (lambda folder: change_description(folder, class_names=['a']), 'labels without a class name'),
    'a zip archive': (hostile('features.npy', b'PK\x03\x04 and no more'), 'cannot read'),
    'a header without end': (hostile('features.npy', header(b"{'descr': ((((")), 'cannot read'),
    'an immense shape': (hostile('features.npy', header(
        b"{'descr': '<f2', 'fortran_order': False, 'shape': (%d, 256)}" % 10 ** 40)), 'cannot read'),
    'more labels than memory': (hostile('labels.npy', header(
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (%d,)}" % 10 ** 13)), 'cannot read'),
    'a pickle': (hostile('labels.npy', b'\x80\x04N.'), 'cannot read'),
    'a feature that is no number': (with_feature(47, np.nan), 'features of image 47 that are infinite or no numbers'),
    'an infinite feature': (with_feature(3, -np.inf), 'features of image 3 that are infinite or no numbers; build it'),
    'no description': (lambda folder: (folder / 'index.json').write_text('[]'), 'holds a list, not an object'),
}


@pytest.mark.parametrize('name', DAMAGE)
def test_a_damaged_index_is_refused(name, copied):
    change, sentence = DAMAGE[name]
    change(copied)
    with pytest.raises(ValueError) as error:
        index.open_index(str(copied))
    assert sentence in str(error.value)


def test_records_that_moved_are_found_where_one_says(copied, small_records, tmp_path):
    moved = shutil.copytree(small_records, tmp_path / 'moved')
    change_description(copied, dataset_dir=str(tmp_path / 'gone'))
    with pytest.raises(ValueError, match='gone any more; say where they are with --dataset_dir'):
        index.open_index(str(copied)).example(0)
    found = index.open_index(str(copied), dataset_dir=str(moved))
    assert found.example(3) == datasets.open_dataset(str(small_records), 'train').example(3)
    with pytest.raises(ValueError, match="split 'train' of .*sample has other records than those"):
        index.open_index(str(copied), dataset_dir=datasets.SAMPLE_DIR).example(0)
