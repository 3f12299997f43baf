"""Checkpoints made to do harm, and folders with odd names."""
import pytest
import tensorflow as tf

from alexnet_tf.model import specs
from alexnet_tf.run_folder import checkpoints
from nets import slim_checkpoints


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


def test_a_folder_of_spaces_and_other_letters(tmp_path):
    # Without brackets: TensorFlow takes those in a checkpoint's path for a pattern.
    folder = str(tmp_path / 'bilder äöü 猫 "q" $HOME;x')
    specs.write_spec(specs.Spec('alexnet', 224, ('chat noir', "d'Artagnan", '猫'), (1, 2, 3)), folder)
    checkpoints.save(folder, 3, {'a/b': tf.constant(1.0)})
    assert specs.read_spec(folder).class_names == ('chat noir', "d'Artagnan", '猫')
    assert checkpoints.step_of(checkpoints.find(folder)) == 3
