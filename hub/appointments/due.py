"""Telling what is due of what was planned: each visit is locked, read again, and told what is still true and useful.

The lock is the visit's own row, which every change of a visit takes first. A visit that is being changed is passed over
and looked at again later, so this waits for nobody; a change that comes meanwhile waits, and then sees what was queued
here and takes it back. Two workers never have the same visit.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.appointments.changes import News, read_changes, restored
from hub.appointments.confirmation import link_of
from hub.appointments.planned_rows import Fate, Kind
from hub.appointments.reminders import read_ahead, settle_due
from hub.appointments.states import AHEAD, State
from hub.appointments.tables import Appointment, PlannedNotice
from hub.appointments.tell import reason_of, tell
from hub.appointments.tellings import Event
from hub.db import fetch_directly
from hub.errors import HubError, Unavailable
from hub.logs import get_logger
from hub.messages.compose import Sending, send_many
from hub.messages.tables import Message
from hub.people.tables import Staff
from hub.work import Work

log = get_logger(__name__)

AT_ONCE = 200
DAY_CODE, HOURS_CODE = "appointment_reminder_day", "appointment_reminder_hours"
FAILED, ARRIVAL_SEEN = "failed", "arrival_seen"

# The first that waits for each tenant: one look at the beginning of its part of the index, however much is planned.
DUE_SOMEWHERE = text("""
SELECT id FROM tenants WHERE (
    SELECT due_at FROM planned_notices WHERE tenant_id = tenants.id AND state = 'planned' ORDER BY due_at LIMIT 1
) <= :now
""")
CLAIM = """
SELECT visit.id FROM planned_notices AS notice JOIN appointments AS visit ON visit.id = notice.appointment_id
WHERE notice.tenant_id = $1 AND notice.state = 'planned' AND notice.due_at <= $2
ORDER BY notice.due_at, notice.id LIMIT $3 FOR NO KEY UPDATE OF visit SKIP LOCKED
"""
SETTLE = """
UPDATE planned_notices AS notice SET state = settled.state, reason = settled.reason, settled_at = $1
FROM unnest($2::uuid[], $3::text[], $4::text[]) AS settled(id, state, reason) WHERE notice.id = settled.id
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that is locked, with its clinician's name and everything that is planned for it and not settled yet."""

    appointment: Appointment
    clinician: str
    planned: Sequence[PlannedNotice]


Settled = tuple[Fate, str | None]
TOLD: Settled = (Fate.TOLD, None)


async def tenants_due(watch: AsyncConnection, now: datetime) -> list[uuid.UUID]:
    """Where something planned is due."""
    return list((await watch.execute(DUE_SOMEWHERE, {"now": now})).scalars())


async def tell_due(work: Work, limit: int = AT_ONCE) -> int:
    """Tell what is due, up to `limit`; returns how many were dealt with: fewer than `limit`, when that is all."""
    claimed = await fetch_directly(work.session, CLAIM, work.tenant, work.now, limit)
    settled: dict[uuid.UUID, Settled] = {}
    sendings: dict[uuid.UUID, Sending] = {}
    for visit in await _read_visits(work, {row["id"] for row in claimed}):
        reminders = [each for each in visit.planned if each.kind == Kind.REMINDER and each.due_at <= work.now]
        settled |= _settle_reminders(work, visit, reminders)
        sendings |= {each.id: _reminder(work, visit, each) for each in reminders if settled[each.id] == TOLD}
        for missed in (each for each in visit.planned if each.kind == Kind.NO_SHOW and each.due_at <= work.now):
            settled[missed.id] = await _tell_no_show(work, visit.appointment, missed)
    settled |= await _queue(work, sendings)
    if settled:
        rows = [(id_, fate.value, reason) for id_, (fate, reason) in settled.items()]
        await fetch_directly(work.session, SETTLE, work.now, *zip(*rows, strict=True))
    return len(claimed)


async def _read_visits(work: Work, locked: Collection[uuid.UUID]) -> list[Visit]:
    """Read by later statements than the one that locked them: as whoever had them before left them."""
    if not locked:
        return []
    planned: dict[uuid.UUID, list[PlannedNotice]] = {id_: [] for id_ in locked}
    waiting = select(PlannedNotice).where(PlannedNotice.appointment_id.in_(locked), PlannedNotice.state == Fate.PLANNED)
    for notice in (await work.session.execute(waiting.order_by(PlannedNotice.due_at, PlannedNotice.id))).scalars():
        planned[notice.appointment_id].append(notice)
    found = select(Appointment, Staff.name).join(Staff, Staff.id == Appointment.clinician_id)
    # In order of whom they ring, so that two workers never wait for each other's bells.
    found = found.where(Appointment.id.in_(locked)).order_by(Appointment.clinician_id, Appointment.id)
    rows = await work.session.execute(found)
    return [Visit(appointment, clinician, planned[appointment.id]) for appointment, clinician in rows.all()]


