"""Where a tf.data service is: its address as flags give it, and waiting until something answers there."""
import dataclasses
import re
import socket
import time

_HOST = r'\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+'
_ADDRESS = re.compile(rf'grpc://({_HOST}):([1-9][0-9]{{0,4}})')
HOST_RULE = 'must be a name or an address, without a port; an IPv6 address stands in brackets'
RULE = 'must be grpc://host:port, as grpc://10.0.0.5:5050; an IPv6 address stands in brackets'


@dataclasses.dataclass(frozen=True)
class Service:
    """address: 'grpc://host:port' of the dispatcher. timeout_secs: how long to wait for it, and for each batch."""
    address: str
    timeout_secs: float


def is_address(text):
    """Whether a text is None or 'grpc://host:port'."""
    found = text is None or _ADDRESS.fullmatch(text)
    return bool(found) and (text is None or int(found[2]) < 65536)


def is_host(text):
    """Whether a text is None, or such a host as addresses have."""
    return text is None or bool(re.fullmatch(_HOST, text))


def host_and_port(address):
    """('host', port) of 'grpc://host:port'."""
    host, port = _ADDRESS.fullmatch(address).groups()
    return host.strip('[]'), int(port)


def wait_for(service):
    """Waits until something listens at the service's address.

    Returns: the address of this machine from which it was reached, so one that the other side can reach, too.

    Raises: ValueError when nothing listens there in time.
    """
    end, reason = time.monotonic() + service.timeout_secs, ''
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise ValueError(f'no dispatcher of a data service answered at {service.address} within '
                             f'{service.timeout_secs:g} s{reason}. Start one there, or correct the address: python -m '
                             'alexnet_tf.data_service')
        try:
            with socket.create_connection(host_and_port(service.address), timeout=left) as connection:
                return connection.getsockname()[0]
        except OSError as error:
            reason = f' ({error.strerror or error})'
            time.sleep(min(0.5, max(0, end - time.monotonic())))


def check_free(port):
    """Raises ValueError when a server on this machine has the port: gRPC would share it without a word."""
    with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else it would wait for connections long closed
        try:
            probe.bind(('', port))
        except OSError as error:
            raise ValueError(f'--port={port}: {error.strerror}; give another, or end what uses it.') from error
