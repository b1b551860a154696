"""A client of protocol `hub.v1` as the contract has it, with what it was told kept for a test to look at."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.inbox import Inbox, Row

__all__ = ["Inbox", "Row"]

OWN = "the hub's own"


class LiveClient:
    """One open socket and the inbox behind it."""

    def __init__(self, socket: ClientConnection, inbox: Inbox) -> None:
        self.socket = socket
        self.inbox = inbox
        self.frames: list[Row] = []

    async def say(self, **frame: Any) -> None:
        """Send a frame."""
        await self.socket.send(json.dumps(frame))

    async def fill(self, since: int) -> None:
        """Ask for what follows a number."""
        await self.say(t="fill", **{"from": since})

    async def hear(self, timeout: float = 15) -> Row:
        """The next frame that is no heartbeat; those come when they come."""
        async with asyncio.timeout(timeout):
            while (frame := await self._take())["t"] == "hb":
                pass
        self.frames.append(frame)
        return frame

    async def hear_beat(self, timeout: float = 20) -> Row:
        """The next heartbeat, with everything before it applied."""
        async with asyncio.timeout(timeout):
            while (frame := await self._take())["t"] != "hb":
                self.frames.append(frame)
        return frame

    async def _take(self) -> Row:
        frame: Row = json.loads(await self.socket.recv())
        missing_since = self.inbox.apply(frame)
        if missing_since is not None:
            # Asked as a client does.
            await self.fill(missing_since)
        return frame

    async def hear_until(self, kind: str, timeout: float = 15) -> Row:
        """The next frame of a kind, with everything before it applied."""
        async with asyncio.timeout(timeout):
            while (frame := await self.hear(timeout))["t"] != kind:
                pass
        return frame

    async def hear_everything(self, cursor: int, timeout: float = 20) -> None:
        """Listen until the inbox stands at `cursor` or beyond."""
        async with asyncio.timeout(timeout):
            while self.inbox.cursor is None or self.inbox.cursor < cursor:
                await self.hear(timeout)

    async def hear_the_end(self, timeout: float = 15) -> int:
        """Listen until the other side hangs up; returns the code it gave, 1006 when it gave none."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self.hear(timeout)
        except ConnectionClosed:
            code = self.socket.close_code
        return code or 1006


def cookies_of(client: httpx.AsyncClient) -> str:
    """The client's cookies as a header."""
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


@asynccontextmanager
async def open_socket(
    url: str, cookie: str = "", *, origin: str | None = OWN, receive_buffer: int | None = None
) -> AsyncIterator[LiveClient]:
    """An open connection on which nothing was said; `url` is that of the socket, `origin` None for none at all."""
    own = url.replace("ws", "http", 1).removesuffix("/live")
    headers = {"cookie": cookie} if cookie else {}
    sock = _small_socket(url, receive_buffer) if receive_buffer else None
    async with connect(
        url,
        sock=sock,
        origin=own if origin == OWN else origin,  # type: ignore[arg-type]  # it is a str there as well
        subprotocols=["hub.v1"],  # type: ignore[list-item]  # likewise
        additional_headers=headers,
        max_size=None,
        max_queue=1 if receive_buffer else 16,
    ) as connection:
        yield LiveClient(connection, Inbox())


@asynccontextmanager
async def open_live(
    url: str, cookie: str = "", *, origin: str | None = OWN, inbox: Inbox | None = None, token: str | None = None
) -> AsyncIterator[LiveClient]:
    """An open connection that said hello, from where the inbox stands."""
    async with open_socket(url, cookie, origin=origin) as client:
        client.inbox = inbox or client.inbox
        hello: Row = {"t": "hello", "v": 1, "cursor": client.inbox.place}
        await client.say(**(hello | ({"token": token} if token else {})))
        yield client


def _small_socket(url: str, receive_buffer: int) -> socket.socket:
    """A socket for which the kernel keeps little that nobody reads."""
    address = urlsplit(url)
    small = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    small.connect((address.hostname, address.port))
    small.setblocking(False)
    return small
