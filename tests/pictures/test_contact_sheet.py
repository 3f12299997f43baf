"""The contact sheet shows the crops that training takes."""
import numpy as np
import pytest

from alexnet_tf.data import batches, datasets, preprocessing
from alexnet_tf.pictures import contact_sheet


def test_crops_are_those_of_a_training_with_this_seed(small_records, monkeypatch):
    monkeypatch.setattr(contact_sheet, 'color_noise', lambda info: None)
    dataset = datasets.open_dataset(str(small_records), 'train')
    trained = batches.TrainingBatches(dataset, seed=5, batch_size=len(dataset))  # a batch is an epoch
    epochs = [images.numpy() for (images, _), _ in zip(trained, range(contact_sheet.EPOCHS))]
    for number, (position, label, before, crops) in enumerate(contact_sheet.rows(dataset, seed=5, count=3)):
        encoded, stored = dataset.example(position)
        assert stored == label
        np.testing.assert_array_equal(before, preprocessing.evaluation_image(encoded))
        np.testing.assert_array_equal(crops[0], epochs[0][number])
        for epoch, images in enumerate(epochs):
            assert (images == crops[epoch]).all((1, 2, 3)).sum() == 1  # one row of that epoch


def test_color_noise_moves_whole_images(small_records):
    dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'train')
    (_, _, _, crops), = contact_sheet.rows(dataset, seed=0, count=1)
    assert len({crop.mean((0, 1)).round(1).tobytes() for crop in crops}) == contact_sheet.EPOCHS


def test_records_that_cannot_be_used_are_passed_over(tmp_path):
    from tests.helpers import shards
    shards.write_split(tmp_path, [shards.example(image, 1) for image in (b'none', shards.picture(1), b'none')])
    dataset = datasets.open_dataset(str(tmp_path), 'train', max_bad_records=3, log=lambda line: None)
    assert [position for position, *_ in contact_sheet.rows(dataset, seed=0, count=3)] == [1]


def test_nothing_usable_is_an_error(tmp_path):
    pytest.importorskip('matplotlib')
    from tests.helpers import shards
    shards.write_split(tmp_path, [shards.example(b'none', 1)])
    dataset = datasets.open_dataset(str(tmp_path), 'train', max_bad_records=3, log=lambda line: None)
    with pytest.raises(ValueError, match='has no usable record for a contact sheet'):
        contact_sheet.draw(dataset)
