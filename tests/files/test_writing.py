"""Small files are written whole or not at all."""
import os

import pytest

from alexnet_tf.files import reading, writing
from tests.helpers.processes import run_python


def test_a_file_that_cannot_be_written_stays_what_it_was(tmp_path):
    """/dev/full takes nothing, as a full disk."""
    path = tmp_path / 'new folder' / 'a.json'
    writing.write_json(str(path), {'a': 0})
    path.with_name(f'a.json.{os.getpid()}.partial').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left'):
        writing.write_json(str(path), {'a': 1})
    assert os.listdir(path.parent) == ['a.json'] and reading.read_json(str(path)) == {'a': 0}


def test_two_processes_write_the_same_file_and_the_last_wins(tmp_path):
    path = tmp_path / 'a.json'
    with writing.whole(str(path)) as file:
        file.write(b'{"a": ')
        file.flush()
        run_python('-c', 'import sys; from alexnet_tf.files import writing; writing.write_json(sys.argv[1], {"a": 1})',
                   path)
        assert reading.read_json(str(path)) == {'a': 1}
        file.write(b'2}')
    assert reading.read_json(str(path)) == {'a': 2} and os.listdir(tmp_path) == ['a.json']


def test_a_folder_that_cannot_be_one_is_refused_before_long_work(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ValueError, match=r'--eval_dir=.*file/deep cannot be a folder: .*file is a file or a broken'):
        writing.check_writable(str(tmp_path / 'file' / 'deep'), 'eval_dir')
    long = 300 * 'a'
    with pytest.raises(ValueError, match=rf'--eval_dir=.*{long} cannot be made or written to \(File name too long\); '):
        writing.check_writable(str(tmp_path / 'new' / long), 'eval_dir')
    writing.check_writable(str(tmp_path / 'new' / 'deep'), 'eval_dir')
    writing.check_writable(str(tmp_path), 'eval_dir')
    assert os.listdir(tmp_path) == ['file']  # nothing is left there


@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='there is no /proc')
def test_a_place_where_no_folder_can_be_made_is_refused():
    with pytest.raises(ValueError, match=r'--train_dir=/proc/x/y cannot be made or written to .*; choose another'):
        writing.check_writable('/proc/x/y', 'train_dir')
