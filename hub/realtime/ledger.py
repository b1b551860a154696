"""What the live path asks of the rest of the house, which joins them (see `wiring`)."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hub.realtime.connection import Connection, Listener
from hub.realtime.frames import Close


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a client shows to be let in: the value of its session cookie, or a live token."""

    cookie: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose inbox is read, and from where: the number and epoch the client has, or None for the newest rows."""

    tenant: uuid.UUID
    person: uuid.UUID
    epoch: str | None
    since: int | None


class Standing(Protocol):
    """Where an inbox stands in the database."""

    @property
    def seq(self) -> int:
        """The number of its last change."""
        ...

    @property
    def unread(self) -> int:
        """How many are unread."""
        ...

    @property
    def epoch(self) -> str:
        """Which life of the inbox it is."""
        ...


class Gap(Protocol):
    """What a client has to be told to stand at the head."""

    @property
    def head(self) -> Standing:
        """Where the inbox stands."""
        ...

    @property
    def since(self) -> int:
        """The number after which rows are told."""
        ...

    @property
    def items(self) -> list[dict[str, Any]]:
        """The rows."""
        ...

    @property
    def reset(self) -> bool:
        """Whether the client forgets what it has."""
        ...

    @property
    def more(self) -> bool:
        """Whether there are older rows than these."""
        ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is asked of the database; all may raise when it is away. Sequences answer in the order of what was asked.

    `heads` is told how far each person has been brought, and in which epoch, and answers for those who stand elsewhere.
    Both name people by the bytes of their ids, for it is asked about everybody every two seconds. `begin_anew` gives
    the inboxes of a tenant's people another epoch where they stand below the number that was told, still in that epoch.
    """

    recognise: Callable[[Sequence[Greeting]], Awaitable[Sequence[Listener | None]]]
    missed: Callable[[Sequence[Asked]], Awaitable[Sequence[Gap]]]
    heads: Callable[[Mapping[bytes, tuple[int, str]]], Awaitable[dict[bytes, Any]]]
    versions: Callable[[Collection[tuple[uuid.UUID, str]]], Awaitable[dict[tuple[uuid.UUID, str], int]]]
    lapsed: Callable[[Sequence[Connection]], Awaitable[dict[Connection, Close]]]
    begin_anew: Callable[[uuid.UUID, Mapping[uuid.UUID, tuple[int, str]]], Awaitable[None]]
