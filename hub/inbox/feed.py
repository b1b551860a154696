"""Reading an inbox: pages of history, the head, and exactly what somebody missed."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import ARRAY, Executable, Select, Uuid, any_, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from hub.db import Database
from hub.errors import NotFound
from hub.inbox.kinds import Kind, Level
from hub.inbox.tables import InboxHead, Notification

State = Literal["all", "unread", "read", "archived"]

# Above this a client is better off with the newest page than with everything it missed.
MOST_MISSED = 200
SNAPSHOT = 50
# In one transaction, and in one question or answer: whoever reads for thousands leaves others their turn.
MOST_AT_ONCE = 256
MOST_ROWS = 1000


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


class Asked(Protocol):
    """Whose inbox is read, and from where: the epoch and number they have, or None for the newest rows."""

    @property
    def tenant(self) -> uuid.UUID:
        """Whose person it is."""
        ...

    @property
    def person(self) -> uuid.UUID:
        """Whose inbox it is."""
        ...

    @property
    def epoch(self) -> str | None:
        """Which life of the inbox they know."""
        ...

    @property
    def since(self) -> int | None:
        """The last change they know."""
        ...


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
    return {"id": str(found.id), "number": found.number, "seq": found.seq} | shared_row_of(found)


def shared_row_of(found: NotificationRow | Any) -> dict[str, Any]:
    """What is the same for everybody whom a new notification reached."""
    related = None
    if found.related_type:
        related = {"type": found.related_type, "id": str(found.related_id), "link": found.link}
    return {
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


# In order of person, like whoever else writes heads: so they never wait for each other.
OPEN_INBOXES = text("""
INSERT INTO inbox_heads (tenant_id, person_id)
SELECT CAST(:tenant AS uuid), person_id FROM unnest(CAST(:people AS uuid[])) AS person_id ORDER BY person_id
ON CONFLICT DO NOTHING
""")

# Texts, not arrays: this is asked every two seconds about everybody connected, and the driver looks at each member of
# an array several times before it is sent.
ELSEWHERE = text("""
SELECT head.person_id, head.seq, head.unread, head.epoch FROM inbox_heads AS head
JOIN unnest(
    CAST(string_to_array(:people, ',') AS uuid[]),
    CAST(string_to_array(:numbers, ',') AS bigint[]),
    string_to_array(:epochs, ',')
) AS known(person_id, seq, epoch) USING (person_id)
WHERE head.seq <> known.seq OR CAST(head.epoch AS text) <> known.epoch
""")

ROWS = """
SELECT asked.place, found.*
FROM unnest(CAST(:places AS integer[]), CAST(:people AS uuid[]), CAST(:since AS bigint[]))
    AS asked(place, person_id, since)
CROSS JOIN LATERAL (
    SELECT * FROM notifications
    WHERE notifications.person_id = asked.person_id AND {which} ORDER BY {order} LIMIT :most
) AS found
ORDER BY place, {order} LIMIT :most_rows
"""
CHANGED = text(ROWS.format(which="seq > asked.since", order="seq, number")).columns(facts=JSONB)
NEWEST = text(ROWS.format(which="archived_at IS NULL", order="number DESC")).columns(facts=JSONB)


async def read_head(session: AsyncSession, person: uuid.UUID) -> Head:
    """The head of one person's inbox."""
    query = select(InboxHead.seq, InboxHead.unread, InboxHead.epoch).where(InboxHead.person_id == person)
    row = (await session.execute(query)).one_or_none()
    return Head(row.seq, row.unread, str(row.epoch)) if row else NO_HEAD


async def read_heads(reader: AsyncConnection | AsyncSession, people: Collection[uuid.UUID]) -> dict[uuid.UUID, Head]:
    """The heads of many people in one query: of any tenant, when the watch reads."""
    # One array, not a parameter for each: there may be more people than a statement takes parameters.
    wanted = any_(literal(list(people), ARRAY(Uuid)))
    query = select(InboxHead.person_id, InboxHead.seq, InboxHead.unread, InboxHead.epoch)
    rows = (await reader.execute(query.where(InboxHead.person_id == wanted))).all()
    return {row.person_id: Head(row.seq, row.unread, str(row.epoch)) for row in rows}


