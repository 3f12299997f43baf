"""A SavedModel as a source of predictions, compared with the checkpoint that it was exported from."""
import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf.data import datasets
from alexnet_tf.model import building, loading, specs
from alexnet_tf.prediction import checkpoint, exported
from alexnet_tf.serving import saved_model
from tests.helpers.networks import with_larger_weights

SPEC = specs.Spec('alexnet_v2', 224, ('one', 'tw\xf6', 'thr\x1bee', 'four', 'five', 'six'), (120.0, 110.0, 100.0), 1)


@pytest.fixture(scope='module')
def loaded(narrow_module):
    tf.keras.utils.set_random_seed(6)
    return loading.Loaded(with_larger_weights(building.build(SPEC)), SPEC, np.float32(SPEC.mean), '', 0)


@pytest.fixture(scope='module')
def folder(loaded, tmp_path_factory):
    path = tmp_path_factory.mktemp('exported')
    saved_model.export(loaded, str(path / 'new'))
    return path


@pytest.mark.parametrize('num_views', [1, pytest.param(10, marks=pytest.mark.slow)])
def test_it_answers_as_the_checkpoint_does(num_views, loaded, folder):
    dataset = datasets.open_dataset(datasets.SAMPLE_DIR, 'validation')
    images = [dataset.example(position)[0] for position in range(20)]
    broken = [*images[:2], b'no image', *images[2:], images[0][:300]]
    by_checkpoint, source = checkpoint.Network(loaded, num_views=num_views), exported.SavedModel(
        str(folder / 'new'), num_views=num_views)
    for batch in (images, broken, broken[-1:]):
        answers, expected = source(batch), by_checkpoint(batch)
        assert len(answers) == len(expected) == len(batch)
        for answer, wanted in zip(answers, expected):
            if isinstance(wanted, str):
                assert answer == wanted
            else:
                assert len(answer) == 5 and dict(answer) == pytest.approx(dict(wanted), abs=1e-4)
    assert source([b'x'])[0] == 'it is neither JPEG nor PNG'


class Other(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, 'image_bytes')])
    def serve(self, image_bytes):
        return {'valid': tf.ones_like(image_bytes, tf.bool)}


@pytest.mark.parametrize('signature, lacks', [
    ('serve_bytes', 'serve_bytes_checked'), ('serve_bytes_checked', 'top_class_names, top_probabilities')])
def test_an_export_without_the_signature_is_to_be_made_again(signature, lacks, tmp_path):
    module = Other()
    tf.saved_model.save(module, str(tmp_path), signatures={signature: module.serve})
    with pytest.raises(ValueError, match=f'has no {lacks}, which newer exports have. Export the checkpoint again: '):
        exported.SavedModel(str(tmp_path))


def test_what_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match='has no saved_model.pb; give the --output_dir of an export'):
        exported.SavedModel(str(tmp_path))
    (tmp_path / 'saved_model.pb').write_bytes(b'no such thing')
    with pytest.raises(ValueError, match='cannot be loaded: '):
        exported.SavedModel(str(tmp_path))
