"""What is checked before the seconds of loading: that Gradio is there, and that the address is free."""
import errno
import importlib.util
import os
import socket

LOCAL = '127.0.0.1', 'localhost', '::1'  # hosts that only this machine reaches


def check_installed():
    """Raises ValueError without Gradio; does not import it, which takes seconds."""
    if importlib.util.find_spec('gradio') is None:
        raise ValueError("the page needs Gradio, which is not installed; pip install 'gradio>=6.31,<7'")


def listen(host, port):
    """A socket that listens there. Raises: ValueError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise ValueError(f'--host={host} is not known ({error.strerror}); give a name or an address of this '
                         'machine.') from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(f'--port={port} is taken on {host} by another program; end that, or choose another '
                             'port.') from error
        raise ValueError(f'it cannot listen at --host={host} --port={port}: {os.strerror(error.errno)}.') from error


def url(host, port):
    """What to give to a browser on this machine."""
    host = {'0.0.0.0': '127.0.0.1', '::': '[::1]'}.get(host, f'[{host}]' if ':' in host else host)
    return f'http://{host}:{port}'
