"""TensorFlow, loaded without the notes that its C++ code writes while it starts: newcomers read them as errors."""
import contextlib
import os
import subprocess
import sys

LEVEL = 'TF_CPP_MIN_LOG_LEVEL'  # 0: all notes, 1: warnings, 2: errors
# 1: oneDNN's kernels. By itself TensorFlow uses them only on CPUs with AVX512_VNNI, AVX_VNNI, AMX and the like.
ONEDNN = 'TF_ENABLE_ONEDNN_OPTS'
# What keeps the text: it outlives a process that aborts, and shows then why.
_CODE = 'import sys; text = sys.stdin.buffer.read(); sys.stdout.buffer.write(text)'
_keeper = None  # the process that has standard error


def load_tensorflow():
    """Imports TensorFlow, which takes seconds, and lets it find its devices. It uses oneDNN on every CPU.

    What is written to standard error meanwhile is shown only if that fails, also by an abort. Later errors are shown
    when they come. With TF_CPP_MIN_LOG_LEVEL=0 or 1 everything is shown at once.
    """
    if 'tensorflow' in sys.modules:
        return
    os.environ.setdefault(ONEDNN, '1')  # docs/performance.md#older-cpus says what it brings
    wanted = os.environ.setdefault(LEVEL, '2') in ('0', '1')
    with contextlib.nullcontext() if wanted else held():
        import tensorflow as tf
        tf.config.list_physical_devices()


def uses_onednn():
    """Whether TensorFlow does, or will, when `load_tensorflow` loads it."""
    return os.environ.get(ONEDNN, '1').lower() not in ('0', 'false')


@contextlib.contextmanager
def held():
    """Inside a `with`, standard error goes to another process, which shows it unless the `with` ends well."""
    global _keeper
    try:
        sys.stderr.flush()
        # A session of its own, so that Ctrl-C reaches this process alone.
        _keeper = subprocess.Popen([sys.executable, '-I', '-S', '-c', _CODE], stdin=subprocess.PIPE, stdout=2,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
    except OSError:  # no more processes or files: the notes are the smaller evil
        yield
        return
    _keeper.before = os.dup(2)
    os.dup2(_keeper.stdin.fileno(), 2)
    try:
        yield
    except Exception:
        release(show=True)
        raise
    finally:  # a signal is no failure
        release()


def release(show=False):
    """Gives standard error back, if it is held. show: whether to show what was written meanwhile."""
    global _keeper
    keeper, _keeper = _keeper, None
    if keeper is None:
        return
    with contextlib.suppress(RuntimeError):  # a signal came while it was written
        sys.stderr.flush()
    if not show:
        keeper.kill()
    os.dup2(keeper.before, 2)
    os.close(keeper.before)
    keeper.stdin.close()  # a keeper that lives shows now what it has
    keeper.wait()
