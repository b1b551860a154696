"""A clinic's diary under a clock that stands still: one patient's visits, what is planned for them, what was queued."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from hub.appointments.due import AT_ONCE, tell_due
from hub.appointments.lifecycle import Booking, book
from hub.appointments.planned import read_planned
from hub.appointments.tables import Appointment
from hub.messages.tables import Message
from hub.people.patients import Arriving
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.wiring import House
from hub.work import SYSTEM, Actor, Work
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient

# 10:00 in Riyadh.
MORNING = datetime(2026, 3, 2, 7, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
# A visit at 14:00 the day after tomorrow, with the reminders of a clinic that never decided.
START = MORNING + 2 * DAY + 4 * HOUR
BOTH_PLANNED = [("P1D", "planned", None), ("PT2H", "planned", None)]


@dataclass
class Diary:
    """What the desk of one clinic does, and what comes of it."""

    house: House
    clinic: Clinic
    clock: MovableClock
    patient: Patient

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Work]:
        """A unit of work by the front desk."""
        async with self.house.open_work(self.clinic.id, Actor("staff", self.clinic.desk.id)) as work:
            yield work

    async def do(self, verb: Callable[..., Awaitable[Any]], *values: Any, **named: Any) -> Any:
        """Do something at the desk."""
        async with self.desk() as work:
            return await verb(work, *values, **named)

    async def book(self, at: datetime = START) -> uuid.UUID:
        """A visit with Omar, of which nobody is told."""
        booking = Booking(Arriving(id=self.patient.id), self.clinic.omar.id, at, tell=False)
        found: Appointment = await self.do(book, booking)
        return found.id

    async def read(self, visit: uuid.UUID) -> Appointment:
        """The visit as it stands."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return (await session.execute(select(Appointment).where(Appointment.id == visit))).scalar_one()

    async def planned(self, visit: uuid.UUID, occurrence: int = 1) -> list[tuple[str, str, str | None]]:
        """What was planned for one time of the visit: how long ahead, what became of it, why."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            rows = await read_planned(session, visit)
        return [(row.ahead, row.state, row.reason) for row in rows if row.occurrence == occurrence]

    async def queued(self) -> list[Message]:
        """The reminders that became messages, in the order in which they did."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            query = select(Message).where(Message.reference.startswith("reminder/"))
            return list((await session.execute(query.order_by(Message.created_at, Message.reference))).scalars())

    async def references(self) -> list[str]:
        """Occurrence and length of each reminder that became a message."""
        return [str(each.reference).split("/", 2)[2] for each in await self.queued()]

    async def sweep(self, limit: int = AT_ONCE) -> int:
        """Tell what is due."""
        async with self.house.open_work(self.clinic.id, SYSTEM) as work:
            return await tell_due(work, limit)

    async def sweep_at(self, moment: datetime) -> int:
        """Tell what is due at a moment."""
        self.clock.stop(moment)
        return await self.sweep()


async def open_diary(house: House, clinic: Clinic, clock: MovableClock) -> Diary:
    """In the morning, with one patient and the words that every clinic begins with."""
    clock.stop(MORNING)
    diary = Diary(house, clinic, clock, await add_patient(house, clinic))
    await diary.do(install_defaults)
    return diary
