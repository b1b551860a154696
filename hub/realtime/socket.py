"""The WebSocket at `/live`: greets, reads and writes frames, and ends every connection with a code that says why."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.errors import HubError
from hub.logs import get_logger
from hub.realtime import frames
from hub.realtime.connection import Connection, Listener
from hub.realtime.frames import Close, EndConnection, FillRequest, Hello, MarkFrame, Pong, ReadAll, Watch
from hub.realtime.switchboard import Gap, Switchboard

log = get_logger(__name__)

# A close frame has room for no more.
LONGEST_REASON = 123


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the hub waits for a client, and how much it takes from one."""

    hello_within_s: float = 5.0
    send_within_s: float = 10.0
    frames_per_second: int = 20
    frames_at_once: int = 40
    most_connections: int = 50
    # Each takes a connection to Postgres for some milliseconds; in a storm of clients, pages want one too.
    greeted_at_once: int = 8


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """What the socket asks of the rest of the house; each may raise when the database is away."""

    by_cookie: Callable[[WebSocket], Awaitable[Listener | None]]
    by_token: Callable[[str], Awaitable[Listener | None]]
    mark: Callable[[Listener, MarkFrame | ReadAll], Awaitable[None]]
    may_watch: Callable[[Listener, str], bool]


class Allowance:
    """A token bucket: `per_second` frames in the long run, `at_once` in a burst."""

    def __init__(self, per_second: float, at_once: float, now: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._left = at_once
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more frame is allowed at `now` (seconds)."""
        self._left = min(self._at_once, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class LiveSocket:
    """The endpoint; one instance serves every connection of the process."""

    def __init__(
        self,
        switchboard: Switchboard,
        door: Doorkeeper,
        clock: Callable[[], datetime],
        limits: Limits = Limits(),
    ) -> None:
        self._switchboard = switchboard
        self._door = door
        self._clock = clock
        self._limits = limits
        self._greeting = asyncio.Semaphore(limits.greeted_at_once)

    async def __call__(self, websocket: WebSocket) -> None:
        """Serve one connection until it ends."""
        offered = websocket.scope.get("subprotocols", [])
        try:
            await websocket.accept(subprotocol=frames.SUBPROTOCOL if frames.SUBPROTOCOL in offered else None)
            await self._serve(websocket)
        except EndConnection as end:
            await _end(websocket, end.close, end.detail)
        except WebSocketDisconnect:
            pass
        except HubError as refused:
            await _end(websocket, Close.DATABASE_AWAY, refused.detail)

    async def _serve(self, websocket: WebSocket) -> None:
        hello, listener = await self._greet(websocket)
        connection = Connection(listener)
        self._switchboard.add(connection)
        try:
            epoch, seq = (hello.cursor.epoch, hello.cursor.seq) if hello.cursor else (None, None)
            async with self._greeting:
                gap = await self._switchboard.resume(connection, epoch, seq)
            self._switchboard.catch_up(connection)
            # It may hold a token of some length, for as long as the connection lasts.
            del hello
            await self._talk(websocket, connection, self._welcome(connection, gap))
        finally:
            self._switchboard.remove(connection)

    async def _greet(self, websocket: WebSocket) -> tuple[Hello, Listener]:
        try:
            async with asyncio.timeout(self._limits.hello_within_s):
                frame = frames.parse(await _receive(websocket))
        except TimeoutError as error:
            raise EndConnection(Close.HELLO_TIMEOUT, "no hello in time") from error
        if not isinstance(frame, Hello):
            raise EndConnection(Close.OUT_OF_ORDER, "the first frame is hello")
        if frame.v != frames.VERSION:
            raise EndConnection(Close.UNSUPPORTED_VERSION, f"this hub speaks version {frames.VERSION}")
        async with self._greeting:
            listener = await self._recognise(websocket, frame.token)
        most = self._limits.most_connections
        if self._switchboard.connections_of(listener.person) >= most:
            raise EndConnection(Close.TOO_MANY_CONNECTIONS, f"a person has at most {most} connections")
        return frame, listener

    async def _recognise(self, websocket: WebSocket, token: str | None) -> Listener:
        # Only now that hello has come: what ended since the socket was opened has ended.
        if token is not None:
            listener = await self._door.by_token(token)
            if listener is None:
                raise EndConnection(Close.TOKEN_EXPIRED, "get a new token")
            return listener
        listener = await self._door.by_cookie(websocket)
        if listener is None:
            raise EndConnection(Close.NOT_SIGNED_IN, "sign in")
        return listener

    def _welcome(self, connection: Connection, gap: Gap) -> str:
        listener = connection.listener
        you = {"id": str(listener.person), "name": listener.name, "language": listener.language}
        head = gap.head
        return frames.encode(
            frames.welcome(
                connection.id, head.epoch, head.seq, head.unread, reset=gap.reset, you=you, now=self._clock()
            )
        )

    async def _talk(self, websocket: WebSocket, connection: Connection, greeting: str) -> None:
        reader = asyncio.create_task(self._read(websocket, connection))
        writer = asyncio.create_task(self._write(websocket, connection, greeting))
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self, websocket: WebSocket, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        limits = self._limits
        allowance = Allowance(limits.frames_per_second, limits.frames_at_once, loop.time())
        while True:
            text = await _receive(websocket)
            if not allowance.take(loop.time()):
                raise EndConnection(Close.TOO_MANY_FRAMES, f"at most {limits.frames_per_second} frames a second")
            await self._take(connection, frames.parse(text))

    async def _take(self, connection: Connection, frame: frames.ClientFrame) -> None:
        match frame:
            case Hello():
                raise EndConnection(Close.OUT_OF_ORDER, "hello comes once")
            case Pong():
                pass
            case FillRequest():
                connection.ask_again(frame.from_)
                self._switchboard.catch_up(connection)
            case MarkFrame() | ReadAll():
                await self._mark(connection, frame)
            case Watch(t="watch"):
                await self._watch(connection, frame.topic)
            case Watch():
                connection.topics.pop(frame.topic, None)

    async def _mark(self, connection: Connection, frame: MarkFrame | ReadAll) -> None:
        try:
            await self._door.mark(connection.listener, frame)
        except HubError as refused:
            connection.send(frames.encode(frames.refused(frame.nonce, refused.code, refused.detail)))
        else:
            connection.send(frames.encode(frames.ok(frame.nonce)))

    async def _watch(self, connection: Connection, topic: str) -> None:
        if not self._door.may_watch(connection.listener, topic):
            connection.send(frames.encode(frames.refused(None, "forbidden", "There is no such topic for you.")))
            return
        with contextlib.suppress(HubError):
            await self._switchboard.watch(connection, topic)

    async def _write(self, websocket: WebSocket, connection: Connection, greeting: str) -> None:
        waiting = deque([greeting])
        while connection.closing is None:
            if waiting:
                await self._send(websocket, waiting.popleft())
            else:
                waiting = await connection.next_frames()
        raise EndConnection(connection.closing, connection.closing.name.lower().replace("_", " "))

    async def _send(self, websocket: WebSocket, text: str) -> None:
        try:
            async with asyncio.timeout(self._limits.send_within_s):
                await websocket.send_text(text)
        except TimeoutError as error:
            raise EndConnection(Close.SLOW_READER, "not read in time") from error


async def _receive(websocket: WebSocket) -> str | bytes | None:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text: str | bytes | None = message.get("text")
    return text if text is not None else message.get("bytes")


async def _end(websocket: WebSocket, code: Close, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(1):
            # A reason may quote the client, in any script; cut where it fits.
            await websocket.close(code, reason.encode()[:LONGEST_REASON].decode(errors="ignore"))
