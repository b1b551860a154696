"""A ledger of plain values in place of the database, and connections with a pipe in place of a transport."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hub.errors import Unavailable
from hub.inbox.feed import Head, Missed
from hub.realtime.connection import Connection, Listener
from hub.realtime.frames import Close
from hub.realtime.ledger import Asked, Greeting, Ledger
from hub.realtime.switchboard import Switchboard
from tests.realtime.pipes import Pipe, listener

TENANT, OTHER_TENANT = uuid.UUID(int=1), uuid.UUID(int=2)
OMAR, HUDA = uuid.UUID(int=3), uuid.UUID(int=4)


@dataclass
class Books:
    """What the database would say, and how often it was asked."""

    heads: dict[uuid.UUID, Head] = field(default_factory=dict)
    boards: dict[tuple[uuid.UUID, str], int] = field(default_factory=dict)
    ended: dict[Connection, Close] = field(default_factory=dict)
    people: dict[str, Listener] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    open: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(_opened))
    asked: list[tuple[str, int]] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many inboxes were read."""
        return sum(count for what, count in self.asked if what == "missed")

    def head(self, person: uuid.UUID) -> Head:
        return self.heads.get(person, Head(0, 0, "epoch"))

    def ledger(self) -> Ledger:
        return Ledger(self.recognise, self.missed, self.all_heads, self.versions, self.lapsed, self.begin_anew)

    async def recognise(self, greetings: Sequence[Greeting]) -> list[Listener | None]:
        await self.answer("recognise", len(greetings))
        return [self.people.get(greeting.cookie or greeting.token or "") for greeting in greetings]

    async def missed(self, asked: Sequence[Asked]) -> list[Missed]:
        # As it is when it is asked, though the answer may take time.
        heads = [self.head(each.person) for each in asked]
        await self.answer("missed", len(asked))
        return [
            Missed(head, each.since or 0, [], reset=each.since is None or each.epoch != head.epoch)
            for each, head in zip(asked, heads, strict=True)
        ]

    async def all_heads(self, people: Mapping[bytes, tuple[int, str]]) -> dict[bytes, Head]:
        await self.answer("heads", len(people))
        heads = {person: self.head(uuid.UUID(bytes=person)) for person in people}
        return {person: head for person, head in heads.items() if (head.seq, head.epoch) != people[person]}

    async def versions(self, topics: Collection[tuple[uuid.UUID, str]]) -> dict[tuple[uuid.UUID, str], int]:
        await self.answer("versions", len(topics))
        return {topic: self.boards[topic] for topic in topics if topic in self.boards}

    async def lapsed(self, connections: Sequence[Connection]) -> dict[Connection, Close]:
        await self.answer("lapsed", len(connections))
        return self.ended

    async def begin_anew(self, _tenant: uuid.UUID, told: Mapping[uuid.UUID, tuple[int, str]]) -> None:
        await self.answer("begin_anew", len(told))
        for person, (seq, epoch) in told.items():
            head = self.head(person)
            if head.seq < seq and head.epoch == epoch:
                self.heads[person] = replace(head, epoch=f"{epoch} anew")

    async def answer(self, what: str, count: int) -> None:
        self.asked.append((what, count))
        await self.open[what].wait()
        if what in self.away or "all" in self.away:
            raise Unavailable("away")


def _opened() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def of(person: uuid.UUID = OMAR, tenant: uuid.UUID = TENANT, **rights: Any) -> Listener:
    """Somebody of the first clinic, unless said otherwise."""
    return listener(person, tenant, **rights)


class Tab(Pipe):
    """A pipe with its connection, once that was let in."""

    opened: Connection

    def connect(self, board: Switchboard, who: Listener, epoch: str | None, since: int | None) -> Connection:
        self.opened = Connection(who, self, epoch, since)
        board.add(self.opened)
        return self.opened


async def connect(
    board: Switchboard, who: Listener | None = None, *, epoch: str | None = None, since: int | None = None
) -> Tab:
    """A tab that has said hello and been sent its rows."""
    tab = Tab()
    board.reception.catch_up(tab.connect(board, who or of(), epoch, since))
    await board.reception.take_turn()
    tab.take()
    return tab


@asynccontextmanager
async def running(board: Switchboard) -> AsyncIterator[None]:
    """The board takes its turns while the block runs."""
    task = asyncio.create_task(board.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=2)
        assert task.cancelled()
