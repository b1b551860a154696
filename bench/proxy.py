"""A bad line between two programs: it can be cut, fall silent without ending, and swallow frames on their way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from bench.tab import END_OF_HEAD, UPGRADED
from bench.websocket import TEXT, first_frame

HOST = "127.0.0.1"


class Sieve:
    """A hub's bytes to a client, cut where frames end; may lose text frames, never the first, which is the greeting."""

    def __init__(self, dice: random.Random) -> None:
        self.lost_share = 0.0
        self._dice = dice
        self._data = bytearray()
        self._is_upgraded: bool | None = None
        self._texts = 0

    def feed(self, data: bytes) -> bytes:
        """What of this goes on."""
        if self._is_upgraded is False:
            return data
        self._data += data
        kept = bytearray()
        if self._is_upgraded is None:
            head, end, rest = self._data.partition(END_OF_HEAD)
            if not end:
                return b""
            self._is_upgraded = head.startswith(UPGRADED)
            if not self._is_upgraded:
                return bytes(self._data)
            kept += head + end
            self._data = rest
        while (found := first_frame(self._data)) is not None:
            opcode, _, end_at = found
            if not self._loses(opcode):
                kept += self._data[:end_at]
            del self._data[:end_at]
        return bytes(kept)

    def _loses(self, opcode: int) -> bool:
        if opcode != TEXT:
            return False
        self._texts += 1
        return self._texts > 1 and self._dice.random() < self.lost_share


class Link:
    """One connection through the proxy: the end that called, and the end that was called."""

    def __init__(self, sieve: Sieve | None) -> None:
        self.sieve = sieve
        self.caller = End(self)
        self.called = End(self)
        self.frozen = False
        self.ended = False

    def freeze(self) -> None:
        """Let no byte pass, and keep both connections open."""
        self.frozen = True
        self.settle()

    def thaw(self) -> None:
        """Let everything pass that waited."""
        self.frozen = False
        self.settle()

    def cut(self) -> None:
        """End both connections at once."""
        self.ended = True
        for end in (self.caller, self.called):
            if end.transport is not None:
                end.transport.abort()

    def settle(self) -> None:
        """Read where what is read can go on."""
        for end in (self.caller, self.called):
            if not self.frozen:
                end.pass_on()
            end.read(not self.frozen and end.other.takes)


class End(asyncio.Protocol):
    """One of the two connections; what comes before it can go on is kept."""

    def __init__(self, link: Link) -> None:
        self.transport: asyncio.Transport | None = None
        self.takes = False
        self._link = link
        self._kept = b""
        self._reads = True

    @property
    def other(self) -> End:
        """The other one."""
        return self._link.called if self is self._link.caller else self._link.caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """What waited for this end can go on."""
        self.transport = cast(asyncio.Transport, transport)
        self.takes = True
        if self._link.ended:
            self.transport.abort()
        # Not now: a transport of uvloop's that is paused before it reads never reads again.
        asyncio.get_running_loop().call_soon(self._link.settle)

    def data_received(self, data: bytes) -> None:
        """Pass it on, if it can."""
        self._kept += data
        if not self._link.frozen:
            self.pass_on()

    def pass_on(self) -> None:
        """Give what is kept to the other end, if that is there."""
        link, to = self._link, self.other.transport
        if to is None or not self._kept:
            return
        data, self._kept = self._kept, b""
        if self is link.called and link.sieve is not None:
            data = link.sieve.feed(data)
        if data:
            to.write(data)

    def pause_writing(self) -> None:
        """This end takes no more for now."""
        self.takes = False
        self._link.settle()

    def resume_writing(self) -> None:
        """It does again."""
        self.takes = True
        self._link.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other one has nobody to talk to any more; what was on its way still arrives."""
        self._link.ended = True
        to = self.other.transport
        if to is not None and not to.is_closing():
            to.close()

    def read(self, reads: bool) -> None:
        """Begin or end reading."""
        if self.transport is None or self._reads == reads or self.transport.is_closing():
            return
        self._reads = reads
        (self.transport.resume_reading if reads else self.transport.pause_reading)()


class Proxy:
    """Listens on a port of its own, and connects whoever calls to the port behind it."""

    def __init__(self, target: int, dice: random.Random, *, websockets: bool = False) -> None:
        self.port = 0
        self.is_frozen = False
        self._target = target
        self._dice = dice
        self._websockets = websockets
        self._links: list[Link] = []
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def links(self) -> list[Link]:
        """Those that are open, in order of their making."""
        self._links = [link for link in self._links if not link.ended]
        return self._links

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Take calls while the block runs."""
        server = await asyncio.get_running_loop().create_server(self._answer, HOST, 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.cut()

    def freeze(self) -> None:
        """All links, and those to come."""
        self.is_frozen = True
        for link in self.links:
            link.freeze()

    def thaw(self) -> None:
        """All links."""
        self.is_frozen = False
        for link in self.links:
            link.thaw()

    def cut(self) -> None:
        """All links."""
        for link in self.links:
            link.cut()

    def _answer(self) -> End:
        link = Link(Sieve(self._dice) if self._websockets else None)
        link.frozen = self.is_frozen
        self._links.append(link)
        call = asyncio.get_running_loop().create_task(self._call(link))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return link.caller

    async def _call(self, link: Link) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: link.called, HOST, self._target)
        except OSError:
            link.cut()
