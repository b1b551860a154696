"""A house with a worker in it: one clinic, a vendor that answers as it is told, and a clock to move."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from hub.channels.vendor import Channel, Outgoing
from hub.messages.compose import Sending, send_message
from hub.messages.states import State
from hub.messages.tables import Message
from hub.people.choices import Topic
from hub.people.tables import Patient
from hub.scheduler import worker
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic
from tests.messages.vendors import Scripted

# A machine that has much else to do.
WITHIN_S = 20.0


@asynccontextmanager
async def working(house: House) -> AsyncIterator[asyncio.Task[None]]:
    """A whole worker, told to stop at the end."""
    task = asyncio.create_task(worker.work_forever(house))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Office:
    """A house with a database of its own, a clinic in it, and a vendor that answers as it is told."""

    house: House
    clinic: Clinic
    patient: Patient
    vendor: Scripted
    clock: MovableClock

    async def queue(self, lane: str = "normal", words: str = "Hello", **changes: Any) -> uuid.UUID:
        """A message to the patient, in words of one's own."""
        sending = Sending(self.patient.id, topic=Topic.REMINDERS, text=words, channels=(Channel.SMS,), lane=lane)
        async with self.house.open_work(self.clinic.id, SYSTEM) as work:
            return (await send_message(work, replace(sending, **changes))).id

    async def state(self, message: uuid.UUID) -> str:
        """How a message stands."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return (await session.execute(select(Message.state).where(Message.id == message))).scalar_one()

    async def becomes(self, message: uuid.UUID, state: State) -> None:
        """Wait until a message stands so."""
        async with asyncio.timeout(WITHIN_S):
            while await self.state(message) != state:
                await asyncio.sleep(0.02)


@dataclass
class Gate:
    """A vendor's door: requests whose words it knows wait until it is opened."""

    words: str
    begun: asyncio.Event
    opened: asyncio.Event

    async def __call__(self, outgoing: Outgoing) -> None:
        """Part of Scripted: before it answers."""
        if outgoing.text == self.words:
            self.begun.set()
            await self.opened.wait()


def gate(words: str = "slow") -> Gate:
    """One that holds up these words."""
    return Gate(words, asyncio.Event(), asyncio.Event())
