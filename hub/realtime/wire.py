"""Frames as they go out (pure): built once, however many connections they go to."""

from __future__ import annotations

from struct import Struct
from typing import Any

from pydantic_core import to_json

_TEXT = 0x81  # a whole text message, not masked (RFC 6455, section 5.2)
_SMALL, _MIDDLING, _LARGE = Struct("!BB"), Struct("!BBH"), Struct("!BBQ")


class Frame:
    """One frame of the protocol. It is kept as a WebSocket carries it; other ways take its JSON out of that.

    `moves_to` is the number an inbox stands at with it. `urgent` ones do not wait behind others. Of one `subject` only
    the newest counts. `rows` were read from the database for this client.
    """

    __slots__ = ("moves_to", "rows", "subject", "urgent", "wire")

    def __init__(
        self,
        data: bytes,
        moves_to: int | None = None,
        urgent: bool = False,
        subject: str | None = None,
        rows: bool = False,
    ) -> None:
        self.wire = text_message(data)
        self.moves_to = moves_to
        self.urgent = urgent
        self.subject = subject
        self.rows = rows

    @property
    def data(self) -> bytes:
        """The JSON of the frame, in UTF-8."""
        return payload(self.wire)

    @property
    def kind(self) -> str:
        """What the frame says it is, which always comes first."""
        data = self.data
        return data[6 : data.index(b'"', 6)].decode()


def text_message(data: bytes) -> bytes:
    """`data` as one unmasked WebSocket text message."""
    size = len(data)
    if 126 <= size < 65536:
        return _MIDDLING.pack(_TEXT, 126, size) + data
    if size < 126:
        return _SMALL.pack(_TEXT, size) + data
    return _LARGE.pack(_TEXT, 127, size) + data


def payload(message: bytes) -> bytes:
    """What `text_message` was given."""
    return message[{126: 4, 127: 10}.get(message[1], 2) :]


def encode(value: Any) -> bytes:
    """The JSON of a frame, or of a part of one; enumerations are for their makers to unwrap, for that is slow here."""
    return to_json(value)


# What is each one's own comes first, so that the rest is joined on and not written anew for everybody.
_RING = b'{"t":"ev","seq":%d,"prev":%d,"unread":%d,"items":[{"id":"%b","number":%d,"seq":%d,%b]}'


def ring(seq: int, unread: int, notification: bytes, shared: bytes) -> bytes:
    """The JSON of the event by which one person hears of a new notification; `shared` is of `pushes.Rang`."""
    return _RING % (seq, seq - 1, unread, notification, seq, seq, shared)


def ahead_of(event: Frame) -> Frame:
    """The rows of an event, to be told at once although frames before it still wait."""
    return Frame(b'{"t":"ahead",' + event.data[event.data.index(b'"items":') :])
