"""TensorFlow, loaded without the notes that its C++ code writes while it starts: newcomers read them as errors."""
import contextlib
import os
import subprocess
import sys

LEVEL = 'TF_CPP_MIN_LOG_LEVEL'  # 0: all notes, 1: warnings, 2: errors
# What keeps the text: it outlives a process that aborts, and shows then why.
_KEEPER = 'import sys; text = sys.stdin.buffer.read(); sys.stdout.buffer.write(text)'


def load_tensorflow():
    """Imports TensorFlow, which takes seconds, and lets it find its devices.

    What is written to standard error meanwhile is shown only if that fails, also by an abort. Later errors are shown
    when they come. With TF_CPP_MIN_LOG_LEVEL=0 or 1 everything is shown at once.
    """
    if 'tensorflow' in sys.modules:
        return
    wanted = os.environ.setdefault(LEVEL, '2') in ('0', '1')
    with contextlib.nullcontext() if wanted else _held():
        import tensorflow as tf
        tf.config.list_physical_devices()


@contextlib.contextmanager
def _held():
    """Inside a `with`, standard error goes to another process, which shows it unless the `with` ends well."""
    try:
        sys.stderr.flush()
        # A session of its own, so that Ctrl-C reaches this process alone.
        keeper = subprocess.Popen([sys.executable, '-I', '-S', '-c', _KEEPER], stdin=subprocess.PIPE, stdout=2,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
    except OSError:  # no more processes or files: the notes are the smaller evil
        yield
        return
    before = os.dup(2)
    os.dup2(keeper.stdin.fileno(), 2)
    failed = False
    try:
        yield
    except Exception:  # a signal is no failure
        failed = True
        raise
    finally:
        sys.stderr.flush()
        if not failed:
            keeper.kill()
        os.dup2(before, 2)
        os.close(before)
        keeper.stdin.close()  # a keeper that lives shows now what it has
        keeper.wait()
