"""What can be announced to open sockets (pure)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.realtime.wire import Frame, encode, ring, text_message

# Of whom, at which number, how many unread, under which id: one of these for each person a notification reached.
STANDING = struct.Struct("!16sQI36s")
# Of a STANDING, only of whom.
LISTED = struct.Struct(f"!16s{STANDING.size - 16}x")


# Not frozen: that would triple what it costs to make one.
@dataclass(slots=True)
class InboxMoved(Frame):
    """A person's inbox moved from the number before `moves_to` to it, and the event that tells them.

    It is made where it happens and travels as it is sent. `rang_at` is when it was committed if it is a new
    notification, in seconds of the epoch, and else 0.
    """

    tenant: uuid.UUID
    person: bytes
    moves_to: int
    unread: int
    urgent: bool
    rang_at: float
    wire: bytes
    subject = None
    rows = False


# Likewise.
@dataclass(slots=True)
class Rang:
    """A new notification reached these people, each under the next number of their inbox.

    It may be thousands, so it is kept as it travels: a packed STANDING for each, and, once for all, the JSON of the
    row that they share, beginning behind the members that are each one's own.
    """

    tenant: uuid.UUID
    standings: bytes
    shared: bytes
    urgent: bool
    rang_at: float

    def __len__(self) -> int:
        return len(self.standings) // STANDING.size


@dataclass(frozen=True, slots=True)
class TopicChanged:
    """A shared view has a newer version; whoever shows it fetches it again."""

    tenant: uuid.UUID
    topic: str
    version: int


@dataclass(frozen=True, slots=True)
class AccessEnded:
    """The right to listen ended, for whoever matches everything that is named: a person, a sign-in, a key, a token."""

    tenant: uuid.UUID
    person: uuid.UUID | None = None
    session: uuid.UUID | None = None
    key: uuid.UUID | None = None
    token: uuid.UUID | None = None


Push = InboxMoved | Rang | TopicChanged | AccessEnded


def rang(
    tenant: uuid.UUID,
    people: Iterable[tuple[uuid.UUID, int, int, uuid.UUID]],
    row: dict[str, Any],
    *,
    urgent: bool,
    at: float,
) -> InboxMoved | Rang:
    """The push for `people` (person, seq, unread, notification); `row` is without id, number and seq.

    `at` is when it was committed, in seconds of the epoch.
    """
    shared = encode(row)[1:]
    told = list(people)
    if len(told) == 1:
        person, seq, unread, notification = told[0]
        event = ring(seq, unread, str(notification).encode(), shared)
        return InboxMoved(tenant, person.bytes, seq, unread, urgent, at, text_message(event))
    pack = STANDING.pack
    standings = [pack(each.bytes, seq, unread, str(row_id).encode()) for each, seq, unread, row_id in told]
    return Rang(tenant, b"".join(standings), shared, urgent, at)


def changed(tenant: uuid.UUID, person: uuid.UUID, seq: int, unread: int, items: list[dict[str, Any]]) -> InboxMoved:
    """The push for rows of a person's that changed."""
    return _marked(tenant, person, seq, unread, {"items": items})


def swept(tenant: uuid.UUID, person: uuid.UUID, seq: int, unread: int, upto: int, at: datetime) -> InboxMoved:
    """The push for all rows of a person's up to a number, which became read."""
    return _marked(tenant, person, seq, unread, {"read_upto": upto, "at": at.isoformat()})


def _marked(tenant: uuid.UUID, person: uuid.UUID, seq: int, unread: int, what: dict[str, Any]) -> InboxMoved:
    event = encode({"t": "ev", "seq": seq, "prev": seq - 1, "unread": unread} | what)
    return InboxMoved(tenant, person.bytes, seq, unread, False, 0.0, text_message(event))
