"""What can be announced to open sockets (pure)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class InboxMoved:
    """A person's inbox went from `seq - 1` to `seq`: these rows changed, or all up to `read_upto` became read."""

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
    """A person's right to listen ended: for one sign-in session, or, without one, altogether."""

    tenant: uuid.UUID
    person: uuid.UUID
    session: uuid.UUID | None


Push = InboxMoved | TopicChanged | AccessEnded
