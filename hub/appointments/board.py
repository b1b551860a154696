"""The arrivals board: a clinic's day by clinician, and the version that tells every desk when it changed."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from hub.appointments.states import State
from hub.appointments.tables import Appointment, ArrivalsBoard
from hub.errors import NotFound
from hub.people.tables import Patient, Staff
from hub.work import Work

TOPIC = "arrivals"

# More than any clinic sees in a day; the board says so if there are more.
MOST_VISITS = 2000


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment with the names of the two people it brings together."""

    appointment: Appointment
    patient: str
    clinician: str


async def board_changed(work: Work) -> None:
    """Give the clinic's board its next version, once in the transaction that changes it; its row stays locked."""
    if work.has_changed(TOPIC):
        return
    add = insert(ArrivalsBoard).values(tenant_id=work.tenant, version=1)
    upsert = add.on_conflict_do_update(index_elements=["tenant_id"], set_={"version": ArrivalsBoard.version + 1})
    version = (await work.session.execute(upsert.returning(ArrivalsBoard.version))).scalar_one()
    work.topic_changed(TOPIC, version)


async def read_version(session: AsyncSession) -> int:
    """The board's version; 0 before anything was booked."""
    return (await session.execute(select(ArrivalsBoard.version))).scalar_one_or_none() or 0


async def read_versions(watch: AsyncConnection, tenants: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The boards' versions of many tenants, in one query."""
    query = select(ArrivalsBoard.tenant_id, ArrivalsBoard.version).where(ArrivalsBoard.tenant_id.in_(tenants))
    return {row.tenant_id: row.version for row in (await watch.execute(query)).all()}


async def read_visits(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    *,
    clinician: uuid.UUID | None = None,
    states: Collection[State] | None = None,
    search: str | None = None,
    after: tuple[datetime, uuid.UUID] | None = None,
    limit: int = MOST_VISITS,
) -> list[Visit]:
    """Visits that start in [since, until), by time; those behind `after`, of one clinician, in some states.

    `search` is part of the patient's name, the end of the visit's number, or an id of the practice system, whole.
    """
    query = _visits().where(Appointment.starts_at >= since, Appointment.starts_at < until)
    if clinician is not None:
        query = query.where(Appointment.clinician_id == clinician)
    if states is not None:
        query = query.where(Appointment.state.in_([str(state) for state in states]))
    if search and search.strip():
        query = query.where(_matching(search.strip()))
    if after is not None:
        query = query.where(tuple_(Appointment.starts_at, Appointment.id) > tuple_(*after))
    rows = (await session.execute(query.order_by(Appointment.starts_at, Appointment.id).limit(limit))).all()
    return [Visit(appointment, patient, clinician) for appointment, patient, clinician in rows]


async def read_visit_by_external_id(
    session: AsyncSession, external_id: str, clinician: uuid.UUID | None = None
) -> Visit | None:
    """The visit that the practice system knows by this id, of one clinician when given; None when there is none."""
    return await _one(session, Appointment.external_id == external_id, clinician)


async def read_visit(session: AsyncSession, appointment: uuid.UUID, clinician: uuid.UUID | None = None) -> Visit:
    """One visit, of one clinician when given; raises NotFound."""
    found = await _one(session, Appointment.id == appointment, clinician)
    if found is None:
        raise NotFound("There is no such appointment.")
    return found


async def _one(session: AsyncSession, which: ColumnElement[bool], clinician: uuid.UUID | None) -> Visit | None:
    query = _visits().where(which)
    if clinician is not None:
        query = query.where(Appointment.clinician_id == clinician)
    row = (await session.execute(query)).one_or_none()
    return Visit(*row) if row else None


def _matching(search: str) -> ColumnElement[bool]:
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return or_(
        Patient.name.ilike(f"%{escaped}%"),
        Appointment.number.like(f"%{escaped}"),
        Appointment.external_id == search,
        Patient.external_id == search,
    )


def _visits() -> Select[Appointment, str, str]:
    return (
        select(Appointment, Patient.name, Staff.name)
        .join(Patient, Patient.id == Appointment.patient_id)
        .join(Staff, Staff.id == Appointment.clinician_id)
    )
