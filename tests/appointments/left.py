"""Everything that an answer or a click may leave behind of a visit, to compare before and after."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.appointments.board import read_version, read_visit
from hub.appointments.tables import Appointment
from hub.audit import AuditEntry
from hub.inbox.tables import Notification
from hub.wiring import House
from tests.factories import Clinic


@dataclass(frozen=True, slots=True)
class Left:
    """What there is to see of a visit: its row, what is written of it, who was rung, and the board's version."""

    row: dict[str, Any]
    audit: Sequence[tuple[str, str, uuid.UUID | None]]
    rung: Sequence[tuple[uuid.UUID, str]]
    version: int


async def left(house: House, clinic: Clinic, visit: Appointment) -> Left:
    async with house.database.of_tenant(clinic.id) as session:
        found = (await read_visit(session, visit.id)).appointment
        row = {column.name: getattr(found, column.name) for column in Appointment.__table__.columns}
        entries = select(AuditEntry.action, AuditEntry.actor_kind, AuditEntry.actor_id).order_by(AuditEntry.number)
        about = entries.where(AuditEntry.object_id == visit.id)
        bells = select(Notification.person_id, Notification.kind).order_by(Notification.created_at, Notification.kind)
        return Left(
            row,
            [(action, kind, who) for action, kind, who in await session.execute(about)],
            [(person, kind) for person, kind in await session.execute(bells)],
            await read_version(session),
        )