async def read_heads_elsewhere(watch: AsyncConnection, known: Mapping[bytes, tuple[int, str]]) -> dict[bytes, Head]:
    """The heads of those people, of any tenant, who stand at another number, or in another epoch, than is known.

    People are named by the bytes of their ids.
    """
    found: dict[bytes, Head] = {}
    people, standings = list(known), list(known.values())
    for start in range(0, len(people), MOST_ROWS):
        numbers, epochs = zip(*standings[start : start + MOST_ROWS], strict=True)
        asked = {
            "people": ",".join(map(bytes.hex, people[start : start + MOST_ROWS])),
            "numbers": ",".join(map(str, numbers)),
            "epochs": ",".join(epochs),
        }
        rows = await watch.execute(ELSEWHERE, asked)
        found |= {row.person_id.bytes: Head(row.seq, row.unread, str(row.epoch)) for row in rows}
    return found


async def read_missed_by_many(database: Database, asked: Sequence[Asked]) -> list[Missed]:
    """What each of these missed: everything that changed after `since`, as it is now, or the newest rows where that
    says more. Head and rows are of one moment. Who has no inbox yet gets one.
    """
    async with database.watching() as watch:
        heads = await read_heads(watch, {each.person for each in asked})
    found: dict[int, Missed] = {}
    behind: dict[uuid.UUID, list[int]] = defaultdict(list)
    for place, each in enumerate(asked):
        head = heads.get(each.person)
        if head and (each.epoch, each.since) == (head.epoch, head.seq):
            found[place] = Missed(head, head.seq, [])
        else:
            behind[each.tenant].append(place)
    for tenant, places in behind.items():
        new = {asked[place].person for place in places} - heads.keys()
        if new:
            async with database.of_tenant(tenant) as session:
                await session.execute(OPEN_INBOXES, {"tenant": tenant, "people": list(new)})
        for start in range(0, len(places), MOST_AT_ONCE):
            part = {place: asked[place] for place in places[start : start + MOST_AT_ONCE]}
            async with database.at_one_moment(tenant) as session:
                found |= await _read_missed(session, part)
    return [found[place] for place in range(len(asked))]


async def _read_missed(session: AsyncSession, asked: dict[int, Asked]) -> dict[int, Missed]:
    heads = await read_heads(session, {each.person for each in asked.values()})
    standing = {place: heads.get(each.person, NO_HEAD) for place, each in asked.items()}
    since = {
        place: each.since
        for place, each in asked.items()
        if each.since is not None and each.since <= standing[place].seq and each.epoch == standing[place].epoch
    }
    changed = await _rows(
        session, CHANGED, {place: (asked[place].person, since[place]) for place in since}, MOST_MISSED
    )
    told = {
        place: Missed(standing[place], number, changed[place])
        for place, number in since.items()
        if len(changed[place]) <= MOST_MISSED
    }
    afresh = {place: (each.person, 0) for place, each in asked.items() if place not in told}
    for place, rows in (await _rows(session, NEWEST, afresh, SNAPSHOT)).items():
        told[place] = Missed(standing[place], 0, rows[:SNAPSHOT], reset=True, more=len(rows) > SNAPSHOT)
    return told


async def _rows(
    session: AsyncSession, query: Executable, wanted: dict[int, tuple[uuid.UUID, int]], most: int
) -> dict[int, list[dict[str, Any]]]:
    """The rows of each, one more than `most` at most; those who find no room in an answer are asked for again."""
    rows: dict[int, list[dict[str, Any]]] = {place: [] for place in wanted}
    rest = sorted(wanted)
    while rest:
        people, since = zip(*(wanted[place] for place in rest), strict=True)
        values = {"places": rest, "people": people, "since": since, "most": most + 1, "most_rows": MOST_ROWS}
        answer = (await session.execute(query, values)).all()
        cut_off = answer[-1].place if len(answer) == MOST_ROWS else None
        for row in answer:
            if row.place != cut_off:
                rows[row.place].append(row_of(row))
        rest = [place for place in rest if cut_off is not None and place >= cut_off]
    return rows


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