def _settle_reminders(work: Work, visit: Visit, due: Sequence[PlannedNotice]) -> dict[uuid.UUID, Settled]:
    """What is to become of each: one is told at most."""
    dead = {each.id: (Fate.CANCELLED, why) for each in due if (why := _why_dead(visit.appointment, each, AHEAD))}
    alive = [each for each in due if each.id not in dead]
    reasons = settle_due([each.due_at for each in alive], visit.appointment.starts_at, work.now)
    fates = [(Fate.SKIPPED, reason) if reason else TOLD for reason in reasons]
    return dead | {each.id: fate for each, fate in zip(alive, fates, strict=True)}


def _why_dead(appointment: Appointment, notice: PlannedNotice, alive: Collection[State]) -> str | None:
    """Every change drops what it makes untrue; this is for the one that some day forgets to."""
    if notice.occurrence != appointment.occurrence:
        return Event.RESCHEDULED
    return None if appointment.state in alive else appointment.state


def _reminder(work: Work, visit: Visit, notice: PlannedNotice) -> Sending:
    appointment = visit.appointment
    later = [
        each.due_at
        for each in visit.planned
        if (each.kind, each.occurrence) == (Kind.REMINDER, notice.occurrence) and each.due_at > work.now
    ]
    return Sending(
        appointment.patient_id,
        code=DAY_CODE if read_ahead(notice.ahead).days else HOURS_CODE,
        values={
            "clinician": visit.clinician,
            "starts_at": appointment.starts_at.isoformat(),
            "link": link_of(work, appointment),
        },
        expires_at=min(later, default=appointment.starts_at),
        reference=f"reminder/{appointment.id}/{notice.occurrence}/{notice.ahead}",
        related=("appointment", appointment.id),
    )


async def _queue(work: Work, sendings: Mapping[uuid.UUID, Sending]) -> dict[uuid.UUID, Settled]:
    """Queue them; what cannot be is skipped with its reason. One that makes us fail spoils no other."""
    if not sendings:
        return {}
    try:
        async with _apart(work):
            answers = await send_many(work, list(sendings.values()))
    except Exception as error:
        if _may_pass(error):
            raise
        if len(sendings) > 1:
            apart = [await _queue(work, {id_: sending}) for id_, sending in sendings.items()]
            return {id_: fate for each in apart for id_, fate in each.items()}
        log.exception("a reminder was not queued", error=type(error).__name__)
        return dict.fromkeys(sendings, (Fate.SKIPPED, FAILED))
    return {id_: _fate_of(answer) for id_, answer in zip(sendings, answers, strict=True)}


def _fate_of(answer: Message | HubError) -> Settled:
    return (Fate.SKIPPED, reason_of(answer)) if isinstance(answer, HubError) else TOLD


async def _tell_no_show(work: Work, appointment: Appointment, notice: PlannedNotice) -> Settled:
    if why := _why_dead(appointment, notice, {State.NO_SHOW}):
        return Fate.CANCELLED, why
    changes = await read_changes(work.session, appointment.id)
    standing = [each for each in changes if each.undone_at is None]
    missed = next((each for each in reversed(standing) if each.event == Event.NO_SHOW), None)
    if missed is None or any((each.event, each.occurrence) == (Event.ARRIVED, missed.occurrence) for each in standing):
        return Fate.CANCELLED, ARRIVAL_SEEN
    try:
        async with _apart(work):
            await tell(work, appointment, News(missed.id, Event.NO_SHOW, before=restored(missed.before or {})))
    except Exception as error:
        if _may_pass(error):
            raise
        log.exception("a missed visit was not told", appointment_id=str(appointment.id), error=type(error).__name__)
        return Fate.SKIPPED, FAILED
    return TOLD


@asynccontextmanager
async def _apart(work: Work) -> AsyncIterator[None]:
    """What fails in here has not happened, and is not announced."""
    pushes, jobs = len(work.pushes), len(work.jobs)
    try:
        async with work.session.begin_nested():
            yield
    except BaseException:
        del work.pushes[pushes:], work.jobs[jobs:]
        raise


def _may_pass(error: Exception) -> bool:
    """Whether another try may go well: a database that is away or busy is nobody's fault, and then nothing is settled.

    What it says of the row itself, a value or a constraint (SQLSTATE 22 and 23), it says again.
    """
    if isinstance(error, DBAPIError | asyncpg.PostgresError):
        state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
        return not state.startswith(("22", "23"))
    return isinstance(error, OSError | asyncpg.InterfaceError | Unavailable)
