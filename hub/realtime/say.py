"""`POST /live/say`: what a client says that has no socket. Whichever process is asked can answer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hub.realtime import frames
from hub.realtime.connection import Listener
from hub.realtime.door import Door
from hub.realtime.frames import EndConnection, FillRequest, MarkFrame, Pong, ReadAll, Receipt, Renewal, SaidFrame
from hub.realtime.poll import answer_of
from hub.realtime.ways import door_of, refusal_of, token_of
from hub.realtime.wire import Frame


async def say(request: Request) -> Response:
    """POST: carry out frames in their order, and answer those that have an answer."""
    door = door_of(request)
    body = await request.body()
    try:
        said = frames.parse_said(body)
        listener = await door.recognise(request.scope, token_of(request))
    except EndConnection as end:
        raise refusal_of(end) from end
    answers = [await _answer(door, listener, frame) for frame in said]
    return answer_of([answer for answer in answers if answer is not None])


async def _answer(door: Door, listener: Listener, frame: SaidFrame) -> Frame | None:
    match frame:
        case MarkFrame() | ReadAll():
            return await door.mark(listener, frame)
        case FillRequest():
            return await door.fill(listener, frame.from_)
        case Renewal():
            return await _renew(door, listener, frame)
        case Receipt():
            door.switchboard.received(listener.person, frame.seq, frame.held_ms)
            return None
        case Pong():
            return None


async def _renew(door: Door, listener: Listener, frame: Renewal) -> Frame:
    # It comes with the next request; here it is only tried.
    try:
        _, answer = await door.renew(listener, frame)
    except EndConnection:
        return frames.token_refused(frame.nonce)
    return answer
