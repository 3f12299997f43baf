"""Which files a command line names, and in which order."""
import os

import pytest

from alexnet_tf.prediction import image_files


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, with some files."""
    for name in ('b.JPG', 'a.png', 'sub/deep/c.jpeg', 'sub/z.jpg', 'text.txt', 'sub/.hidden.jpg', '.git/x.jpg'):
        path = tmp_path / 'in' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


INSIDE = ['in/a.png', 'in/b.JPG', 'in/sub/deep/c.jpeg', 'in/sub/z.jpg']


def find(*arguments):
    """(what is found, what is said)."""
    said = []
    return image_files.find(arguments, said.append), said


def test_a_folder_gives_its_images_sorted_with_those_of_its_folders(place):
    found, said = find('in')
    assert found == [(path, None) for path in INSIDE]
    assert said == ['Note: files in in whose names do not end in .jpg, .jpeg, .png are not read: 1; the first is '
                    'in/text.txt.']


def test_the_order_is_that_of_the_arguments_and_a_named_file_may_have_any_name(place):
    found, said = find('in/text.txt', 'in/sub', 'in/a.png', 'in/.git/x.jpg', 'in/a.png')
    assert [path for path, _ in found] == ['in/text.txt', *INSIDE[2:], 'in/a.png', 'in/.git/x.jpg', 'in/a.png']
    assert said == [] and not any(problem for _, problem in found)


def test_what_is_not_there_and_what_is_empty_is_named(place):
    assert find('none.jpg', 'in/b.JPG', 'empty')[0] == [
        ('none.jpg', 'there is no such file'), ('in/b.JPG', None),
        ('empty', 'the folder has no files that end in .jpg, .jpeg, .png')]


def test_links_are_followed_once(place):
    (place / 'in' / 'sub' / 'up').symlink_to('..')
    (place / 'other').mkdir()
    (place / 'other' / 'linked').symlink_to(place / 'in' / 'sub' / 'deep')
    (place / 'other' / 'nowhere.jpg').symlink_to('gone')
    assert find('other')[0] == [('other/linked/c.jpeg', None), ('other/nowhere.jpg', None)]  # reading it fails later
    assert ('in/sub/up', 'it is a link to a folder that it is in') in find('in')[0]
    assert len(find('in')[0]) == len(INSIDE) + 1


def test_names_that_are_no_text_are_kept(place):
    name = os.fsdecode(b'\xff\n.jpg')
    (place / 'empty' / name).touch()
    assert find('empty') == ([(os.path.join('empty', name), None)], [])
