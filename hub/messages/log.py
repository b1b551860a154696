"""Reading messages: pages of them, one with its whole story, and all that match, for an export."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, defer

from hub.channels.vendor import Channel
from hub.crypto import CannotOpen, Keys
from hub.errors import Invalid, NotFound
from hub.messages.content import open_content, open_request
from hub.messages.states import State
from hub.messages.tables import Attempt, Message, MessageAttachment, MessageStep
from hub.people.choices import Topic
from hub.people.contact_points import find_by_address, normalise_phone
from hub.people.tables import ApiKey, Patient, Staff

Cursor = tuple[datetime, uuid.UUID]
OpenSession = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Found = Row[Message, str, str]

# States in which somebody should have a look.
ATTENTION = (State.FAILED, State.BOUNCED, State.HELD, State.UNKNOWN)
EXPORTED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages somebody wants to see; `until` itself is not among them.

    `search` is part of the name of a patient or of a member of the staff, or a whole number or email address; `region`
    says, as two letters, where numbers without a prefix are from.
    """

    state: State | Literal["attention"] | None = None
    channel: Channel | None = None
    topic: Topic | None = None
    code: str | None = None
    patient: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """What the requests for one message cost, by currency, and how many parts they had: billed, else as counted."""

    costs: dict[str, Decimal] = field(default_factory=dict)
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One message as lists show it, with the name of the patient or of the member of the staff; a test has neither."""

    message: Message
    patient: str | None
    staff: str | None
    paid: Paid


@dataclass(frozen=True, slots=True)
class Page:
    """One page of messages, newest first; the cursors lead to its neighbours where there are any."""

    items: list[Listed]
    older: Cursor | None
    newer: Cursor | None


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a vendor; `out` is what went out, or None when its key is not here any more."""

    attempt: Attempt
    out: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Story:
    """A message, from what was asked to what became of it; `actor` is who asked, or None for a patient and the hub.

    `staff` is the name of the member of the staff whom it is for. `asked` is what it says, or the values for its
    template's words; None when its key is not here any more.
    """

    message: Message
    patient: Patient | None
    staff: str | None
    actor: str | None
    asked: dict[str, Any] | None
    files: list[MessageAttachment]
    requests: list[Request]
    steps: list[MessageStep]
    paid: Paid


async def read_messages(
    session: AsyncSession,
    keys: Keys,
    filters: Filters,
    *,
    limit: int,
    before: Cursor | None = None,
    after: Cursor | None = None,
) -> Page:
    """A page of messages: those older than the cursor `before`, those newer than `after`, or the newest."""
    key = tuple_(Message.created_at, Message.id)
    query = await _matching(session, keys, filters)
    if after is not None:
        query = query.where(key > tuple_(*after)).order_by(Message.created_at, Message.id)
    else:
        query = query.order_by(Message.created_at.desc(), Message.id.desc())
    if before is not None:
        query = query.where(key < tuple_(*before))
    rows = (await session.execute(query.limit(limit + 1))).all()
    more = len(rows) > limit
    shown = rows[:limit] if after is None else rows[:limit][::-1]
    has_newer, has_older = (before is not None, more) if after is None else (more, True)
    return Page(
        await _with_costs(session, shown),
        older=_cursor(shown[-1]) if shown and has_older else None,
        newer=_cursor(shown[0]) if shown and has_newer else None,
    )


async def every_message(open_session: OpenSession, keys: Keys, filters: Filters) -> AsyncIterator[Listed]:
    """All that match, newest first; no transaction stays open while somebody takes them in."""
    before: Cursor | None = None
    while True:
        async with open_session() as session:
            page = await read_messages(session, keys, filters, limit=EXPORTED_AT_ONCE, before=before)
        for each in page.items:
            yield each
        if page.older is None:
            return
        before = page.older


