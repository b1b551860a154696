"""A small HTTP server that is told how to behave: answer anything, wait, hang, or cut the line after it has read.

It writes to the socket by itself, as no web framework lets go of a connection without an answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httptools


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; `at` is the system's time."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float

    def form(self) -> dict[str, str]:
        """Its fields, if it is a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self) -> Any:
        """What it holds, if it is JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `delay_s` comes before it, and of one that is cut only the beginning is sent."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hangs: bool = False
    cut_before: bool = False
    cut_midway: bool = False

    @classmethod
    def of(cls, status: int, content: object) -> Answer:
        """JSON."""
        return cls(status, json.dumps(content).encode())

    def written(self) -> bytes:
        """All of its bytes."""
        headers = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} As Told\r\n{lines}\r\n".encode() + self.body


Handler = Callable[[Request], Answer]


class _Connection(asyncio.Protocol):
    """One client: parses what it sends, and writes what the handler answers."""

    def __init__(self, handle: Handler, open_ones: set[asyncio.Transport]) -> None:
        self._handle = handle
        self._open = open_ones
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not all loops' transports say that they are one.
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body, self._headers = b"", b"", dict[str, str]()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        parts = urlsplit(self._url.decode())
        method = self._parser.get_method().decode()
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        answer = self._handle(Request(method, parts.path, query, self._headers, self._body, time.time()))
        if answer.delay_s:
            asyncio.get_running_loop().call_later(answer.delay_s, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        if answer.hangs or self._transport.is_closing():
            return
        if answer.cut_before:
            self._transport.abort()
            return
        written = answer.written()
        if answer.cut_midway:
            self._transport.write(written[: len(written) - len(answer.body) // 2 - 1])
            self._transport.close()
            return
        self._transport.write(written)


@asynccontextmanager
async def serving(handle: Handler, port: int = 0) -> AsyncIterator[str]:
    """Answer on this port of this machine, or a free one; yields the address."""
    loop = asyncio.get_running_loop()
    open_ones: set[asyncio.Transport] = set()
    server = await loop.create_server(lambda: _Connection(handle, open_ones), "127.0.0.1", port, backlog=1024)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for transport in set(open_ones):
            transport.abort()
        await server.wait_closed()
