"""The WebSocket at `/live`: greets, reads frames, and ends every connection with a code that says why.

It is served before everything else, as bare ASGI: thousands of connections pay for every layer around them. Under the
hub's own server frames are written straight to the transport; any other ASGI server gets them from a task.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from hub.errors import HubError
from hub.realtime import frames
from hub.realtime.connection import Connection, Outlet
from hub.realtime.door import Door, Scope, counting_refusals
from hub.realtime.framed import EXTENSION, FramedWebSocket
from hub.realtime.frames import (
    Close,
    EndConnection,
    FillRequest,
    Hello,
    MarkFrame,
    Pong,
    ReadAll,
    Receipt,
    Renewal,
    Watch,
)
from hub.realtime.meters import GONE, METERS, NORMAL, USUAL_CODES
from hub.realtime.outlets import Fetched

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

# A close frame has room for no more.
LONGEST_REASON = 123
RETRY_AFTER_S = 5


class Gone(Exception):
    """The client has hung up, with this close code."""

    def __init__(self, close: int) -> None:
        self.close = close if close in USUAL_CODES else NORMAL


class Allowance:
    """A token bucket: `per_second` frames in the long run, `at_once` in a burst."""

    __slots__ = ("_at", "_at_once", "_left", "_per_second")

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

    def __init__(self, door: Door) -> None:
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        await receive()
        if self.door.is_shut:
            METERS.refused["busy"] += 1
            await _refuse(scope, send)
            return
        offered = scope.get("subprotocols", [])
        try:
            await send(
                {
                    "type": "websocket.accept",
                    "subprotocol": frames.SUBPROTOCOL if frames.SUBPROTOCOL in offered else None,
                }
            )
            await self._serve(scope, receive, send)
        except EndConnection as end:
            await _end(send, end.close, end.detail)
        except (Gone, OSError):
            pass
        except HubError as refused:
            await _end(send, Close.DATABASE_AWAY, refused.detail)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        outlet: FramedWebSocket | Fetched = scope.get("extensions", {}).get(EXTENSION) or Fetched()
        connection = await self._greet(scope, receive, outlet)
        code: int = GONE
        try:
            if isinstance(outlet, Fetched):
                await self._read_and_write(receive, send, connection, outlet)
            else:
                await self._read(receive, connection)
        except (EndConnection, Gone) as end:
            code = end.close
            raise
        finally:
            self.door.switchboard.remove(connection, code)

    async def _greet(self, scope: Scope, receive: Receive, outlet: Outlet) -> Connection:
        with counting_refusals():
            hello = await self._hear_hello(receive)
        # Only now that hello has come: what ended since the socket was opened has ended.
        epoch, since = (hello.cursor.epoch, hello.cursor.seq) if hello.cursor else (None, None)
        return await self.door.greet(scope, hello.token, outlet, epoch, since)

    async def _hear_hello(self, receive: Receive) -> Hello:
        try:
            async with asyncio.timeout(self.door.limits.hello_within_s):
                frame = frames.parse(await _receive(receive))
        except TimeoutError as error:
            raise EndConnection(Close.HELLO_TIMEOUT, "no hello in time") from error
        if not isinstance(frame, Hello):
            raise EndConnection(Close.OUT_OF_ORDER, "the first frame is hello")
        if frame.v != frames.VERSION:
            raise EndConnection(Close.UNSUPPORTED_VERSION, f"this hub speaks version {frames.VERSION}")
        return frame

    async def _read(self, receive: Receive, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        limits = self.door.limits
        allowance: Allowance | None = None
        while True:
            text = await _receive(receive)
            if connection.closing is not None:
                return
            allowance = allowance or Allowance(limits.frames_per_second, limits.frames_at_once, loop.time())
            if not allowance.take(loop.time()):
                raise EndConnection(Close.TOO_MANY_FRAMES, f"at most {limits.frames_per_second} frames a second")
            await self._take(connection, frames.parse(text))

    async def _take(self, connection: Connection, frame: frames.ClientFrame) -> None:
        match frame:
            case Hello():
                raise EndConnection(Close.OUT_OF_ORDER, "hello comes once")
            case Pong():
                pass
            case Receipt():
                self.door.switchboard.received(connection.listener.person, frame.seq, frame.held_ms)
            case FillRequest():
                METERS.gaps_found["client"] += 1
                connection.ask_again(frame.from_)
                self.door.switchboard.reception.catch_up(connection)
            case MarkFrame() | ReadAll():
                connection.send(await self.door.mark(connection.listener, frame))
            case Renewal():
                connection.listener, answer = await self.door.renew(connection.listener, frame)
                connection.send(answer)
            case Watch(t="watch"):
                if not await self.door.watch(connection, frame.topic):
                    connection.send(frames.forbidden_topic())
            case Watch():
                connection.unwatch(frame.topic)

    async def _read_and_write(self, receive: Receive, send: Send, connection: Connection, outlet: Fetched) -> None:
        reader = asyncio.create_task(self._read(receive, connection))
        writer = asyncio.create_task(self._write(send, connection, outlet))
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
        if connection.closing is not None:
            raise EndConnection(connection.closing, connection.closing.reason)

    async def _write(self, send: Send, connection: Connection, outlet: Fetched) -> None:
        while waiting := await outlet.next_frames(connection):
            for frame in waiting:
                if connection.closing is not None:
                    return
                try:
                    async with asyncio.timeout(self.door.limits.send_within_s):
                        await send({"type": "websocket.send", "text": frame.data.decode()})
                except TimeoutError as error:
                    raise EndConnection(Close.SLOW_READER, "not read in time") from error


async def _receive(receive: Receive) -> str | bytes | None:
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise Gone(message.get("code", GONE))
    text: str | bytes | None = message.get("text")
    return text if text is not None else message.get("bytes")


async def _refuse(scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        # All that such a server can answer is 403.
        await send({"type": "websocket.close"})
        return
    headers = [(b"retry-after", str(RETRY_AFTER_S).encode()), (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"The hub is busy or about to stop. Come back later."})


async def _end(send: Send, code: Close, reason: str) -> None:
    with contextlib.suppress(RuntimeError, OSError, TimeoutError):
        async with asyncio.timeout(1):
            # A reason may quote the client, in any script; cut where it fits.
            text = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
            await send({"type": "websocket.close", "code": code, "reason": text})
