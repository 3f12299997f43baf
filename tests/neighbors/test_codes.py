"""Codes: what they keep, that bits are bits, files, and search by Hamming distance."""
import dataclasses

import numpy as np
import pytest

from alexnet_tf.neighbors import codes
from tests.neighbors.test_index import made


@pytest.fixture(scope='module')
def clusters(tmp_path_factory):
    """An Index of 400 vectors around eight points, whose labels are the points."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 8, 400)
    vectors = np.maximum(random.normal(0, 2, [8, 64])[labels] + random.normal(0, 0.5, [400, 64]), 0)
    found = made(vectors)
    return dataclasses.replace(found, folder=str(tmp_path_factory.mktemp('clusters')), labels=labels,
                               about=dataclasses.replace(found.about, files={'features.npy': {'crc32c': 'abcdefg='}}))


@pytest.fixture(scope='module')
def encoder(clusters):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, 'STEPS', 60)
        return codes.train(clusters, 32, seed=5, log=lambda _: None)


def test_they_keep_what_is_near_and_the_same_seed_makes_the_same(clusters, encoder, monkeypatch):
    stored = encoder.encode(clusters.vectors)
    assert stored.shape == (400, 4) and stored.dtype == np.uint8
    bits = np.unpackbits(stored, axis=1)
    distances = (bits[:, None] != bits[None]).sum(2) + 100 * np.eye(400)
    assert (clusters.labels[distances.argmin(1)] == clusters.labels).mean() > 0.9  # an eighth by chance
    assert 0.1 < bits.mean() < 0.9 and (bits.std(0) > 0).mean() > 0.8  # most bits say something
    monkeypatch.setattr(codes, 'STEPS', 60)
    again = codes.train(clusters, 32, seed=5, log=lambda _: None)
    for name, array in dataclasses.asdict(encoder).items():
        np.testing.assert_array_equal(getattr(again, name), array)


def test_a_bit_is_the_sign_of_its_unit(clusters, encoder):
    features = np.float64(clusters.vectors[:5])
    hidden = np.maximum(features * encoder.scale @ encoder.weights_1 + encoder.biases_1, 0)
    values = hidden @ encoder.weights_2 + encoder.biases_2
    expected = [[sum(1 << (7 - bit) for bit in range(8) if row[8 * byte + bit] > 0) for byte in range(4)]
                for row in values]
    np.testing.assert_array_equal(encoder.encode(clusters.vectors[:5]), expected)


def test_files_give_back_what_was_written(clusters, encoder):
    path = codes.write(clusters, encoder)
    read, stored = codes.read(clusters, 32)
    np.testing.assert_array_equal(stored, encoder.encode(clusters.vectors))
    np.testing.assert_array_equal(read.encode(clusters.vectors), stored)
    first = open(path, 'rb').read()
    codes.write(clusters, read)
    assert open(path, 'rb').read() == first


def cut_off(path):
    path.write_bytes(path.read_bytes()[:1000])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def without_scale(path):
    with np.load(path) as arrays:
        kept = {name: array for name, array in arrays.items() if name != 'scale'}
    np.savez(path, **kept)


def with_words(path):
    with np.load(path) as arrays:
        np.savez(path, **dict(arrays) | {'scale': np.array('x')})


def with_nan(path):
    with np.load(path) as arrays:
        np.savez(path, **dict(arrays) | {'scale': np.float32(np.nan)})


def not_deflated(path):
    with np.load(path) as arrays:
        np.savez_compressed(path, **dict(arrays))
    data = path.read_bytes()
    path.write_bytes(data[:60] + b'\xff' * 40 + data[100:])


def with_a_password(path):
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b'PK\x01\x02') + 8] |= 1
    path.write_bytes(data)


@pytest.mark.parametrize('damage', [cut_off, flip, without_scale, with_words, with_nan, not_deflated, with_a_password,
                                    lambda path: path.write_bytes(b'')])
def test_a_damaged_file_is_refused(damage, clusters, encoder, tmp_path):
    found = dataclasses.replace(clusters, folder=str(tmp_path))
    codes.write(found, encoder)
    damage(tmp_path / 'codes-32.npz')
    with pytest.raises(ValueError, match=r'cannot read .*; make them again: python -m alexnet_tf.retrieval codes'):
        codes.read(found, 32)


def test_codes_of_other_features_or_none_are_refused(clusters, encoder):
    codes.write(clusters, encoder)
    about = dataclasses.replace(clusters.about, files={'features.npy': {'crc32c': 'another='}})
    with pytest.raises(ValueError, match='they are of other features'):
        codes.read(dataclasses.replace(clusters, about=about), 32)
    with pytest.raises(ValueError, match='has no codes of 64 bits; make some: '):
        codes.read(clusters, 64)


def test_nearest_counts_bits_and_of_equal_ones_takes_the_first():
    pytest.importorskip('faiss')
    random = np.random.default_rng(4)
    stored, asked = (random.integers(0, 4, [count, 8], dtype=np.uint8) for count in (500, 30))
    differ = np.unpackbits(asked[:, None] ^ stored[None], axis=2).sum(2)
    order = np.argsort(differ, axis=1, kind='stable')[:, :7]
    positions, bits = codes.nearest(asked, stored, 7)
    np.testing.assert_array_equal(positions, order)
    np.testing.assert_array_equal(bits, np.take_along_axis(differ, order, 1))
    with pytest.raises(ValueError, match='501 neighbors of 500 images'):
        codes.nearest(asked, stored, 501)
