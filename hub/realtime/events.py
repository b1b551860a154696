"""`GET /live/events`: the frames of the socket as an event stream, which passes where a WebSocket does not.

The client cannot answer on it: what it has to say it says by `POST /live/say`. So the stream ends with its token, and
after a resync the hub asks in the client's place.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from hub.realtime import frames
from hub.realtime.backlog import RESYNC
from hub.realtime.connection import Connection
from hub.realtime.outlets import Fetched
from hub.realtime.ways import asking_of, door_of, held_by, let_in, while_there
from hub.realtime.wire import Frame

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]
# Some proxies pass nothing on before they have so much.
PADDING = b":" + b" " * 2048 + b"\n\n"


class EventStream:
    """The endpoint; one instance serves every stream of the process."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until it ends."""
        await while_there(receive, _serve(Request(scope), send))


async def _serve(request: Request, send: Send) -> None:
    asking = asking_of(request)
    outlet = Fetched()
    async with let_in(request, asking, outlet, "events") as connection:
        for topic, version in asking.topic:
            if not await door_of(request).watch(connection, topic, version):
                connection.send(frames.forbidden_topic())
        try:
            await _write(request, send, connection, outlet)
        except TimeoutError:
            await _cut(request, send)


async def _write(request: Request, send: Send, connection: Connection, outlet: Fetched) -> None:
    door = door_of(request)

    async def pass_on(data: bytes, **more: Any) -> None:
        # The bytes before these have been taken by then.
        async with asyncio.timeout(door.limits.send_within_s):
            await send({"type": "http.response.body", "body": data, "more_body": True, **more})

    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await pass_on(PADDING)
    told = 0
    while waiting := await outlet.next_frames(connection):
        await pass_on(b"".join([message_of(frame, connection.epoch) for frame in waiting]))
        for frame in waiting:
            if frame is RESYNC:
                connection.ask_again(told)
                door.switchboard.reception.catch_up(connection)
            elif frame.moves_to is not None:
                told = frame.moves_to
    if connection.closing is not None:
        await pass_on(message_of(frames.bye(connection.closing), None), more_body=False)


async def _cut(request: Request, send: Send) -> None:
    held = held_by(request)
    if held is not None:
        held.cut()
        # Until it is.
        await send({"type": "http.response.body", "body": b"", "more_body": True})


def message_of(frame: Frame, epoch: str | None) -> bytes:
    """A frame as one message of an event stream; its id is the cursor it moves to."""
    if frame.moves_to is None or epoch is None:
        return b"data: " + frame.data + b"\n\n"
    return b"id: %b:%d\ndata: %b\n\n" % (epoch.encode(), frame.moves_to, frame.data)
