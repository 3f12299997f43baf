"""What flags name: found and missed by the names of files alone."""
import pytest

from alexnet_tf.files import places


def refused(check, path):
    with pytest.raises(ValueError) as caught:
        check(str(path))
    return str(caught.value)


def test_a_checkpoint_is_a_file_or_the_folder_of_one(tmp_path):
    assert 'train one with train_image_classifier.py, or' in refused(places.check_checkpoint, tmp_path)
    (tmp_path / 'model.ckpt-3.index').touch()
    for path in (tmp_path, tmp_path / 'model.ckpt-3', tmp_path / 'model.ckpt-3.index',
                 tmp_path / 'model.ckpt-3.data-00000-of-00001'):
        assert places.some_checkpoint(str(path)) == str(tmp_path / 'model.ckpt-3')
        places.check_checkpoint(str(path))
    gone = tmp_path / 'model.ckpt-4'
    assert refused(places.check_checkpoint, gone) == (
        f'no checkpoint at --checkpoint_path={gone}; the folder {tmp_path} has some.')
    none = tmp_path / 'none' / 'model.ckpt-4'
    assert f'no checkpoint at --checkpoint_path={none}; train' in refused(places.check_checkpoint, none)
    assert "has one of * ? [ ]" in refused(places.check_checkpoint, tmp_path / '*')


def test_the_best_of_a_run_is_named(tmp_path):
    (tmp_path / 'best').mkdir()
    (tmp_path / 'best' / 'model.ckpt-3.index').touch()
    assert refused(places.check_checkpoint, tmp_path).endswith(f'; {tmp_path / "best"} has one.')


def test_an_export_and_a_shard_are_called_so(tmp_path):
    (tmp_path / 'saved_model.pb').touch()
    assert refused(places.check_checkpoint, tmp_path).endswith('an export, which predict takes as --saved_model.')
    assert refused(places.check_records, tmp_path / 'saved_model.pb').endswith('; give the folder that it is in.')


def test_an_image_is_a_file_or_a_record(tmp_path):
    (tmp_path / 'a.jpg').touch()
    for good in (str(tmp_path / 'a.jpg'), 'validation:7'):
        places.check_image(good)
    assert 'is a folder; give the images in it' in refused(places.check_image, tmp_path)
    (tmp_path / 'broken').symlink_to(tmp_path / 'none')
    for wrong in (tmp_path / 'b.jpg', tmp_path / 'broken', 'validation:x'):
        assert f'there is no {wrong}; give a JPEG or PNG image' in refused(places.check_image, wrong)
