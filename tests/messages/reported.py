"""A message that a vendor has taken, and what that vendor then reports about it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hub.channels.vendor import Channel, Report, ReportKind
from hub.messages.receipts import apply_due_reports, store_reports
from hub.messages.tables import Attempt, Message, MessageStep, VendorEvent
from hub.people.contact_points import set_contact
from hub.people.tables import ContactPoint, Patient, PatientChoice
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, add_patient
from tests.messages.rows import make_message, make_request

VENDORS = {Channel.EMAIL: "ses", Channel.SMS: "twilio", Channel.WHATSAPP: "twilio"}


def new_number() -> str:
    """A number that nobody else has."""
    return f"+9665{random.randrange(10**8):08}"


@dataclass(frozen=True, slots=True)
class Taken:
    """One message with its one request, and the patient it is for."""

    house: House
    clinic: Clinic
    patient: Patient
    point: uuid.UUID
    to: str
    message_id: uuid.UUID
    attempt_id: uuid.UUID
    vendor: str
    vendor_id: str
    channel: Channel

    def report(self, kind: ReportKind, **changes: Any) -> Report:
        """What its vendor reports, as a fact of its own unless `fact` names it."""
        fact = changes.pop("fact", uuid.uuid4().hex)
        values: dict[str, Any] = {
            "vendor": self.vendor,
            "transport_id": fact,
            "semantic_key": fact,
            "kind": kind,
            "occurred_at": self.house.clock(),
            "channel": self.channel,
            "vendor_id": self.vendor_id,
            "address": self.to,
        }
        return Report(**(values | changes))

    async def told(self, *reports: Report) -> int:
        """Store reports one after the other, and apply what is due; returns how many were new."""
        new = 0
        for report in reports:
            new += await store(self.house, [report])
            await apply(self.house)
        return new

    async def message(self) -> Message:
        """The message as it is now."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return (await session.execute(select(Message).where(Message.id == self.message_id))).scalar_one()

    async def attempt(self) -> Attempt:
        """The request as it is now."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return (await session.execute(select(Attempt).where(Attempt.id == self.attempt_id))).scalar_one()

    async def contact(self) -> ContactPoint:
        """Where the patient is reached, as it is now."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return (await session.execute(select(ContactPoint).where(ContactPoint.id == self.point))).scalar_one()

    async def choices(self) -> list[tuple[str | None, bool, str]]:
        """What the patient chose: the channel, whether it is allowed, and how we know."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            query = select(PatientChoice).where(PatientChoice.patient_id == self.patient.id).order_by(PatientChoice.id)
            return [(row.channel, row.allowed, row.source) for row in (await session.execute(query)).scalars()]

    async def steps(self) -> list[tuple[str, str | None]]:
        """The states and reasons of the message's log."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            query = select(MessageStep).where(MessageStep.message_id == self.message_id).order_by(MessageStep.id)
            return [(step.state, step.reason) for step in (await session.execute(query)).scalars()]


async def taken(
    house: House,
    clinic: Clinic,
    channel: Channel = Channel.EMAIL,
    *,
    channels: Sequence[Channel] | None = None,
    to: str | None = None,
    patient: Patient | None = None,
    vendor: str | None = None,
    message: dict[str, Any] | None = None,
    **request: Any,
) -> Taken:
    """A message that the vendor has, over its only channel unless others follow."""
    kind = "email" if channel is Channel.EMAIL else "phone"
    to = to or (f"{uuid.uuid4().hex}@example.org" if kind == "email" else new_number())
    patient = patient or await add_patient(house, clinic, phone=None, email=None)
    async with house.open_work(clinic.id, SYSTEM) as work:
        point = await set_contact(work, patient.id, kind, to)  # type: ignore[arg-type]
        assert point is not None
    row: dict[str, Any] = {
        "channel": channel,
        "channels": [*(channels or (channel,))],
        "state": "sent",
        "attempt": 1,
        "tries": 1,
    }
    message_id = await make_message(house, clinic, patient, **(row | (message or {})))
    vendor, vendor_id = vendor or VENDORS[channel], uuid.uuid4().hex
    values: dict[str, Any] = {"vendor": vendor, "vendor_id": vendor_id, "contact_point_id": point.id} | request
    attempt_id = await make_request(house, clinic, message_id, out={"to": to}, channel=channel, **values)
    return Taken(house, clinic, patient, point.id, to, message_id, attempt_id, vendor, vendor_id, channel)


async def store(house: House, reports: Sequence[Report], raw: bytes = b"as it came") -> int:
    """Store reports as a vendor's request brings them."""
    return await store_reports(house.database, house.keys, reports, raw, house.clock())


async def apply(house: House) -> int:
    """Apply what is due, as the job does."""
    return await apply_due_reports(house.database, house.open_work, house.keys, house.clock)


async def event_of(house: House, report: Report) -> VendorEvent:
    """A report as it is stored."""
    async with house.database.of_nobody() as session:
        query = select(VendorEvent).where(VendorEvent.semantic_key == report.semantic_key)
        return (await session.execute(query)).scalar_one()