async def read_story(session: AsyncSession, keys: Keys, message_id: uuid.UUID) -> Story:
    """One message with all that happened to it, and what went out opened; raises NotFound."""
    reader = aliased(Staff)
    query = (
        select(Message, Patient, reader.name, func.coalesce(Staff.name, ApiKey.name))
        .outerjoin(Patient, Patient.id == Message.patient_id)
        .outerjoin(reader, reader.id == Message.staff_id)
        .outerjoin(Staff, Staff.id == Message.actor_id)
        .outerjoin(ApiKey, ApiKey.id == Message.actor_id)
        .where(Message.id == message_id)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such message.")
    message, patient, staff, actor = row
    attempts = select(Attempt).filter_by(message_id=message_id).order_by(Attempt.number)
    # What is in them may be large, and is not shown here.
    files = select(MessageAttachment).filter_by(message_id=message_id).options(defer(MessageAttachment.sealed))
    steps = select(MessageStep).filter_by(message_id=message_id).order_by(MessageStep.id)
    made = list((await session.execute(attempts)).scalars())
    return Story(
        message=message,
        patient=patient,
        staff=staff,
        actor=actor,
        asked=_opened(open_content, keys, message),
        files=list((await session.execute(files.order_by(MessageAttachment.place))).scalars()),
        requests=[Request(each, _opened(open_request, keys, each)) for each in made],
        steps=list((await session.execute(steps)).scalars()),
        paid=paid_for(made),
    )


async def read_listed(session: AsyncSession, message_id: uuid.UUID) -> Listed:
    """One message as lists show it; raises NotFound."""
    rows = (await session.execute(_listed().where(Message.id == message_id))).all()
    if not rows:
        raise NotFound("There is no such message.")
    return (await _with_costs(session, rows))[0]


def paid_for(attempts: Iterable[Attempt]) -> Paid:
    """What these requests cost together."""
    costs: dict[str, Decimal] = defaultdict(Decimal)
    parts: list[int] = []
    for each in attempts:
        if each.cost is not None and each.currency is not None:
            costs[each.currency] += each.cost
        counted = each.segments_estimated if each.segments_billed is None else each.segments_billed
        if counted is not None:
            parts.append(counted)
    return Paid(dict(costs), sum(parts) if parts else None)


def _listed() -> Select[Message, str, str]:
    query = select(Message, Patient.name, Staff.name).outerjoin(Patient, Patient.id == Message.patient_id)
    return query.outerjoin(Staff, Staff.id == Message.staff_id)


async def _matching(session: AsyncSession, keys: Keys, filters: Filters) -> Select[Message, str, str]:
    query = _listed()
    if filters.state == "attention":
        query = query.where(Message.state.in_(ATTENTION))
    same = {
        Message.state: None if filters.state == "attention" else filters.state,
        Message.channel: filters.channel,
        Message.topic: filters.topic,
        Message.code: filters.code,
        Message.patient_id: filters.patient,
    }
    query = query.where(*(column == value for column, value in same.items() if value is not None))
    if filters.since is not None:
        query = query.where(Message.created_at >= filters.since)
    if filters.until is not None:
        query = query.where(Message.created_at < filters.until)
    if filters.search and filters.search.strip():
        query = query.where(await _about(session, keys, filters.search.strip(), filters.region))
    return query


async def _about(session: AsyncSession, keys: Keys, search: str, region: str | None) -> ColumnElement[bool]:
    """Messages to people of this name, or to whom this number or address belongs."""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    about: list[ColumnElement[bool]] = [Patient.name.ilike(f"%{escaped}%")]
    kind, address = ("email", search) if "@" in search else ("phone", _as_number(search, region))
    if address is not None:
        points = await find_by_address(session, keys, kind, address)
        about.append(Message.patient_id.in_([point.patient_id for point in points]))
    # Looked up first: a condition on both tables has Postgres read every message, where one has it read the few.
    named = or_(Staff.name.ilike(f"%{escaped}%"), Staff.email == search.lower())
    people = (await session.execute(select(Staff.id).where(named))).scalars().all()
    if people:
        about.append(Message.staff_id.in_(people))
    return or_(*about)


def _as_number(search: str, region: str | None) -> str | None:
    try:
        return normalise_phone(search, region)
    except Invalid:
        return None


async def _with_costs(session: AsyncSession, rows: Sequence[Found]) -> list[Listed]:
    by_message: dict[uuid.UUID, list[Attempt]] = defaultdict(list)
    ids = [row[0].id for row in rows]
    query = select(Attempt).where(Attempt.message_id.in_(ids)).options(defer(Attempt.sealed), defer(Attempt.answer))
    for attempt in (await session.execute(query)).scalars() if ids else ():
        by_message[attempt.message_id].append(attempt)
    return [Listed(*row, paid_for(by_message[row[0].id])) for row in rows]


def _cursor(row: Found) -> Cursor:
    return row[0].created_at, row[0].id


def _opened(
    open_: Callable[[Keys, uuid.UUID, bytes], dict[str, Any]], keys: Keys, row: Message | Attempt
) -> dict[str, Any] | None:
    try:
        return open_(keys, row.id, row.sealed)
    except CannotOpen:
        return None
