"""What is planned ahead of a visit, as rows: written, moved and dropped in the transaction that causes it."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.tables import Appointment, PlannedNotice
from hub.appointments.tellings import Event
from hub.people.tenants import Clinic
from hub.work import Work


async def plan_reminders(work: Work, appointment: Appointment, clinic: Clinic, since: datetime | None = None) -> None:
    """Plan the reminders of the visit's present time by the clinic's rules; one that was told already stays told.

    Those that were due at `since`, or now, are skipped, because it was booked too late for them.
    """
    raise NotImplementedError


async def plan_no_show(work: Work, appointment: Appointment) -> None:
    """Plan to tell, after the clinic's hold, that the patient was missed."""
    raise NotImplementedError


async def cancel_planned(work: Work, appointment: uuid.UUID, event: Event) -> None:
    """Drop everything that is still planned for a visit; the reason kept is what happened to it."""
    raise NotImplementedError


async def revive_planned(work: Work, appointment: Appointment, event: Event) -> None:
    """Plan again the reminders of the present time that were dropped for this reason."""
    raise NotImplementedError


async def read_planned(session: AsyncSession, appointment: uuid.UUID) -> list[PlannedNotice]:
    """Everything that is or was planned for a visit, by when it is due."""
    raise NotImplementedError
