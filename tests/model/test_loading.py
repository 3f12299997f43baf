"""Loading a checkpoint beside a description that does not fit it."""
import pytest
import tensorflow as tf

from alexnet_tf.model import loading, specs
from alexnet_tf.run_folder import checkpoints


def test_a_description_of_more_classes_than_weights_takes_no_memory(tmp_path):
    checkpoints.save(str(tmp_path), 1, {'alexnet_v2/fc8/biases': tf.zeros([10])})
    names = tuple(map(str, range(10 ** 6)))
    specs.write_spec(specs.Spec('alexnet_v2', 224, names, (1.0, 2.0, 3.0)), str(tmp_path))
    with pytest.raises(ValueError, match=r'names 1000000 classes, but its alexnet_v2/fc8/biases has the shape \[10\]'):
        loading.load(str(tmp_path))


def test_a_description_of_an_impossible_size_names_the_checkpoint(tmp_path):
    checkpoints.save(str(tmp_path), 1, {'alexnet_v2/fc8/biases': tf.zeros([2])})
    specs.write_spec(specs.Spec('alexnet_v2', 100, ('a', 'b'), (1.0, 2.0, 3.0)), str(tmp_path))
    with pytest.raises(ValueError, match=f'no network can be made for {tmp_path}/model.ckpt-1: .* at least 195x195'):
        loading.load(str(tmp_path))


@pytest.mark.parametrize('shape', [[], [0], [2, 2]], ids=str)
def test_without_a_description_biases_must_say_the_number_of_classes(shape, tmp_path):
    checkpoints.save(str(tmp_path), 1, {'alexnet_v2/fc8/biases': tf.zeros(shape)})
    with pytest.raises(ValueError, match=r'alexnet_v2/fc8/biases of shape \[.*\]; it must be \[classes\]'):
        loading.load(str(tmp_path), model_name='alexnet_v2')
