"""What measure prints, against loops over all pairs."""
import dataclasses

import numpy as np
import pytest

from alexnet_tf.data import datasets, preprocessing
from alexnet_tf.model import features
from alexnet_tf.neighbors import comparison, index
from tests.neighbors.test_codes import clusters, encoder  # noqa: F401

pytest.importorskip('faiss')


def expected(distances, labels, stored):
    """(mean average precision, precision at 10) of distances without equal ones."""
    averages, firsts = [], []
    for row, label in zip(distances, labels):
        right = stored[np.argsort(row)] == label
        averages.append(np.mean([right[:rank + 1].mean() for rank in np.flatnonzero(right)]))
        firsts.append(right[:10].mean())
    return np.mean(averages), np.mean(firsts)


def test_fc7_and_pixels_of_photographs(loaded, built, small_records):
    found = index.open_index(str(built))
    validation, lines = datasets.open_dataset(str(small_records), 'validation'), []
    results, chance = comparison.compare(found, loaded, validation, count=20, lengths=(), seed=0, batch_size=7,
                                         log=lines.append)
    assert [result.name for result in results] == ['fc7', 'pixels, 32×32']
    assert [result.bytes for result in results] == [512, 3072]
    assert 'trained on 3 classes; of those of the records 10 are new to it: airplane' in lines[0]
    pairs = [validation.example(position) for position in range(20)]
    squares = np.stack([preprocessing.evaluation_image(image) for image, _ in pairs])
    labels = np.array([label for _, label in pairs])
    present = np.isin(labels, found.labels)
    asked = features.of_squares(loaded)(squares).numpy().astype(float)
    small, small_found = (np.round(each[:, 16:240, 16:240].reshape(-1, 32, 7, 32, 7, 3).mean((2, 4))) for each in (
        squares.astype(float), np.stack([preprocessing.evaluation_image(found.example(position)[0]).numpy().astype(
            float) for position in range(48)])))
    for result, one, others, axes in ((results[0], asked, found.vectors.astype(float), 2),
                                      (results[1], small, small_found, (2, 3, 4))):
        distances = np.square(one[:, None] - others[None]).sum(axes)
        average, first = expected(distances[present], labels[present], found.labels)
        assert result.mean_average_precision == pytest.approx(average, abs=0.01)
        assert result.precision == pytest.approx(first, abs=0.01)
        assert result.per_second > 0 and len(result.by_class) == 10
    assert chance == pytest.approx(np.mean([(found.labels == label).mean() for label in labels[present]]))


def test_what_would_find_itself_and_too_few_images_are_refused(loaded, built, small_records):
    found = index.open_index(str(built))
    few = dataclasses.replace(found, labels=found.labels[:9])
    for one, split, sentence in ((found, 'train', "is of split 'train' itself, where each image would find itself"),
                                 (few, 'validation', 'has 9 images; the precision of the first 10 needs as many')):
        with pytest.raises(ValueError, match=sentence):
            comparison.compare(one, loaded, datasets.open_dataset(str(small_records), split), count=20, lengths=(),
                               seed=0, batch_size=7)


def test_codes_and_random_bits(clusters, encoder):  # noqa: F811
    stored = encoder.encode(clusters.vectors)
    found = dataclasses.replace(clusters, about=dataclasses.replace(clusters.about, class_names=tuple('abcdefgh')))
    queries = np.float32(clusters.vectors[:40])
    ways = {way.name: way for way in comparison.ways(
        found, queries, np.zeros([40, 3072]), np.zeros([400, 3072]), stored={32: (encoder, stored)}, seed=0)}
    assert {name: way.bytes for name, way in ways.items()} == {
        'fc7': 128, 'codes of 32 bits': 4, 'random projection, 32 bits': 4, 'pixels, 32×32': 3072}
    for name in ('codes of 32 bits', 'random projection, 32 bits'):
        result = comparison.measure(ways[name], clusters.labels[:40], found, log=lambda _: None)
        assert result.precision > 0.8 and 0.5 < result.mean_average_precision <= 1
    differ = np.int64(np.unpackbits(stored[:40, None] ^ stored[None], axis=2)).sum(2)
    np.testing.assert_array_equal(ways['codes of 32 bits'].distances(encoder.encode(queries)), 2 * differ - 32)
    pixels = comparison.measure(ways['pixels, 32×32'], clusters.labels[:40], found, log=lambda _: None)
    shares = [(clusters.labels == label).mean() for label in clusters.labels[:40]]
    assert pixels.mean_average_precision == pixels.precision == pytest.approx(np.mean(shares))  # all are alike


def test_tables_have_every_figure():
    result = comparison.Result('fc7', 8192, 0.51234, 0.7, 1234.5, (0.25, float('nan')))
    assert comparison.markdown([result], 0.1).splitlines()[2:] == [
        '| fc7 | 8,192 | 0.512 | 0.700 | 1,234 |', '| chance | | 0.100 | 0.100 | |']
    assert comparison.table([result], ('a', 'b')).splitlines() == [
        'searched by,bytes an image,mean average precision,precision at 10,queries/s,mean average precision of a,'
        'mean average precision of b', 'fc7,8192,0.5123,0.7000,1234.5,0.2500,']
