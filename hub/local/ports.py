"""Ports of this machine."""

import errno
import random
import socket

from hub.local.errors import StartError

# Below those taken for outgoing connections: a server that was stopped for a moment finds its port free.
SERVER_PORTS = range(20_000, 32_000)


def refuse_taken(host: str, port: int) -> None:
    """Raise unless a server of ours could listen there."""
    try:
        _listen(host, port)
    except socket.gaierror:
        raise StartError(f"HOST {host!r} is no address") from None
    except OSError as error:
        raise StartError(_what_is_wrong(error, host, port)) from None


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    for port in random.sample(SERVER_PORTS, 200):
        try:
            _listen("127.0.0.1", port)
        except OSError:
            continue
        return port
    raise StartError("no free port found on 127.0.0.1")


def _listen(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _what_is_wrong(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use by another program: stop that, or choose another port by PORT"
    if error.errno == errno.EACCES:
        return f"this user may not open port {port}: choose one above 1023 by PORT"
    return f"cannot listen on {host}, port {port}: {error.strerror}"
