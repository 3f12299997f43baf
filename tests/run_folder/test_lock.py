"""One trainer a folder. test_kills.py refuses a second process."""
import errno
import fcntl
import os

import pytest

from alexnet_tf.run_folder import lock


def test_a_folder_that_is_held_is_refused_and_free_again_after(tmp_path, capsys):
    folder = tmp_path / 'new' / 'run'
    for _ in range(2):
        with lock.hold(str(folder)):
            with pytest.raises(ValueError, match=rf'--train_dir=.*run is in use by process {os.getpid()} on '):
                lock.hold(str(folder)).__enter__()
            with lock.hold(str(tmp_path / 'another')):
                pass
    assert capsys.readouterr().out == ''


def test_a_file_system_without_locks_is_said_so(tmp_path, monkeypatch, capsys):
    def unable(*_):
        raise OSError(errno.ENOLCK, 'No locks available')
    monkeypatch.setattr(fcntl, 'flock', unable)
    with lock.hold(str(tmp_path)):
        assert 'cannot lock (No locks available): nothing keeps a second run' in capsys.readouterr().out
