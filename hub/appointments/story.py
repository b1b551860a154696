"""One visit's whole story: what was done, what was told of it and what became of that, and what lies ahead.

It is told for the visit's page and for the API, from the rows themselves: changes, notifications and messages that name
them, and what is planned. A handful of queries, however much there is to tell.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from hub.appointments.changes import read_changes, restored, said_with
from hub.appointments.planned import read_planned
from hub.appointments.planned_rows import Fate, Kind
from hub.appointments.tables import Appointment, AppointmentChange, PlannedNotice
from hub.appointments.tellings import Event, Recipient, Way
from hub.channels.vendor import Channel
from hub.crypto import Keys
from hub.inbox.tables import Notification
from hub.messages.states import State
from hub.messages.tables import Message
from hub.people.names import names_of
from hub.people.roles import Role
from hub.people.tables import Staff

MOST_TOLD = 500

# How a telling stands that is no message: rung and not read, read by all whom it rang for, taken back before anybody
# read it, or never told.
UNREAD, READ, TAKEN_BACK, HELD_BACK = "unread", "read", "taken_back", "held_back"

_ABOUT = "appointment"
_Names = Mapping[uuid.UUID, str]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that was told, or was not: to whom, over what, and how it stands.

    `state` is that of the message, or one of UNREAD, READ, TAKEN_BACK and HELD_BACK; `reason` is why, as the house
    writes it down. `who` names one member of the staff; a ring at the desk counts `people`, and how many of them have
    `seen` it. `until` is when a waiting message is next looked at.
    """

    to: Recipient
    over: Way
    at: datetime
    state: str
    reason: str | None = None
    who: str | None = None
    people: int = 1
    seen: int = 0
    message: uuid.UUID | None = None
    channel: Channel | None = None
    topic: str | None = None
    code: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """When a visit is, for how many minutes, and with whom."""

    starts_at: datetime
    minutes: int
    clinician: str | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A reminder, or that the patient was missed: when it is due, what became of it, and the messages it became."""

    kind: str
    ahead: str
    occurrence: int
    due_at: datetime
    state: str
    reason: str | None
    at: datetime
    told: list[Told]


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that was done: by whom, with which words, what was told of it, and what it took off the plan.

    `said` is None when the key to the words is not here any more. `was` and `became` say where a visit moved.
    """

    id: int
    event: Event
    occurrence: int
    at: datetime
    actor_kind: str
    who: str | None
    said: str | None
    undone_at: datetime | None
    was: Place | None
    became: Place | None
    told: list[Told]
    dropped: list[Planned]


@dataclass(frozen=True, slots=True)
class Written:
    """A message about the visit that somebody, or the practice system, asked for besides."""

    at: datetime
    actor_kind: str
    who: str | None
    told: list[Told]


@dataclass(frozen=True, slots=True)
class Story:
    """What happened to a visit, oldest first, and what is planned for it, by when it is due."""

    happened: list[Changed | Planned | Written]
    ahead: list[Planned]


async def read_story(session: AsyncSession, keys: Keys, appointment_id: uuid.UUID) -> Story:
    """The story of one visit of the clinic whose rows this session sees; of another's, there is nothing to tell."""
    appointment = await session.get(Appointment, appointment_id)
    if appointment is None:
        return Story([], [])
    changes = await read_changes(session, appointment_id)
    planned = await read_planned(session, appointment_id)
    messages = await _read_messages(session, appointment_id)
    rings = await _read_rings(session, appointment_id)
    names = await names_of(session, _people_in(changes, messages, appointment))
    told = _by_cause(messages, rings, names, {each.undone_at for each in changes})
    return _arranged(appointment, changes, [_planned(each, told) for each in planned], told, keys, names, messages)


def _arranged(
    appointment: Appointment,
    changes: Sequence[AppointmentChange],
    planned: Sequence[Planned],
    told: Mapping[str, list[Told]],
    keys: Keys,
    names: _Names,
    messages: Sequence[Message],
) -> Story:
    """Puts everything in its place: what a change took off the plan, or came too late for, stands with that change."""
    moments = {change.at for change in changes}
    dropped = [each for each in planned if each.state in (Fate.SKIPPED, Fate.CANCELLED) and each.at in moments]
    places = _places(appointment, changes, names)
    happened: list[Changed | Planned | Written] = [
        Changed(
            id=change.id,
            event=Event(change.event),
            occurrence=change.occurrence,
            at=change.at,
            actor_kind=change.actor_kind,
            who=names.get(change.actor_id) if change.actor_id else None,
            said=said_with(keys, change),
            undone_at=change.undone_at,
            was=places[place] if change.event == Event.RESCHEDULED else None,
            became=places[place + 1] if change.event == Event.RESCHEDULED else None,
            told=sorted(told.get(f"{_ABOUT}/{change.id}", []) + _held_back(change), key=_order),
            dropped=[each for each in dropped if each.at == change.at],
        )
        for place, change in enumerate(changes)
    ]
    happened += [each for each in planned if each not in dropped and _is_over(each) and _stands_alone(each)]
    happened += [
        Written(
            message.created_at, message.actor_kind, names.get(message.actor_id) if message.actor_id else None, itself
        )
        for message in messages
        if (itself := told.get(f"message/{message.id}"))
    ]
    return Story(sorted(happened, key=lambda each: each.at), [each for each in planned if not _is_over(each)])


def _is_over(planned: Planned) -> bool:
    return planned.state != Fate.PLANNED


def _stands_alone(planned: Planned) -> bool:
    """That the patient was missed is told with the change itself."""
    return planned.kind == Kind.REMINDER or planned.state != Fate.TOLD


