"""model.json and the mean: read as they were written, and damage is named."""
import re

import numpy as np
import pytest

from alexnet_tf.model import building, specs


def test_specs_are_read_as_written(tmp_path):
    assert specs.read_spec(str(tmp_path)) is None
    for spec in (specs.Spec('alexnet', 224, ('cat', 'ä dog'), (1.5, 2.0, 3.0)),
                 specs.Spec('alexnet', 227, ('a', 'b'), (0, 0, 0), 1, 'caffe', 0.5)):
        specs.write_spec(spec, str(tmp_path))
        assert specs.read_spec(str(tmp_path)) == spec


def test_specs_with_a_mean_image(tmp_path):
    spec = specs.Spec('alexnet_v2', 112, ('n01440764', '鱼', 'a "quoted" name'), 'mean_image.npy')
    specs.write_spec(spec, str(tmp_path / 'deep' / 'folder'))
    assert specs.read_spec(str(tmp_path / 'deep' / 'folder')) == spec and spec.num_classes == 3
    image = np.random.default_rng(0).uniform(0, 255, [128, 128, 3])
    np.save(tmp_path / 'mean_image.npy', image)
    mean = building.load_mean(spec, str(tmp_path))
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, image.astype(np.float32))
    rgb = building.load_mean(specs.Spec('alexnet', 224, ('a',), (1, 2.5, 3)), str(tmp_path / 'absent'))
    assert rgb.dtype == np.float32 and rgb.tolist() == [1, 2.5, 3]


@pytest.mark.parametrize('damage', [
    '', 'no json', '[]', '"text"', 'null', '{}', '{"model_name": "alexnet"}',
    '{"model_name": "alexnet", "image_size": 224, "class_names": 7, "mean": [1, 2, 3]}',
    '{"model_name": "alexnet", "image_size": 224, "class_names": ["a"], "mean": 7}',
    '{"model_name": "alexnet", "image_size": 224, "class_names": ["a"], "mean": [1, 2, 3], "unknown": 1}'])
def test_a_damaged_model_json_is_named(tmp_path, damage):
    (tmp_path / 'model.json').write_text(damage)
    with pytest.raises(ValueError, match=re.escape(f'cannot read {tmp_path / "model.json"}')):
        specs.read_spec(str(tmp_path))


@pytest.mark.parametrize('content', [b'', b'text', b'\x93NUMPY\x01\x00'])
def test_a_damaged_mean_image_is_named(tmp_path, content):
    (tmp_path / 'mean.npy').write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f'cannot read the mean image {tmp_path / "mean.npy"}')):
        building.load_mean(specs.Spec('alexnet', 224, ('a',), 'mean.npy'), str(tmp_path))


def test_a_mean_image_of_another_size_says_what_to_do(tmp_path):
    np.save(tmp_path / 'mean.npy', np.zeros([224, 224, 3], np.float32))
    with pytest.raises(ValueError, match=r'shape \(224, 224, 3\).*must be \(256, 256, 3\).*--mean=rgb'):
        building.load_mean(specs.Spec('alexnet', 224, ('a',), 'mean.npy'), str(tmp_path))


def test_a_mean_image_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match='cannot read the mean image .*none.npy'):
        building.load_mean(specs.Spec('alexnet', 224, ('a',), 'none.npy'), str(tmp_path))
