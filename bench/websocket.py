"""As much of a WebSocket client as the load needs (pure): the handshake's request, frames to send and to read."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL = 0x80
MASKED = 0x80
# Clients must mask. This mask changes nothing, so it costs nothing.
MASK = bytes(4)
SHORT, IN_TWO_BYTES, IN_EIGHT_BYTES = 125, 126, 127


def request(host: str, path: str, protocol: str, headers: dict[str, str]) -> bytes:
    """The opening request, with no extension offered."""
    lines = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": protocol,
        **headers,
    }
    return "".join(
        [f"GET {path} HTTP/1.1\r\n", *(f"{key}: {value}\r\n" for key, value in lines.items()), "\r\n"]
    ).encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole message of a client."""
    size = len(payload)
    if size <= SHORT:
        head = bytes([FINAL | opcode, MASKED | size])
    else:
        head = bytes([FINAL | opcode, MASKED | IN_TWO_BYTES]) + size.to_bytes(2, "big")
    return head + MASK + payload


def first_frame(data: bytes | bytearray) -> tuple[int, int, int] | None:
    """The first whole frame of a server in this data: opcode, and where its payload begins and ends."""
    if len(data) < 2:
        return None
    size, start = data[1], 2
    if size in (IN_TWO_BYTES, IN_EIGHT_BYTES):
        start = 4 if size == IN_TWO_BYTES else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    return None if len(data) < start + size else (data[0] & 0x0F, start, start + size)


class FrameReader:
    """Takes a server's bytes as they come and gives whole frames; a server neither masks nor, here, fragments."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that are complete with this data: opcode and payload."""
        self._data += data
        while (found := first_frame(self._data)) is not None:
            opcode, start, end = found
            payload = bytes(self._data[start:end])
            del self._data[:end]
            yield opcode, payload
