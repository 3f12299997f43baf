"""One run per folder: a second one is refused while the first lasts."""
import contextlib
import errno
import fcntl
import os
import socket


@contextlib.contextmanager
def hold(folder, flag='train_dir'):
    """Holds the folder's lock inside a `with`. The system takes it back when the process ends, however it ends.

    flag: that names the folder. Raises: ValueError when another process holds it.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, 'lock')
    with open(path, 'a+', encoding='utf-8') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                file.seek(0)
                raise ValueError(f'--{flag}={folder} is in use by {file.read().strip() or "another process"}; wait '
                                 f'for it, stop it, or choose another --{flag}.') from None
            print(f'The file system of {folder} cannot lock ({error.strerror}): nothing keeps a second run '
                  'out of this folder; do not start one.')
        else:
            file.truncate(0)
            file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
            file.flush()
        yield