def _places(appointment: Appointment, changes: Sequence[AppointmentChange], names: _Names) -> list[Place]:
    """Where the visit was before each change, and at the end where it is now."""

    def place(starts_at: datetime, minutes: int, clinician: uuid.UUID) -> Place:
        return Place(starts_at, minutes, names.get(clinician))

    found = [place(appointment.starts_at, appointment.minutes, appointment.clinician_id)]
    for change in reversed(changes):
        before = restored(change.before) if change.before else None
        found.append(place(before["starts_at"], before["minutes"], before["clinician_id"]) if before else found[-1])
    return found[::-1]


async def _read_messages(session: AsyncSession, appointment: uuid.UUID) -> list[Message]:
    query = select(Message).where(Message.related_id == appointment, Message.related_type == _ABOUT)
    ordered = query.order_by(Message.created_at, Message.id).limit(MOST_TOLD).options(defer(Message.sealed))
    return list((await session.execute(ordered)).scalars())


async def _read_rings(session: AsyncSession, appointment: uuid.UUID) -> list[tuple[Notification, str, str]]:
    """The notifications about a visit, with the name and role of whom they rang for."""
    query = (
        select(Notification, Staff.name, Staff.role)
        .join(Staff, Staff.id == Notification.person_id)
        .where(Notification.related_id == appointment, Notification.related_type == _ABOUT)
        .order_by(Notification.created_at, Staff.name)
        .limit(MOST_TOLD)
    )
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


def _people_in(
    changes: Iterable[AppointmentChange], messages: Iterable[Message], appointment: Appointment
) -> set[uuid.UUID]:
    found = {change.actor_id for change in changes} | {appointment.clinician_id}
    found |= {uuid.UUID(change.before["clinician_id"]) for change in changes if change.before}
    for message in messages:
        found |= {message.actor_id, message.staff_id}
    return {each for each in found if each is not None}


def _by_cause(
    messages: Iterable[Message],
    rings: Iterable[tuple[Notification, str, str]],
    names: _Names,
    undone: Collection[datetime | None],
) -> dict[str, list[Told]]:
    """What was told, by what it was told of: a change, a reminder of one time, or a message by itself."""
    found: dict[str, list[Told]] = defaultdict(list)
    at_the_desk: dict[str, Told] = {}
    for ring, name, role in rings:
        cause = f"{_ABOUT}/{ring.facts.get('change')}"
        if role == Role.PROVIDER:
            found[cause].append(_rung(ring, Recipient.CLINICIAN, name, undone))
        else:
            at_the_desk[cause] = _together(at_the_desk.get(cause), _rung(ring, Recipient.DESK, name, undone))
    for cause, told in at_the_desk.items():
        found[cause].append(told)
    for message in messages:
        cause, to = _cause(message)
        found[cause].append(_sent(message, to, names))
    return {cause: sorted(told, key=_order) for cause, told in found.items()}


def _order(told: Told) -> tuple[int, int, datetime]:
    """As the table of tellings has it."""
    return [*Recipient].index(told.to), [Way.TEXT, Way.EMAIL, Way.IN_APP].index(told.over), told.at


def _cause(message: Message) -> tuple[str, Recipient]:
    """What a message tells of, by its reference; one that is not the house's own stands by itself."""
    to = Recipient.PATIENT if message.staff_id is None else Recipient.CLINICIAN
    match (message.reference or "").split("/"):
        case ["appointment", visit, change, _, _] if visit == str(message.related_id):
            return f"{_ABOUT}/{change}", to
        case ["reminder", visit, occurrence, ahead] if visit == str(message.related_id):
            return f"reminder/{occurrence}/{ahead}", to
    return f"message/{message.id}", to


def _rung(ring: Notification, to: Recipient, name: str, undone: Collection[datetime | None]) -> Told:
    """What was put away unread in the moment of an undo was taken back by it; anything else put away was seen."""
    is_gone = ring.archived_at is not None and ring.archived_at == ring.read_at and ring.archived_at in undone
    state = TAKEN_BACK if is_gone else UNREAD if ring.read_at is None else READ
    return Told(to, Way.IN_APP, ring.created_at, state, who=name, seen=int(state == READ))


def _together(earlier: Told | None, ring: Told) -> Told:
    """The same ring at everybody's desk is told once, with how many have seen it."""
    if earlier is None:
        return ring
    people, seen = earlier.people + 1, earlier.seen + ring.seen
    state = ring.state if ring.state == earlier.state else UNREAD
    return replace(earlier, who=None, people=people, seen=seen, state=state)


def _sent(message: Message, to: Recipient, names: _Names) -> Told:
    return Told(
        to,
        Way.EMAIL if message.channels == [Channel.EMAIL] else Way.TEXT,
        message.created_at,
        message.state,
        message.reason,
        who=names.get(message.staff_id) if message.staff_id else None,
        message=message.id,
        channel=Channel(message.channel),
        topic=message.topic,
        code=message.code,
        until=message.due_at if message.state == State.QUEUED else None,
    )


def _held_back(change: AppointmentChange) -> list[Told]:
    def held(row: Mapping[str, Any]) -> Told:
        return Told(Recipient(row["to"]), Way(row["over"]), change.at, HELD_BACK, row["reason"])

    return [held(row) for row in change.held]


def _planned(row: PlannedNotice, told: Mapping[str, list[Told]]) -> Planned:
    return Planned(
        row.kind,
        row.ahead,
        row.occurrence,
        row.due_at,
        row.state,
        row.reason,
        row.settled_at or row.planned_at,
        told.get(f"reminder/{row.occurrence}/{row.ahead}", []),
    )
