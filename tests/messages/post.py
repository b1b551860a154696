"""A clinic's post room: messages to one patient, vendors that answer as they are told, and a clock to move."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from hub.channels.registry import Registry
from hub.channels.vendor import Channel
from hub.messages.compose import Sending, send_message
from hub.messages.deliver import Courier, deliver_due
from hub.messages.tables import Attempt, Message, MessageStep
from hub.people.choices import Topic
from hub.people.tables import Patient
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic
from tests.messages.vendors import Scripted

NOON = datetime(2026, 3, 1, 9, tzinfo=UTC)  # 12:00 in Riyadh
BOTH = (Channel.SMS, Channel.EMAIL)


@dataclass
class Post:
    """A clinic's post room with vendors of its own."""

    house: House
    clinic: Clinic
    clock: MovableClock
    courier: Courier
    vendor: Scripted
    patient: Patient

    async def queue(self, words: str = "Your visit is tomorrow", **values: Any) -> uuid.UUID:
        """One to the patient, in words of one's own."""
        sending = Sending(self.patient.id, topic=Topic.REMINDERS, text=words, channels=BOTH)
        async with self.house.open_work(self.clinic.id, SYSTEM) as work:
            return (await send_message(work, replace(sending, **values))).id

    async def send(self, lane: str = "normal") -> int:
        """Send what is due."""
        return await deliver_due(self.courier, self.clinic.id, lane)

    async def later(self, seconds: float) -> None:
        """Send what is due so much later."""
        self.clock.move(timedelta(seconds=seconds))
        await self.send()

    async def read(self, message: uuid.UUID) -> Message:
        """A message as it is now."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return (await session.execute(select(Message).where(Message.id == message))).scalar_one()

    async def attempts(self, message: uuid.UUID) -> list[Attempt]:
        """Its requests, in order."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            query = select(Attempt).where(Attempt.message_id == message).order_by(Attempt.number)
            return list((await session.execute(query)).scalars())

    async def steps(self, message: uuid.UUID) -> list[tuple[str, str | None]]:
        """The states and reasons of its log."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            query = select(MessageStep).where(MessageStep.message_id == message).order_by(MessageStep.id)
            return [(step.state, step.reason) for step in (await session.execute(query)).scalars()]

    async def do(self, verb: Callable[..., Awaitable[Any]], *values: Any, **named: Any) -> Any:
        """Do something in the clinic."""
        async with self.house.open_work(self.clinic.id, SYSTEM) as work:
            return await verb(work, *values, **named)

    def use(self, *vendors: Scripted) -> None:
        """Have these vendors, the first before those that stand in for it."""
        of: dict[Channel, Sequence[Scripted]] = {
            channel: [each for each in vendors if channel in each.channels] for channel in Channel
        }
        self.courier = replace(self.courier, vendors=Registry(of))
