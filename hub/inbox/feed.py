"""Reading an inbox: pages of history, the head, and exactly what somebody missed."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import ARRAY, Select, Uuid, any_, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from hub.errors import NotFound
from hub.inbox.kinds import Kind, Level
from hub.inbox.tables import InboxHead, Notification

State = Literal["all", "unread", "read", "archived"]

# Above this a client is better off with the newest page than with everything it missed.
MOST_MISSED = 200
SNAPSHOT = 50


class NotificationRow(Protocol):
    """The columns of a notification, whether it comes as an object or as a row."""

    id: Any
    person_id: Any
    number: Any
    seq: Any
    title: Any
    body: Any
    kind: Any
    level: Any
    priority: Any
    related_type: Any
    related_id: Any
    link: Any
    facts: Any
    read_at: Any
    archived_at: Any
    created_at: Any
    updated_at: Any


@dataclass(frozen=True, slots=True)
class Head:
    """Where a person's inbox stands; before the first notification it stands at nought, without an epoch."""

    seq: int
    unread: int
    epoch: str


NO_HEAD = Head(0, 0, "none")


@dataclass(frozen=True, slots=True)
class Missed:
    """What somebody at `since` has to be told to stand at the head; `reset`: forget all, take these newest ones."""

    head: Head
    since: int
    items: list[dict[str, Any]]
    reset: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """Which notifications somebody wants to see."""

    state: State = "all"
    kind: Kind | None = None
    level: Level | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of history, newest first; the numbers lead to its neighbours where there are any."""

    items: list[Notification]
    older: int | None
    newer: int | None


def row_of(found: NotificationRow | Any) -> dict[str, Any]:
    """A notification as the API and the live connection show it."""
    related = None
    if found.related_type:
        related = {"type": found.related_type, "id": str(found.related_id), "link": found.link}
    return {
        "id": str(found.id),
        "number": found.number,
        "seq": found.seq,
        "title": found.title,
        "body": found.body,
        "kind": found.kind,
        "level": found.level,
        "priority": found.priority,
        "related": related,
        "facts": found.facts,
        "read_at": _iso(found.read_at),
        "archived_at": _iso(found.archived_at),
        "created_at": _iso(found.created_at),
        "updated_at": _iso(found.updated_at),
    }


async def open_inbox(session: AsyncSession, tenant: uuid.UUID, person: uuid.UUID) -> None:
    """Give the person an inbox, if there is none yet."""
    await session.execute(insert(InboxHead).values(tenant_id=tenant, person_id=person).on_conflict_do_nothing())


async def read_head(session: AsyncSession, person: uuid.UUID) -> Head:
    """The head of one person's inbox."""
    query = select(InboxHead.seq, InboxHead.unread, InboxHead.epoch).where(InboxHead.person_id == person)
    row = (await session.execute(query)).one_or_none()
    return Head(row.seq, row.unread, str(row.epoch)) if row else NO_HEAD


async def read_heads(watch: AsyncConnection, people: Collection[uuid.UUID]) -> dict[uuid.UUID, Head]:
    """The heads of many people of any tenant, in one query."""
    # One array, not a parameter for each: there may be more people than a statement takes parameters.
    wanted = any_(literal(list(people), ARRAY(Uuid)))
    query = select(InboxHead.person_id, InboxHead.seq, InboxHead.unread, InboxHead.epoch)
    rows = (await watch.execute(query.where(InboxHead.person_id == wanted))).all()
    return {row.person_id: Head(row.seq, row.unread, str(row.epoch)) for row in rows}


async def read_missed(session: AsyncSession, person: uuid.UUID, epoch: str | None, since: int | None) -> Missed:
    """Everything that changed after `since`, as it is now, or the newest page where that says more.

    The session must be REPEATABLE READ, so that head and rows are of one moment.
    """
    head = await read_head(session, person)
    if since is not None and since <= head.seq and epoch == head.epoch:
        changed = (
            select(Notification)
            .where(Notification.person_id == person, Notification.seq > since)
            .order_by(Notification.seq, Notification.number)
            .limit(MOST_MISSED + 1)
        )
        rows = list((await session.execute(changed)).scalars())
        if len(rows) <= MOST_MISSED:
            return Missed(head, since, [row_of(row) for row in rows])
    newest = _of(person, Filters()).order_by(Notification.number.desc()).limit(SNAPSHOT + 1)
    rows = list((await session.execute(newest)).scalars())
    return Missed(head, 0, [row_of(row) for row in rows[:SNAPSHOT]], reset=True, more=len(rows) > SNAPSHOT)


async def read_page(
    session: AsyncSession,
    person: uuid.UUID,
    filters: Filters,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
) -> Page:
    """A page of history: those numbered below `before`, or those just above `after`, or the newest."""
    query = _of(person, filters)
    if after is not None:
        upwards = query.where(Notification.number > after).order_by(Notification.number).limit(limit + 1)
        found = list((await session.execute(upwards)).scalars())
        items = found[:limit][::-1]
        return Page(items, items[-1].number if items else None, items[0].number if len(found) > limit else None)
    if before is not None:
        query = query.where(Notification.number < before)
    found = list((await session.execute(query.order_by(Notification.number.desc()).limit(limit + 1))).scalars())
    items = found[:limit]
    newer = items[0].number if items and before is not None else None
    return Page(items, items[-1].number if len(found) > limit else None, newer)


async def read_one(session: AsyncSession, person: uuid.UUID, notification: uuid.UUID) -> Notification:
    """One of the person's notifications; raises NotFound, also when it is somebody else's."""
    query = select(Notification).where(Notification.person_id == person, Notification.id == notification)
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such notification in your inbox.")
    return found


def _of(person: uuid.UUID, filters: Filters) -> Select[Notification]:
    query = select(Notification).where(Notification.person_id == person)
    if filters.state == "archived":
        query = query.where(Notification.archived_at.is_not(None))
    else:
        query = query.where(Notification.archived_at.is_(None))
    if filters.state == "unread":
        query = query.where(Notification.read_at.is_(None))
    if filters.state == "read":
        query = query.where(Notification.read_at.is_not(None))
    if filters.kind:
        query = query.where(Notification.kind == filters.kind)
    if filters.level:
        query = query.where(Notification.level == filters.level)
    if filters.search:
        wanted = filters.search
        query = query.where(
            Notification.title.icontains(wanted, autoescape=True) | Notification.body.icontains(wanted, autoescape=True)
        )
    return query


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
