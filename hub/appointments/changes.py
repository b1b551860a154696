"""Each change of an appointment as it is kept: what was done, by whom, how it stood before, what was said with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.tables import Appointment, AppointmentChange
from hub.appointments.tellings import Event
from hub.crypto import CannotOpen, Keys
from hub.work import Work

# What a change may change, and undoing it puts back.
MOMENTS = ("starts_at", "confirmed_at", "arrived_at", "started_at", "ended_at")
KEPT = ("state", "minutes", "clearance", "consent", "wish", *MOMENTS)
MOST_TOLD = 500


@dataclass(frozen=True, slots=True)
class News:
    """What there is to tell: of which change, with which words, and how things stood before.

    `hold` is how long what leaves the building is held back, so that a wrong click can still be taken back.
    """

    change: int
    event: Event
    said: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)
    hold: timedelta = timedelta(0)


def snapshot(appointment: Appointment) -> dict[str, Any]:
    """How an appointment stands: no name, no words, fit for the audit log."""
    found = {"number": appointment.number, "clinician_id": str(appointment.clinician_id)}
    for name in KEPT:
        value = getattr(appointment, name)
        found[name] = value.isoformat() if isinstance(value, datetime) else value
    return found


def restored(before: Mapping[str, Any]) -> dict[str, Any]:
    """What `snapshot` wrote down, as the columns hold it."""
    moments = {name: datetime.fromisoformat(before[name]) if before[name] else None for name in MOMENTS}
    return {**{name: before[name] for name in KEPT}, **moments, "clinician_id": uuid.UUID(before["clinician_id"])}


async def write_change(
    work: Work, appointment: Appointment, event: Event, before: Mapping[str, Any] | None = None, said: str = ""
) -> int:
    """Keep what was done; returns the number by which notices and messages name it."""
    change = AppointmentChange(
        tenant_id=work.tenant,
        appointment_id=appointment.id,
        event=event,
        occurrence=appointment.occurrence,
        before=dict(before) if before is not None else None,
        held=[],
        actor_kind=work.actor.kind,
        actor_id=work.actor.id,
        at=work.now,
    )
    work.session.add(change)
    await work.session.flush()
    if said:
        change.sealed = work.keys.seal(said.encode(), _place(change.id))
        await work.session.flush()
    return change.id


async def read_changes(session: AsyncSession, appointment: uuid.UUID) -> list[AppointmentChange]:
    """What was done to an appointment, oldest first; of very much, the latest."""
    query = select(AppointmentChange).where(AppointmentChange.appointment_id == appointment)
    latest = await session.execute(query.order_by(AppointmentChange.id.desc()).limit(MOST_TOLD))
    return [*latest.scalars()][::-1]


def said_with(keys: Keys, change: AppointmentChange) -> str | None:
    """The words that came with a change; None when their key is not here any more."""
    if change.sealed is None:
        return ""
    try:
        return keys.open(change.sealed, _place(change.id)).decode()
    except CannotOpen:
        return None


def _place(change: int) -> bytes:
    return f"appointment_changes|sealed|{change}".encode()
