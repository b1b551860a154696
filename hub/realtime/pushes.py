"""What can be announced to open sockets (pure)."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Of whom, at which number, how many unread, under which id: one of these for each person a notification reached.
STANDING = struct.Struct("!16sQI36s")


# Not frozen: that would triple what it costs to make one.
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
    at: float

    def __len__(self) -> int:
        return len(self.standings) // STANDING.size


def rang(
    tenant: uuid.UUID,
    people: Iterable[tuple[uuid.UUID, int, int, uuid.UUID]],
    row: dict[str, Any],
    *,
    urgent: bool,
    at: float,
) -> Rang:
    """The push for `people` (person, seq, unread, notification); `row` is without id, number and seq.

    `at` is when it was committed, in seconds of the epoch.
    """
    pack = STANDING.pack
    standings = b"".join(
        [pack(person.bytes, seq, unread, str(notification).encode()) for person, seq, unread, notification in people]
    )
    shared = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()[1:]
    return Rang(tenant, standings, shared, urgent, at)


@dataclass(frozen=True, slots=True)
class InboxMoved:
    """Marks moved a person's inbox from `seq - 1` to `seq`: these rows changed, or all up to `read_upto` are read."""

    tenant: uuid.UUID
    person: uuid.UUID
    seq: int
    unread: int
    items: list[dict[str, Any]] | None = None
    read_upto: int | None = None
    at: datetime | None = None


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


Push = Rang | InboxMoved | TopicChanged | AccessEnded
