"""`GET /live/poll`: the frames of the socket, fetched by one request after the other; it passes wherever pages do.

Each request is a connection of its own, and begins at the client's cursor. The first is answered at once; those after
it when there is news, or when the time is up.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from hub.realtime import frames
from hub.realtime.asking import Asking
from hub.realtime.connection import Connection
from hub.realtime.outlets import Fetched
from hub.realtime.ways import asking_of, door_of, let_in, while_there
from hub.realtime.wire import Frame

# What is no reason to answer.
NO_NEWS = {"welcome", "hb", "drain"}


async def poll(request: Request) -> Response:
    """GET: where the inbox stands, or what came since."""
    asking = asking_of(request)
    answer = await while_there(request.receive, _answer(request, asking))
    return answer_of(answer or [])


def answer_of(answer: list[Frame]) -> Response:
    """Frames as an array."""
    body = b"[" + b",".join([frame.data for frame in answer]) + b"]"
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


async def _answer(request: Request, asking: Asking) -> list[Frame]:
    outlet = Fetched()
    async with let_in(request, asking, outlet, "poll") as connection:
        forbidden = False
        for topic, version in asking.topic:
            forbidden |= not await door_of(request).watch(connection, topic, version)
        answer = _all_waiting(connection)
        if asking.again == "1":
            wait_s = 0 if "drain" in {frame.kind for frame in answer} else asking.wait_s
            answer = _news(answer, asking, connection) or await _wait_for_news(connection, outlet, wait_s)
            if not answer and connection.closing is None:
                answer = [door_of(request).switchboard.heartbeat_of(connection)]
        elif forbidden:
            answer.append(frames.forbidden_topic())
        if connection.closing is not None:
            answer.append(frames.bye(connection.closing))
    return answer


def _all_waiting(connection: Connection) -> list[Frame]:
    waiting: list[Frame] = []
    while more := connection.take_waiting():
        waiting += more
    return waiting


def _news(waiting: list[Frame], asking: Asking, connection: Connection) -> list[Frame]:
    """What of a welcome is new to somebody who was welcomed before: all of it when the inbox begins anew."""
    if "snap" in {frame.kind for frame in waiting}:
        return waiting
    nothing = (asking.epoch, asking.seq) == (connection.epoch, connection.sent)
    return [frame for frame in waiting if frame.kind not in NO_NEWS and not (nothing and frame.kind == "fill")]


async def _wait_for_news(connection: Connection, outlet: Fetched, wait_s: float) -> list[Frame]:
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s) as limit:
            while waiting := await outlet.next_frames(connection):
                for frame in waiting:
                    if frame.kind == "drain":
                        # Each leaves at a moment of its own, and comes to whoever is there by then.
                        leave_at = loop.time() + json.loads(frame.data)["after_ms"] / 1000
                        limit.reschedule(min(leave_at, limit.when() or leave_at))
                if news := [frame for frame in waiting if frame.kind not in NO_NEWS]:
                    return news
    return []
