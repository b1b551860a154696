"""An outlet without a transport, and what came out of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from hub.realtime.connection import Connection, Listener
from hub.realtime.frames import Close
from hub.realtime.wire import Frame, encode


class Pipe:
    """The way to a client that takes as many frames as there is room for, and any number to begin with."""

    def __init__(self, room: int | None = None) -> None:
        self._room = room
        self._connection: Connection | None = None
        self.out: list[bytes] = []
        self.writes = 0
        self.ended: list[Close] = []

    @property
    def room(self) -> int | None:
        """How many frames the client still takes."""
        return self._room

    @room.setter
    def room(self, room: int | None) -> None:
        self._room = room
        if self._connection is not None and self._connection.closing is None:
            self._connection.write = None if room == 0 else self.write
            self._connection.flush()

    def carry(self, connection: Connection) -> None:
        self._connection = connection
        self.room = self._room

    def write(self, messages: bytes) -> None:
        self.writes += 1
        came = list(_each(messages))
        if self._room is not None:
            self._room = max(0, self._room - len(came))
            if self._room == 0 and self._connection is not None:
                self._connection.write = None
        self.out += came

    def has_news(self) -> None:
        """What waits is sent once there is room."""

    def end(self, code: Close) -> None:
        self.ended.append(code)

    def take(self) -> list[dict[str, Any]]:
        """What came out since it was last asked."""
        out, self.out = self.out, []
        return [json.loads(each) for each in out]


def _each(messages: bytes) -> Iterator[bytes]:
    while messages:
        mark = messages[1]
        head = {126: 4, 127: 10}.get(mark, 2)
        end = head + (mark if head == 2 else int.from_bytes(messages[2:head]))
        yield messages[head:end]
        messages = messages[end:]


def listener(person: uuid.UUID | None = None, tenant: uuid.UUID | None = None, **rights: Any) -> Listener:
    """Somebody with a session of their own, unless `rights` says otherwise."""
    known = {"session": uuid.uuid4(), "expires_at": None} | rights
    return Listener(tenant or uuid.uuid4(), person or uuid.uuid4(), "provider", "Omar", "en", **known)


def ev(seq: int, size: int = 0, *, urgent: bool = False) -> tuple[int, int, Frame]:
    """An event as a connection is offered one: number, count, frame."""
    items = [{"id": f"row {seq}", "number": seq, "seq": seq, "x": "x" * size}]
    data = encode({"t": "ev", "seq": seq, "prev": seq - 1, "unread": seq, "items": items})
    return seq, seq, Frame(data, moves_to=seq, urgent=urgent)


def rows(upto: int, size: int = 0) -> Frame:
    """Rows as they are read."""
    return Frame(encode({"t": "fill", "rows": upto, "x": "x" * size}), moves_to=upto, rows=True)


def short(frames: list[dict[str, Any]]) -> list[Any]:
    """Each frame by its number, or else by its kind; what is told ahead by `!` and its number."""
    return [
        f"!{frame['items'][0]['seq']}" if frame["t"] == "ahead" else frame.get("seq", frame.get("rows", frame["t"]))
        for frame in frames
    ]


def live(at: int = 0, room: int | None = None) -> tuple[Connection, Pipe]:
    """A connection that was brought up to `at`, and its pipe."""
    pipe = Pipe()
    opened = Connection(listener(), pipe)
    opened.begin_reading()
    opened.caught_up(at, 0, "epoch", rows(at))
    pipe.take()
    pipe.room = room
    return opened, pipe
