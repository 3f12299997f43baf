"""Checkpoints of a training folder: which are kept, found and linked."""
import os
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from alexnet_tf.run_folder import checkpoints
from nets import slim_checkpoints
from tests.helpers.commands import call
from tests.helpers.saved import three_checkpoints


def save(folder, step, **more):
    return checkpoints.save(str(folder), step, {'net/weights': tf.fill([4], float(step))} | more)


def steps_in(folder):
    return sorted(int(path.name.split('-')[1].split('.')[0]) for path in Path(folder).glob('model.ckpt-*.index'))


@pytest.mark.parametrize('name', ['plain', 'with space'])
def test_the_last_five_are_kept_after_every_save(tmp_path, name):
    folder = tmp_path / name
    saved = [1, 2, 3, 4, 5, 6, 7, 98, 99, 100, 1000]  # by number, not by letter
    for count, step in enumerate(saved, 1):
        save(folder, step)
        kept = saved[max(0, count - 5):count]
        assert steps_in(folder) == kept
        state = tf.train.get_checkpoint_state(str(folder))
        assert state.model_checkpoint_path == str(folder / f'model.ckpt-{step}')
        assert list(state.all_model_checkpoint_paths) == [str(folder / f'model.ckpt-{number}') for number in kept]
    assert {path.name.split('.')[0] for path in folder.iterdir()} == {'model', 'checkpoint'}  # nothing left over
    assert len(list(folder.iterdir())) == 3 * 5 + 1  # index, data, manifest; and checkpoint


