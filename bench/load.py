"""The load process: many open tabs that follow `hub.v1` as a page does, and note when each notification came.

Of what is put beside the hub they understand two frames: `ready`, and `notification` with its row.

One thread, bare protocols and no masking work, so that it is never what is slow.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from bench import websocket
from bench.helpers import obey
from bench.websocket import CLOSE, PING, PONG, TEXT, FrameReader

UPGRADED = b"HTTP/1.1 101"
END_OF_HEAD = b"\r\n\r\n"


@dataclass
class Arrivals:
    """What all tabs together have seen."""

    at: dict[str, int] = field(default_factory=dict)
    caught_up: int = 0
    repeated: int = 0
    closed: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, items: list[dict[str, Any]], now: int, *, caught_up: bool) -> None:
        """These rows came at `now`, as events or in a catching-up."""
        for item in items:
            if item["id"] in self.at:
                self.repeated += 1
                continue
            self.at[item["id"]] = now
            self.caught_up += caught_up
        self.came.set()


class Tab(asyncio.Protocol):
    """One connection."""

    def __init__(self, opening: bytes, arrivals: Arrivals, ready: asyncio.Future[None]) -> None:
        self._opening = opening
        self._arrivals = arrivals
        self._ready = ready
        self._head = b""
        self._upgraded = False
        self._frames = FrameReader()
        self._cursor = 0
        self._asked = False
        self._why = "lost"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        """Read what came, stamped with when it came."""
        now = time.monotonic_ns()
        if not self._upgraded:
            data = self._upgrade(data)
        for opcode, payload in self._frames.feed(data):
            if opcode == TEXT:
                self._take(json.loads(payload), now)
            elif opcode == PING:
                self._transport.write(websocket.frame(PONG, payload))
            elif opcode == CLOSE:
                self._why = f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and that it happened."""
        self._arrivals.closed.append(self._why)
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(self._why))

    def _upgrade(self, data: bytes) -> bytes:
        self._head += data
        head, end, rest = self._head.partition(END_OF_HEAD)
        if not end:
            return b""
        if not head.startswith(UPGRADED):
            self._why = head.decode(errors="replace").splitlines()[0]
            self._transport.abort()
            return b""
        self._upgraded = True
        self._say({"t": "hello", "v": 1, "cursor": None})
        return rest

    def _take(self, frame: dict[str, Any], now: int) -> None:
        match frame["t"]:
            case "ev" if frame["prev"] == self._cursor:
                self._cursor = frame["seq"]
                self._arrivals.note(frame["items"], now, caught_up=False)
            case "ev" if frame["seq"] > self._cursor:
                self._ask()
            case "fill" | "snap":
                self._asked = False
                self._cursor = frame["to"] if frame["t"] == "fill" else frame["seq"]
                self._arrivals.note(frame["items"], now, caught_up=True)
                if not self._ready.done():
                    self._ready.set_result(None)
            case "hb" if frame["head"] > self._cursor:
                self._ask()
            case "resync":
                self._ask()
            case "ready":
                self._ready.set_result(None)
            case "notification":
                self._arrivals.note([frame["item"]], now, caught_up=False)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._say({"t": "fill", "from": self._cursor})

    def _say(self, frame: dict[str, Any]) -> None:
        self._transport.write(websocket.frame(TEXT, json.dumps(frame).encode()))


class Load:
    """The commands."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()

    async def connect(self, port: int, cookies: list[str], at_once: int) -> dict[str, Any]:
        """Open a tab per cookie, so many at a time; how long it all took, and each one."""
        slots = asyncio.Semaphore(at_once)

        async def one(cookie: str) -> float:
            async with slots:
                began = time.monotonic()
                await self._open(port, cookie)
                return time.monotonic() - began

        began = time.monotonic()
        each = await asyncio.gather(*(one(cookie) for cookie in cookies))
        return {"seconds": time.monotonic() - began, "each": each}

    async def _open(self, port: int, cookie: str) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        host = f"127.0.0.1:{port}"
        headers = {"Origin": f"http://{host}", "Cookie": cookie}
        opening = websocket.request(host, "/live", "hub.v1", headers)
        await loop.create_connection(lambda: Tab(opening, self._arrivals, ready), "127.0.0.1", port)
        await ready

    async def collect(self, expect: int, patience: float) -> dict[str, Any]:
        """What came since the last time, as soon as so many came or patience ends."""
        arrivals = self._arrivals
        deadline = asyncio.get_running_loop().time() + patience
        while len(arrivals.at) < expect and (left := deadline - asyncio.get_running_loop().time()) > 0:
            arrivals.came.clear()
            try:
                await asyncio.wait_for(arrivals.came.wait(), left)
            except TimeoutError:
                break
        found = {name: getattr(arrivals, name) for name in ("at", "caught_up", "repeated", "closed")}
        arrivals.at, arrivals.caught_up, arrivals.repeated, arrivals.closed = {}, 0, 0, []
        return found


async def main() -> None:
    """Take commands until there are no more."""
    load = Load()
    await obey({"connect": load.connect, "collect": load.collect})


if __name__ == "__main__":
    uvloop.run(main())
