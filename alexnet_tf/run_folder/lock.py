"""One trainer per folder: a second one is refused while the first runs."""
import contextlib
import errno
import fcntl
import os
import socket


@contextlib.contextmanager
def hold(folder):
    """Holds the folder's lock inside a `with`. The system takes it back when the process ends, however it ends.

    Raises: ValueError when another process holds it.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, 'lock')
    with open(path, 'a+', encoding='utf-8') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                file.seek(0)
                raise ValueError(f'--train_dir={folder} is in use by {file.read().strip() or "another process"}; wait '
                                 'for it, stop it, or choose another --train_dir.') from None
            print(f'The file system of {folder} cannot lock ({error.strerror}): nothing keeps a second training run '
                  'out of this folder; do not start one.')
        else:
            file.truncate(0)
            file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
            file.flush()
        yield