def test_saving_a_step_again_replaces_it(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    path = save(tmp_path, 3, **{'net/biases': tf.ones([2])})
    assert steps_in(tmp_path) == [1, 2, 3]
    assert tf.train.load_variable(path, 'net/biases').tolist() == [1, 1]


def test_other_files_stay(tmp_path):
    (tmp_path / 'model.ckpt-final.index').write_text('mine')
    (tmp_path / 'notes.txt').write_text('mine')
    for step in range(1, 8):
        save(tmp_path, step)
    assert (tmp_path / 'notes.txt').exists() and (tmp_path / 'model.ckpt-final.index').exists()


def test_a_folder_can_be_moved(tmp_path):
    save(tmp_path / 'old', 1)
    save(tmp_path / 'old', 2)
    shutil.move(tmp_path / 'old', tmp_path / 'new')
    assert checkpoints.find(str(tmp_path / 'new')) == str(tmp_path / 'new' / 'model.ckpt-2')
    assert tf.train.latest_checkpoint(str(tmp_path / 'new')) == str(tmp_path / 'new' / 'model.ckpt-2')


def test_find(tmp_path):
    assert checkpoints.find(str(tmp_path)) is None
    assert checkpoints.find(str(tmp_path / 'absent')) is None
    for step in (9, 10):
        save(tmp_path, step)
    latest = str(tmp_path / 'model.ckpt-10')
    for given in (str(tmp_path), str(tmp_path) + '/', latest, latest + '.index', latest + '.data-00000-of-00001'):
        assert checkpoints.find(given) == latest, given
    assert checkpoints.find(str(tmp_path / 'model.ckpt-1')) is None  # not the first letters of another
    os.remove(tmp_path / 'checkpoint')  # someone copied only the checkpoints
    assert checkpoints.find(str(tmp_path)) == latest


@pytest.mark.parametrize('sign', list('*?[]\\'))
def test_folders_that_tensorflow_takes_for_patterns_are_refused(tmp_path, sign):
    with pytest.raises(ValueError, match='TensorFlow cannot read checkpoints from; choose another folder'):
        checkpoints.find(str(tmp_path / f'run{sign}1'))


def test_find_takes_the_one_that_tensorflows_file_names_where_slim_wrote(tmp_path):
    for step in (1, 2):
        os.remove(save(tmp_path, step) + checkpoints.MANIFEST)
    (tmp_path / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-1"\n')
    assert checkpoints.find(str(tmp_path)) == str(tmp_path / 'model.ckpt-1')


def test_step_of(tmp_path):
    assert checkpoints.step_of(save(tmp_path, 70)) == 70  # by its name
    assert checkpoints.step_of(save(tmp_path, 80, global_step=tf.constant(12, tf.int64))) == 12
    path = slim_checkpoints.save({'w': tf.ones([1])}, str(tmp_path / 'bare'))
    assert checkpoints.step_of(path) == 0
    with pytest.raises(ValueError, match='no readable checkpoint'):
        checkpoints.step_of(str(tmp_path / 'absent'))
    for step, wrong in ((90, tf.zeros([1000], tf.int64)), (91, tf.constant(3.7))):
        with pytest.raises(ValueError, match='global_step of the checkpoint .* is not one whole number; give another'):
            checkpoints.step_of(save(tmp_path, step, global_step=wrong))


def test_best_shares_its_data_and_outlives_the_rolling(tmp_path):
    first = save(tmp_path, 1)
    checkpoints.save_best(str(tmp_path), first)
    for file in ('.index', '.data-00000-of-00001'):
        assert os.path.samefile(first + file, tmp_path / 'best' / f'model.ckpt-1{file}')
    for step in range(2, 9):
        save(tmp_path, step)
    assert steps_in(tmp_path) == [4, 5, 6, 7, 8] and steps_in(tmp_path / 'best') == [1]
    best = tf.train.latest_checkpoint(str(tmp_path / 'best'))
    assert tf.train.load_variable(best, 'net/weights').tolist() == [1] * 4
    for step in (8, 8, 6):  # also the same again, and an older one
        checkpoints.save_best(str(tmp_path), str(tmp_path / f'model.ckpt-{step}'))
        assert steps_in(tmp_path / 'best') == [step]
        assert tf.train.latest_checkpoint(str(tmp_path / 'best')) == str(tmp_path / 'best' / f'model.ckpt-{step}')
    assert steps_in(tmp_path) == [4, 5, 6, 7, 8]  # taking from best takes nothing from the folder


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match='cannot write the checkpoint .*file/model.ckpt-1'):
        save(tmp_path / 'file', 1)


def test_the_best_is_linked_where_a_kill_came_before(tmp_path):
    folder, best = str(tmp_path), str(tmp_path / 'best')
    for step in (8, 9, 10):
        save(tmp_path, step)
    checkpoints.keep_best(folder, -1)  # none was validated yet
    assert checkpoints.find(best) is None
    checkpoints.keep_best(folder, 7)  # has gone
    assert checkpoints.find(best) is None
    for best_step, there in ((8, 8), (9, 9), (10, 10), (9, 10)):  # a later one stays: of an interrupted validation
        checkpoints.keep_best(folder, best_step)
        assert steps_in(best) == [there] and checkpoints.damage(checkpoints.find(best)) is None


def test_whether_all_files_of_a_checkpoint_are_there(tmp_path):
    path = save(tmp_path, 1)
    assert checkpoints.is_whole(path)
    os.remove(path + '.data-00000-of-00001')
    assert not checkpoints.is_whole(path) and not checkpoints.is_whole(str(tmp_path / 'model.ckpt-2'))


def test_following_yields_each_newest_checkpoint_once(tmp_path):
    followed, seen = checkpoints.follow(str(tmp_path), 0.3), []
    for step in (1, 2):
        save(tmp_path, step)
        seen.append(next(followed))
    save(tmp_path, 3)
    save(tmp_path, 4)
    assert [*seen, *followed] == [str(tmp_path / f'model.ckpt-{step}') for step in (1, 2, 4)]
    assert list(checkpoints.follow(str(tmp_path / 'absent'), 0.1)) == []


def test_an_evaluation_that_follows_goes_on_after_a_damaged_checkpoint(tmp_path):
    three_checkpoints(tmp_path)
    path = tmp_path / 'model.ckpt-3.data-00000-of-00001'
    path.write_bytes(path.read_bytes()[:-9])
    result = call('eval_image_classifier', f'--checkpoint_path={tmp_path}', '--wait_for_checkpoints',
                  '--wait_timeout_secs=1')
    assert result.returncode == 1 and 'no whole checkpoint came to' in result.stderr
    assert 'model.ckpt-3 cannot be scored (model.ckpt-3.data-00000-of-00001 is not as it was written)' in result.stdout
