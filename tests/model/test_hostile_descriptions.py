"""model.json and mean images of wrong types, or made to do harm: a sentence that names the field; no code runs."""
import io
import json
import pickle
import sys

import numpy as np
import pytest

from alexnet_tf.model import building, specs
from alexnet_tf.weights import own_npz
from tests.helpers import special_files

SPEC = {'model_name': 'alexnet_v2', 'image_size': 224, 'class_names': ['a', 'b'], 'mean': [1, 2, 3]}


# model.json -----------------------------------------------------------------------------------------------


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
        with pytest.raises(ValueError, match='not the description of a network|unknown network|variant|its mean is'):
            spec, _, _ = own_npz.parse({'format': np.array('alexnet_tf 1'), 'model_json': np.array(content)})
            building.build(spec)


@pytest.mark.parametrize('content', [b'[' * 100_000, b'\xff\xfe{}', b'\0' * 9, b'"x"', b'9' * 5000])
def test_json_that_is_none(content, tmp_path):
    (tmp_path / 'model.json').write_bytes(content)
    with pytest.raises(ValueError, match='cannot read .*model.json'):
        specs.read_spec(str(tmp_path))


# Mean images ----------------------------------------------------------------------------------------------


class Call:
    """Its pickle makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def test_a_pickle_in_a_mean_image_does_not_run(tmp_path):
    array = np.empty(1, object)
    array[0] = Call(tmp_path / 'ran')
    np.save(tmp_path / 'mean.npy', array, allow_pickle=True)
    spec = specs.Spec('alexnet', 224, ('a',), 'mean.npy')
    refuse_mean(tmp_path, spec, 'cannot read the mean image')
    (tmp_path / 'mean.npy').write_bytes(pickle.dumps(array))
    refuse_mean(tmp_path, spec, 'cannot read the mean image')
    assert not (tmp_path / 'ran').exists()
    np.load(io.BytesIO(pickle.dumps(array)), allow_pickle=True)
    assert (tmp_path / 'ran').exists()  # so it would have


def refuse_mean(folder, spec, message):
    with pytest.raises(ValueError, match=message):
        building.load_mean(spec, str(folder))


@pytest.mark.parametrize('content, message', [
    (np.full([256, 256, 3], np.nan), 'not finite'), (np.full([256, 256, 3], 'a'), 'must hold gray levels'),
    (np.zeros([256, 256]), 'has shape'), (b'PK\x05\x06' + bytes(18), 'cannot read the mean image'),
    (b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (256, 256, 3000000000000000), }"
     + b' ' * 40 + b'\n', 'cannot read the mean image')])
def test_a_mean_image_that_is_none(content, message, tmp_path):
    if isinstance(content, bytes):
        (tmp_path / 'mean.npy').write_bytes(content)
    else:
        np.save(tmp_path / 'mean.npy', content)
    refuse_mean(tmp_path, specs.Spec('alexnet', 224, ('a',), 'mean.npy'), message)


@pytest.mark.skipif(sys.platform == 'win32', reason='has no such files')
@pytest.mark.parametrize('kind', special_files.KINDS)
def test_a_special_file_in_place_of_a_mean_image(kind, tmp_path):
    special_files.make(kind, tmp_path / 'mean.npy')
    refuse_mean(tmp_path, specs.Spec('alexnet', 224, ('a',), 'mean.npy'), special_files.MESSAGE)
