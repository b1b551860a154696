"""The hinge: one unit of work. A verb writes rows through it and says what to announce; both wait for the commit.

So nothing is announced that did not happen, and the middle of the house knows neither sockets nor Redis.
What a crash between commit and announcement loses, each web process finds by its own look at Postgres.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from hub.clock import Clock
from hub.crypto import Keys
from hub.db import Database
from hub.realtime.pushes import AccessEnded, InboxMoved, Push, Rang, TopicChanged, changed, rang, swept

Announce = Callable[[list[Push]], Awaitable[None]]
Enqueue = Callable[[list["Job"]], Awaitable[None]]
OpenWork = Callable[[uuid.UUID, "Actor"], AbstractAsyncContextManager["Work"]]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it: a member of staff, an integration by its key, a patient by their link, or the hub itself."""

    kind: Literal["staff", "key", "patient", "system"]
    id: uuid.UUID | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Job:
    """A poke to the workers of one lane: what there is to do stands in Postgres. `args` are ids alone."""

    name: str
    lane: str
    args: tuple[str, ...] = ()


@dataclass(slots=True)
class Work:
    """One transaction of one tenant by one actor at one moment, and what to announce once it has happened.

    `public_url` is where patients reach the hub: what their links begin with.
    """

    session: AsyncSession
    tenant: uuid.UUID
    actor: Actor
    now: datetime
    keys: Keys
    public_url: str
    pushes: list[Push] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def later(self, job: Job) -> None:
        """Have a worker do this once it is committed; the same job is asked for once."""
        if job not in self.jobs:
            self.jobs.append(job)

    def rang(
        self, people: Iterable[tuple[uuid.UUID, int, int, uuid.UUID]], row: dict[str, Any], *, urgent: bool
    ) -> None:
        """Tell these people (each with seq, unread and id) of a notification; `row` lacks id, number and seq."""
        self.pushes.append(rang(self.tenant, people, row, urgent=urgent, at=self.now.timestamp()))

    def inbox_moved(self, person: uuid.UUID, seq: int, unread: int, items: list[dict[str, Any]]) -> None:
        """Tell the person's open tabs about rows that changed under the number `seq`."""
        self.pushes.append(changed(self.tenant, person, seq, unread, items))

    def inbox_read(self, person: uuid.UUID, seq: int, unread: int, upto: int) -> None:
        """Tell the person's open tabs that all rows up to number `upto` became read, under the number `seq`."""
        self.pushes.append(swept(self.tenant, person, seq, unread, upto, self.now))

    def topic_changed(self, topic: str, version: int) -> None:
        """Tell everybody who watches `topic` that it has a newer version."""
        self.pushes.append(TopicChanged(self.tenant, topic, version))

    def has_changed(self, topic: str) -> bool:
        """Whether this unit of work tells of a newer version of `topic` already."""
        return any(isinstance(push, TopicChanged) and push.topic == topic for push in self.pushes)

    def access_ended(
        self,
        person: uuid.UUID | None = None,
        session: uuid.UUID | None = None,
        key: uuid.UUID | None = None,
        token: uuid.UUID | None = None,
    ) -> None:
        """End the tenant's open connections that match everything named here: a person, a sign-in, a key, a token."""
        self.pushes.append(AccessEnded(self.tenant, person, session, key, token))


async def leave_to_sweeps(_jobs: list[Job]) -> None:
    """Ask nobody: what is due is found without being asked for."""


def work_opener(
    database: Database,
    clock: Clock,
    keys: Keys,
    public_url: str,
    announce: Announce,
    enqueue: Enqueue = leave_to_sweeps,
) -> OpenWork:
    """How this process opens a unit of work."""

    @asynccontextmanager
    async def open_work(tenant: uuid.UUID, actor: Actor) -> AsyncIterator[Work]:
        async with database.of_tenant(tenant) as session:
            work = Work(session, tenant, actor, clock(), keys, public_url)
            yield work
        if work.pushes:
            committed = clock().timestamp()
            for push in work.pushes:
                if isinstance(push, InboxMoved | Rang) and push.rang_at:
                    push.rang_at = committed
            await announce(work.pushes)
        # After the bells: a Redis that hangs may hold this up for a second.
        if work.jobs:
            await enqueue(work.jobs)

    return open_work
