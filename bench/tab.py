"""An open tab: one person's client of `hub.v1`, connected whenever it can be, that asks for whatever it finds missing.

It does what `web/js/live.js` does, without a page, and without tasks: thousands of them fit into one process.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from bench import websocket
from bench.inbox import Inbox, Row
from bench.websocket import CLOSE, PING, PONG, TEXT, FrameReader

UPGRADED = b"HTTP/1.1 101"
END_OF_HEAD = b"\r\n\r\n"
COME_BACK_LATER = range(4100, 4150)
STAY_AWAY = range(4000, 4100)
SIGN_IN_FIRST = range(4150, 4200)
NO_CODE = 1006
LOOK_EVERY_S = 0.25
LAST_FRAMES = 40


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection, or an attempt at one, ended."""

    code: int = NO_CODE
    retry_after: float = 0.0


# How long to wait before the next attempt: its number, how the last one ended, what the hub said of it.
Wait = Callable[[int, Ending, Row], float]


def as_told(dice: random.Random) -> Wait:
    """As the hub says in welcome, and as pages do."""

    def wait(attempt: int, ending: Ending, backoff: Row) -> float:
        first, cap = float(backoff["first"]), float(backoff["cap"])
        if ending.retry_after:
            return ending.retry_after + dice.random() * first
        if ending.code in COME_BACK_LATER:
            return cap / 2 + dice.random() * cap / 2
        return dice.random() * min(cap, first * 2.0 ** min(attempt, 16))

    return wait


def within(longest: float, dice: random.Random) -> Wait:
    """After a random moment of no more than so many seconds, whatever the hub says."""
    return lambda _attempt, _ending, _backoff: dice.random() * longest


def at_once(dice: random.Random) -> Wait:
    """At once; after a refusal again 15 to 45 ms later. What a hub says in Retry-After is obeyed."""

    def wait(attempt: int, ending: Ending, _backoff: Row) -> float:
        return ending.retry_after or (0.015 + dice.random() * 0.03 if attempt else 0.0)

    return wait


@dataclass(frozen=True, slots=True)
class Patience:
    """After how many seconds something has not come."""

    welcome: float = 10.0
    answer: float = 5.0
    silence: float = 35.0


@dataclass
class Told:
    """What happened to a tab."""

    visits: int = 0
    resumed: int = 0
    gaps: int = 0
    resyncs: int = 0
    snaps: int = 0
    repeats: int = 0
    ahead: int = 0
    endings: list[Ending] = field(default_factory=list)
    frames: deque[Row] = field(default_factory=lambda: deque(maxlen=LAST_FRAMES))


