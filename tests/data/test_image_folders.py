"""Folders of images: classes and labels by their names, and what is refused."""
import os

import pytest

from alexnet_tf.data import image_folders


@pytest.fixture
def folder(tmp_path):
    """train and val with the classes dog and ä cat, an image each."""
    for split in ('train', 'val'):
        for name in ('ä cat', 'dog'):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / 'a.jpg').touch()
    return tmp_path


def test_labels_follow_the_names(folder):
    (folder / 'train' / 'dog' / '.DS_Store').touch()
    classes, images = image_folders.list_images(str(folder))
    assert classes == {'dog': 1, 'ä cat': 2}
    assert images == {split: [(str(folder / name / 'dog' / 'a.jpg'), 1), (str(folder / name / 'ä cat' / 'a.jpg'), 2)]
                      for split, name in (('train', 'train'), ('validation', 'val'))}


@pytest.mark.parametrize('make, message', [
    (lambda folder: (folder / 'val' / 'bird').mkdir(), "bird' is a class that train has not"),
    (lambda folder: (folder / 'val' / 'stray.jpg').touch(), 'is not in a class folder'),
    (lambda folder: (folder / 'train' / 'dog' / 'more').mkdir(), 'is a folder within a class'),
    (lambda folder: (folder / 'train').rename(folder / 'training'), 'has no folder train')])
def test_input_folders_that_do_not_fit(folder, make, message):
    make(folder)
    with pytest.raises(ValueError, match=message):
        image_folders.list_images(str(folder))


@pytest.mark.parametrize('name', ['Val', 'VAL', 'vall', 'valid', 'Validation', 'validate'])
def test_a_folder_that_is_meant_to_be_val_is_refused(folder, name):
    (folder / 'val').rename(folder / name)
    with pytest.raises(ValueError, match=f"{name}' is not read: .* must be called val or validation. Rename it"):
        image_folders.list_images(str(folder))


def test_what_may_be_a_mistake_is_noted(folder):
    notes = []
    image_folders.list_images(str(folder), notes.append)
    assert not notes
    (folder / 'val' / 'dog' / 'a.jpg').unlink()
    image_folders.list_images(str(folder), notes.append)
    assert notes.pop() == 'Note: val has no images of 1 of the 2 classes of train: dog.'
    (folder / 'val').rename(folder / 'test')
    assert set(image_folders.list_images(str(folder), notes.append)[1]) == {'train'}
    assert notes == [f'Note: {folder} has no folder val or validation, so there will be no validation split. Not read: '
                     'test.']


@pytest.mark.parametrize('name', ['a\x1b[31m', 'a\nb', 'a\u202eb', os.fsdecode(b'caf\xe9'), '\x07'])
def test_a_class_folder_of_control_characters_is_refused_and_shown_escaped(name, tmp_path):
    (tmp_path / 'train' / name).mkdir(parents=True)
    with pytest.raises(ValueError, match='has control characters in its name; rename it') as caught:
        image_folders.list_images(str(tmp_path))
    assert str(caught.value).isprintable()


def test_readable_names(tmp_path):
    path = tmp_path / 'names.txt'
    path.write_text('dog domestic dog, Canis familiaris\nother x\nn01 cat/dog, ../../x\n')  # slashes are allowed
    assert image_folders.read_names(str(path), ['n01', 'dog']) == {
        'n01': 'cat/dog, ../../x', 'dog': 'domestic dog, Canis familiaris'}
    with pytest.raises(ValueError, match='has no line for ä cat'):
        image_folders.read_names(str(path), ['dog', 'ä cat'])
    path.write_text('n01 cat\x1b[31m\n')
    with pytest.raises(ValueError, match='has control characters') as caught:
        image_folders.read_names(str(path), ['n01'])
    assert str(caught.value).isprintable()
    assert image_folders.read_names(None, ['n01']) == {'n01': 'n01'}
