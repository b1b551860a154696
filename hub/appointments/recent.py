"""What a board shows of the latest changes of many visits: what may be taken back, and what patients asked for."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.changes import said_with
from hub.appointments.tables import AppointmentChange
from hub.appointments.tellings import Event
from hub.appointments.undo import UNDO_WITHIN, last_undoable
from hub.crypto import Keys


async def read_undoable(
    session: AsyncSession, appointments: Collection[uuid.UUID], now: datetime
) -> Mapping[uuid.UUID, AppointmentChange]:
    """The change of each of these visits that may be taken back now; visits without one are left out."""
    query = select(AppointmentChange).where(
        AppointmentChange.appointment_id.in_(appointments), AppointmentChange.at >= now - UNDO_WITHIN
    )
    recent: dict[uuid.UUID, list[AppointmentChange]] = defaultdict(list)
    for change in (await session.execute(query.order_by(AppointmentChange.id))).scalars():
        recent[change.appointment_id].append(change)
    # One that is older stands before these, so it is not the latest; and alone it could not be taken back any more.
    found = {visit: last_undoable(changes, now) for visit, changes in recent.items()}
    return {visit: change for visit, change in found.items() if change is not None}


async def read_wishes(
    session: AsyncSession, keys: Keys, appointments: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, str | None]:
    """The words with which patients last asked for another time; None when their key is not here any more."""
    query = select(AppointmentChange).where(
        AppointmentChange.appointment_id.in_(appointments), AppointmentChange.event == Event.WISH
    )
    changes = (await session.execute(query.order_by(AppointmentChange.id))).scalars()
    return {change.appointment_id: said_with(keys, change) for change in changes}
