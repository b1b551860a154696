"""The usual request for a WebSocket (pure): what is read of it, and how it is answered (RFC 6455, section 4.2).

The server has read the request once. To write it out again and have a library read it anew took a quarter of what a
connection costs; so only what is unusual, and mostly wrong, is left to the library and its answers.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from urllib.parse import unquote

from websockets.utils import accept_key

Headers = Iterable[tuple[bytes, bytes]]

KEY_BYTES = 16
# What a library takes, and browsers keep well below.
MOST_HEADERS = 100
LONGEST_LINE = 8192
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
)
# Those that come once or not at all, as far as they matter here; a request that opens a socket has no body.
_ONCE = frozenset({b"upgrade", b"sec-websocket-key", b"sec-websocket-version", b"origin"})
_NEVER = frozenset({b"content-length", b"transfer-encoding"})


def answer_to(method: bytes, version: str, url: bytes, headers: list[tuple[bytes, bytes]]) -> str | None:
    """`Sec-WebSocket-Accept` for a request to switch to `websocket`; None when it is not the usual one.

    Names of `headers` are in lower case.
    """
    if method != b"GET" or version != "1.1" or len(headers) > MOST_HEADERS:
        return None
    once: dict[bytes, bytes] = {}
    longest = len(url)
    for name, value in headers:
        longest = max(longest, len(name) + len(value))
        if name in _ONCE:
            if name in once:
                return None
            once[name] = value
        elif name in _NEVER:
            return None
    key = once.get(b"sec-websocket-key", b"")
    if longest > LONGEST_LINE or once.get(b"sec-websocket-version") != b"13" or not _is_key(key) or not url.isascii():
        return None
    return accept_key(key.decode())


def _is_key(key: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == KEY_BYTES
    except ValueError:
        return False


def switching(accept: str, headers: Headers, subprotocol: str | None) -> bytes:
    """The answer that opens the socket."""
    parts = [_SWITCHING % accept.encode()]
    parts += [b"%b: %b\r\n" % header for header in headers]
    if subprotocol is not None:
        parts.append(b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode())
    parts.append(b"\r\n")
    return b"".join(parts)


def address_of(url: bytes, root_path: str) -> dict[str, str | bytes]:
    """The members of an ASGI scope that say what is asked for, of an app that is mounted at `root_path`."""
    path, _, query = url.partition(b"?")
    return {
        "root_path": root_path,
        "path": root_path + unquote(path.decode()),
        "raw_path": root_path.encode() + path,
        "query_string": query,
    }


def subprotocols_of(headers: Headers) -> list[str]:
    """The subprotocols that the client offers, in its order."""
    offered = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"]
    return [each.strip() for line in offered for each in line.split(",")]
