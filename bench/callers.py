"""Many callers who sign in with a token, and then only listen; or hang up and call again, over and over.

One process, one thread and as little work as a client can do, so that it is never what is slow.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from collections.abc import Coroutine, Iterable
from typing import Any, cast

import uvloop

from bench import websocket
from bench.helpers import obey
from bench.websocket import CLOSE, PING, PONG, TEXT, FrameReader

UPGRADED = b"HTTP/1.1 101"
END_OF_HEAD = b"\r\n\r\n"
WELCOME = b'"t":"welcome"'
# One address has too few ports for so many calls so soon after another.
ADDRESSES = 16
# Linux: choose the port only when it is known who is called, so that it can be shared.
BIND_ADDRESS_NO_PORT = 24


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, opening: bytes, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._opening = opening
        self._hello = hello
        self._frames: FrameReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        """Say who it is, wait for the welcome, and from then on only answer pings."""
        if self._frames is None:
            head, _, data = data.partition(END_OF_HEAD)
            if not head.startswith(UPGRADED):
                self.transport.abort()
                return
            self._frames = FrameReader()
            self.transport.write(self._hello)
        for opcode, payload in self._frames.feed(data):
            if opcode == PING:
                self.transport.write(websocket.frame(PONG, payload))
            elif opcode == TEXT and WELCOME in payload and not self.welcomed.done():
                self.welcomed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self.ended.set_result(None)
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError("refused"))

    def hang_up(self, *, politely: bool) -> None:
        """End it, with a goodbye that the server answers, or without a word."""
        if politely:
            self.transport.write(websocket.frame(CLOSE, (1000).to_bytes(2, "big")))
        else:
            self.transport.abort()


class Callers:
    """The commands."""

    def __init__(self) -> None:
        self._open: list[Caller] = []
        self._addresses = itertools.cycle(f"127.0.0.{1 + number}" for number in range(ADDRESSES))

    async def connect(self, port: int, tokens: list[str], at_once: int) -> dict[str, Any]:
        """Open one connection per token, and keep them; how long it took."""
        began = time.monotonic()
        calls = iter(tokens)

        async def keep_calling() -> None:
            for token in calls:
                self._open.append(await self._call(port, token))

        await _together(keep_calling() for _ in range(at_once))
        return {"seconds": time.monotonic() - began}

    async def cycle(self, port: int, tokens: list[str], at_once: int) -> dict[str, Any]:
        """Open a connection per token and end it at once, every second one politely; how long it all took."""
        began = time.monotonic()
        calls = iter(enumerate(tokens))

        async def keep_calling() -> None:
            for number, token in calls:
                caller = await self._call(port, token)
                caller.hang_up(politely=number % 2 == 0)
                await caller.ended

        await _together(keep_calling() for _ in range(at_once))
        return {"seconds": time.monotonic() - began}

    async def count(self) -> int:
        """How many of those kept are still connected."""
        return sum(not caller.ended.done() for caller in self._open)

    async def hang_up(self) -> None:
        """End all that are kept."""
        callers, self._open = self._open, []
        for caller in callers:
            caller.hang_up(politely=True)
        await asyncio.gather(*(caller.ended for caller in callers))

    async def _call(self, port: int, token: str) -> Caller:
        loop = asyncio.get_running_loop()
        opening = websocket.request(f"127.0.0.1:{port}", "/live", "hub.v1", {})
        hello = websocket.frame(TEXT, json.dumps({"t": "hello", "v": 1, "token": token}).encode())
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        sock.bind((next(self._addresses), 0))
        await loop.sock_connect(sock, ("127.0.0.1", port))
        _, caller = await loop.create_connection(lambda: Caller(opening, hello), sock=sock)
        await caller.welcomed
        return caller


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


async def main() -> None:
    """Take commands until there are no more."""
    callers = Callers()
    await obey(
        {
            "connect": callers.connect,
            "cycle": callers.cycle,
            "count": callers.count,
            "hang_up": callers.hang_up,
        }
    )


if __name__ == "__main__":
    uvloop.run(main())
