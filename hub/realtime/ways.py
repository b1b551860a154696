"""What the ways to the hub over plain HTTP share, for where a WebSocket does not get through.

They speak the same frames from the same cursor as the socket, and whoever takes one is a connection like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

from starlette.requests import HTTPConnection, Request
from starlette.types import Receive

from hub.errors import HubError, Malformed, NotSignedIn, TooLarge, Unavailable
from hub.realtime.asking import Asking, read_asking
from hub.realtime.connection import Connection
from hub.realtime.door import Door
from hub.realtime.frames import EndConnection
from hub.realtime.held import EXTENSION, HeldRequests
from hub.realtime.meters import METERS
from hub.realtime.outlets import Fetched

T = TypeVar("T")

SHUT = "The hub is busy or about to stop. Come back later."


def door_of(request: HTTPConnection) -> Door:
    """The door this request came to."""
    door: Door = request.app.state.live.door
    return door


def token_of(request: HTTPConnection) -> str | None:
    """The live token that came along; it never comes in the address, which others write down."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def asking_of(request: Request) -> Asking:
    """What is asked for; raises Malformed."""
    try:
        return read_asking(request.scope["query_string"])
    except EndConnection as end:
        raise refusal_of(end) from end


@asynccontextmanager
async def let_in(request: Request, asking: Asking, outlet: Fetched, way: str) -> AsyncIterator[Connection]:
    """A connection that is welcomed and up to date, for as long as the block runs; raises a HubError."""
    door = door_of(request)
    if door.is_shut:
        METERS.refused["busy"] += 1
        raise Unavailable(SHUT)
    try:
        connection = await door.greet(request.scope, token_of(request), outlet, asking.epoch, asking.seq, way)
    except EndConnection as end:
        raise refusal_of(end) from end
    held = held_by(request)
    try:
        if held:
            held.carry(connection)
        yield connection
    finally:
        if held:
            held.carry(None)
        door.switchboard.remove(connection)


def held_by(request: HTTPConnection) -> HeldRequests | None:
    """What holds the request under the hub's own server."""
    return cast(HeldRequests | None, request.scope.get("extensions", {}).get(EXTENSION))


def refusal_of(end: EndConnection) -> HubError:
    """What a close code says, as an answer by HTTP."""
    if end.close < 4100:
        return Malformed(end.detail)
    if 4150 <= end.close < 4200:
        return NotSignedIn("Sign in, or get a new live token.")
    return Unavailable(f"Not now: {end.detail}.")


async def while_there(receive: Receive, doing: Coroutine[Any, Any, T]) -> T | None:
    """Do it, unless the client hangs up; it is left where it is then, and there is no answer."""
    task = asyncio.create_task(doing)
    hanging_up = asyncio.create_task(_hang_up(receive))
    try:
        await asyncio.wait({task, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        hanging_up.cancel()
        await asyncio.gather(task, hanging_up, return_exceptions=True)


async def _hang_up(receive: Receive) -> None:
    kind = ""
    while kind != "http.disconnect":
        # A body means nothing here, however long.
        with suppress(TooLarge):
            kind = (await receive())["type"]