class Tab:
    """One tab; `heard` is called with each frame and when it came (ns), after the inbox has it."""

    def __init__(
        self,
        cookie: str,
        origin: str,
        ports: Sequence[int],
        wait: Wait,
        *,
        dice: random.Random,
        patience: Patience = Patience(),
        heard: Callable[[Tab, Row, int], None] = lambda _tab, _frame, _at: None,
    ) -> None:
        self.inbox = Inbox()
        self.told = Told()
        self.wire: Wire | None = None
        self.is_welcome = False
        self.stopped = False
        self.receive_buffer: int | None = None
        # While this is a list, what comes is only stamped, and put there.
        self.later: list[tuple[Wire, bytes, int]] | None = None
        self._headers = {"Origin": origin, "Cookie": f"hub={cookie}"}
        self._ports = ports
        self.wait = wait
        self._dice = dice
        self._patience = patience
        self._heard = heard
        self._attempt = 0
        self._backoff: Row = {"first": 5, "cap": 30}
        self._due: float | None = None
        self._silent_at = 0.0
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is connected and knows of nothing that it lacks."""
        return self.is_welcome and self._due is None and not self.inbox.held

    def open(self) -> None:
        """Connect, and stay connected."""
        if not self.stopped:
            self._opening = asyncio.get_running_loop().create_task(self._open())

    def stop(self) -> None:
        """Hang up for good."""
        self.stopped = True
        if self._opening is not None:
            self._opening.cancel()
        self.drop()

    def drop(self) -> None:
        """Lose the connection, if there is one."""
        if self.wire is not None:
            self.wire.abort()

    def say(self, frame: Row) -> None:
        """Send a frame, if there is anybody to hear it."""
        if self.wire is not None:
            self.wire.say(frame)

    def look(self, now: float) -> None:
        """Notice what did not come in time (`now` by the loop's clock)."""
        if self.wire is None:
            return
        if now > self._silent_at or (self._due is not None and now > self._due and not self.is_welcome):
            self.wire.abort()
        elif self._due is not None and now > self._due:
            self._ask(self.inbox.cursor or 0)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        port = self._dice.choice(self._ports)
        host = f"127.0.0.1:{port}"
        wire = Wire(self, websocket.request(host, "/live", "hub.v1", self._headers))
        # A socket for which the kernel keeps little that nobody reads, where that is wanted.
        sock = socket.socket()
        try:
            sock.setblocking(False)
            if self.receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.create_connection(lambda: wire, sock=sock)
        except OSError:
            sock.close()
            self.lost(wire, Ending())

    def opened(self, wire: Wire) -> None:
        """The connection is there: its welcome is awaited."""
        loop = asyncio.get_running_loop()
        self.wire = wire
        self.is_welcome = False
        self._due = loop.time() + self._patience.welcome
        self._silent_at = loop.time() + self._patience.silence

    def lost(self, wire: Wire, ending: Ending) -> None:
        """A connection has ended, or never was: come back later, unless told not to."""
        if wire.is_left:
            return
        self.told.endings.append(ending)
        self.wire, self.is_welcome, self._due = None, False, None
        if self.stopped or ending.code in STAY_AWAY or ending.code in SIGN_IN_FIRST:
            return
        asyncio.get_running_loop().call_later(self.wait(self._attempt, ending, self._backoff), self.open)
        self._attempt += 1

    def take(self, frame: Row, at: int) -> None:
        """Do what a frame asks for."""
        self._silent_at = asyncio.get_running_loop().time() + self._patience.silence
        kind = frame["t"]
        if not self.is_welcome and kind != "welcome":
            return
        self.told.frames.append(frame)
        self._count(frame)
        if kind in ("fill", "snap"):
            self._due = None
        missing_since = self.inbox.apply(frame)
        if kind == "welcome":
            self._take_welcome(frame)
        elif kind == "hb":
            self._attempt = 0
            self.say({"t": "pong", "n": frame["n"]})
        elif kind == "drain":
            # The present one is used until its time has come; then a new one at once.
            asyncio.get_running_loop().call_later(frame["after_ms"] / 1000, self._leave, self.wire)
        if missing_since is not None and (self._due is None or kind == "resync"):
            self.told.gaps += kind != "resync"
            self._ask(missing_since)
        self._heard(self, frame, at)

    def _count(self, frame: Row) -> None:
        told, kind = self.told, frame["t"]
        told.resyncs += kind == "resync"
        told.snaps += kind == "snap"
        told.ahead += kind == "ahead"
        told.resumed += kind == "welcome" and frame["resume"] == "ok"
        told.repeats += kind == "ev" and self.inbox.cursor is not None and frame["seq"] <= self.inbox.cursor

    def _take_welcome(self, frame: Row) -> None:
        self.told.visits += 1
        self.is_welcome = True
        self._backoff = frame["backoff"]
        self._due = asyncio.get_running_loop().time() + self._patience.answer

    def _ask(self, since: int) -> None:
        self._due = asyncio.get_running_loop().time() + self._patience.answer
        self.say({"t": "fill", "from": since})

    def _leave(self, wire: Wire | None) -> None:
        if wire is None or wire is not self.wire:
            return
        self.wire, self.is_welcome, self._due = None, False, None
        wire.leave()
        self.open()


class Wire(asyncio.Protocol):
    """One WebSocket connection: asked for, cut into frames, and its end explained."""

    def __init__(self, tab: Tab, request: bytes) -> None:
        self._tab = tab
        self._request = request
        self._head = b""
        self._upgraded = False
        self._frames = FrameReader()
        self._ending = Ending()
        self.is_left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)
        self._tab.opened(self)

    def data_received(self, data: bytes) -> None:
        """Read what came, stamped with when it came; later, if there is no time for it now."""
        at = time.monotonic_ns()
        if self._tab.later is None:
            self.read(data, at)
        else:
            self._tab.later.append((self, data, at))

    def read(self, data: bytes, at: int) -> None:
        """Take the frames in this data."""
        if not self._upgraded:
            data = self._upgrade(data)
        for opcode, payload in self._frames.feed(data):
            if opcode == TEXT:
                if self._tab.wire is self:
                    self._tab.take(json.loads(payload), at)
            elif opcode == PING:
                self.transport.write(websocket.frame(PONG, payload))
            elif opcode == CLOSE:
                self._ending = Ending(int.from_bytes(payload[:2], "big") or 1005)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the tab why."""
        self._tab.lost(self, self._ending)

    def say(self, frame: Row) -> None:
        """Send a frame."""
        self.transport.write(websocket.frame(TEXT, json.dumps(frame).encode()))

    def leave(self) -> None:
        """Say goodbye; what still comes is nobody's."""
        self.is_left = True
        self.transport.write(websocket.frame(CLOSE, (1000).to_bytes(2, "big")))
        self.transport.close()

    def abort(self) -> None:
        """Be gone without a word."""
        self.transport.abort()

    def _upgrade(self, data: bytes) -> bytes:
        self._head += data
        head, end, rest = self._head.partition(END_OF_HEAD)
        if not end:
            return b""
        if not head.startswith(UPGRADED):
            self._ending = Ending(NO_CODE, _retry_after(head))
            self.transport.abort()
            return b""
        self._upgraded = True
        self.say({"t": "hello", "v": 1, "cursor": self._tab.inbox.place})
        return rest


def _retry_after(head: bytes) -> float:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "retry-after":
            return float(value)
    return 0.0


async def look_after(tabs: Iterable[Tab]) -> None:
    """Let each notice what did not come, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = loop.time()
        for tab in tabs:
            tab.look(now)


async def open_all(tabs: Sequence[Tab], at_most: int, within_s: float) -> None:
    """Open these, so many at a time, and wait until each has been brought up to date."""
    async with asyncio.timeout(within_s):
        for at in range(0, len(tabs), at_most):
            some = tabs[at : at + at_most]
            for tab in some:
                tab.open()
            while not all(tab.is_settled for tab in some):  # noqa: ASYNC110  they tell nobody
                await asyncio.sleep(0.005)


def summary(tabs: Iterable[Tab]) -> dict[str, Any]:
    """What happened to all of them together."""
    told = [tab.told for tab in tabs]
    names = ("visits", "resumed", "gaps", "resyncs", "snaps", "repeats", "ahead")
    return {name: sum(getattr(each, name) for each in told) for name in names}
