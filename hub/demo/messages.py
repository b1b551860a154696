"""A week of messages to the demo's patients, by the sandbox alone: most arrive, some do not, and one can see why.

What leaves at one moment is one transaction: no worker meanwhile finds anything half-done.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select

from hub.channels.vendor import Channel
from hub.demo.leaving import let_leave
from hub.demo.past import at
from hub.demo.patients import PATIENTS
from hub.demo.people import NOOR
from hub.errors import HubError
from hub.messages.compose import Sending, send_many
from hub.messages.tables import Message
from hub.people.choices import Topic, choose
from hub.people.tables import Patient
from hub.people.tenants import read_clinic
from hub.wiring import House
from hub.work import SYSTEM, Work

DAYS = 7
# The desk's hours at which the practice system sends, on the clinic's wall.
AT = (time(9, 30), time(14, 5), time(17, 40))
# Longer than three tries over two channels take.
LONGEST_STORY = timedelta(hours=1)

PHONE_FIRST = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)
MAIL = (Channel.EMAIL,)
TEXT = (Channel.SMS,)
WHATSAPP = (Channel.WHATSAPP, Channel.SMS)


@dataclass(frozen=True, slots=True)
class Planned:
    """One message of the demo: how many days ago, to which patient, on which occasion."""

    days_ago: int
    patient: int
    code: str
    channels: Sequence[Channel] = PHONE_FIRST
    department: str | None = None


PLAN: tuple[Planned, ...] = (
    Planned(7, 1, "appointment_confirmed", PHONE_FIRST, "Dermatology"),
    Planned(7, 2, "invoice_issued", MAIL, "Billing"),
    Planned(7, 4, "appointment_reminder_day", PHONE_FIRST, "Cardiology"),
    Planned(7, 14, "appointment_completed", MAIL, "Dermatology"),
    Planned(6, 3, "results_ready", WHATSAPP, "Laboratory"),
    Planned(6, 15, "appointment_reminder_day", PHONE_FIRST, "Cardiology"),
    Planned(6, 5, "appointment_rescheduled", PHONE_FIRST, "Paediatrics"),
    Planned(6, 14, "invoice_issued", MAIL, "Billing"),
    Planned(6, 7, "appointment_reminder_hours", TEXT, "Paediatrics"),
    Planned(5, 8, "appointment_confirmed", PHONE_FIRST, "Cardiology"),
    Planned(5, 16, "appointment_reminder_day", TEXT, "Cardiology"),
    Planned(5, 10, "payment_received", MAIL, "Billing"),
    Planned(5, 18, "appointment_reminder_day", WHATSAPP, "Dermatology"),
    Planned(5, 6, "announcement", MAIL),
    Planned(4, 11, "appointment_reminder_day", PHONE_FIRST, "Paediatrics"),
    Planned(4, 17, "appointment_confirmed", PHONE_FIRST, "Dermatology"),
    Planned(4, 12, "payment_reminder", TEXT, "Billing"),
    Planned(4, 1, "announcement", MAIL),
    Planned(3, 13, "results_ready", WHATSAPP, "Laboratory"),
    Planned(3, 2, "appointment_cancelled", PHONE_FIRST, "Cardiology"),
    Planned(3, 9, "appointment_completed", MAIL, "Paediatrics"),
    Planned(3, 4, "payment_reminder", TEXT, "Billing"),
    Planned(2, 3, "appointment_reminder_day", PHONE_FIRST, "Laboratory"),
    Planned(2, 16, "results_ready", TEXT, "Laboratory"),
    Planned(2, 8, "appointment_no_show", MAIL, "Cardiology"),
    Planned(2, 18, "appointment_reminder_hours", WHATSAPP, "Dermatology"),
    Planned(2, 10, "invoice_issued", MAIL, "Billing"),
    Planned(1, 5, "appointment_confirmed", PHONE_FIRST, "Paediatrics"),
    Planned(1, 1, "appointment_reminder_day", PHONE_FIRST, "Dermatology"),
    Planned(1, 7, "appointment_reminder_day", WHATSAPP, "Paediatrics"),
    Planned(1, 12, "results_ready", PHONE_FIRST, "Laboratory"),
    Planned(1, 18, "payment_received", MAIL, "Billing"),
    Planned(1, 6, "payment_reminder", TEXT, "Billing"),
)
# What waits for tomorrow morning.
TOMORROW = (
    Planned(-1, 2, "appointment_reminder_day", PHONE_FIRST, "Cardiology"),
    Planned(-1, 9, "appointment_reminder_day", PHONE_FIRST, "Paediatrics"),
)
# Who wants to hear what the clinic has to announce.
WANTS_NEWS = 1


async def tell_a_week_of_messages(house: House) -> None:
    """Send what is planned, each at its moment in the past week, unless there are messages already."""
    async with house.database.of_tenant(NOOR.id) as session:
        if (await session.execute(select(func.count()).select_from(Message))).scalar_one():
            return
        zone = (await read_clinic(session, NOOR.id)).zone
        numbers = {patient.external_id: place for place, patient in enumerate(PATIENTS, 1)}
        found = await session.execute(select(Patient.external_id, Patient.id).where(Patient.external_id.in_(numbers)))
        files = {numbers[row.external_id or ""]: row.id for row in found}
    today = house.clock().astimezone(zone).date()
    async with at(house, house.clock() - timedelta(days=DAYS + 1))(NOOR.id, SYSTEM) as work:
        await choose(work, files[WANTS_NEWS], topic=Topic.MARKETING, allowed=True, source="desk")
    for days_ago in range(DAYS, 0, -1):
        for hour, wanted in zip(AT, _by_hour(days_ago), strict=True):
            moment = datetime.combine(today - timedelta(days=days_ago), hour, zone).astimezone(UTC)
            if wanted:
                await _send_at(house, moment, [(files[each.patient], each) for each in wanted])
    morning = datetime.combine(today + timedelta(days=1), AT[0], zone).astimezone(UTC)
    async with at(house, house.clock())(NOOR.id, SYSTEM) as work:
        await _send(work, [_sending(files[each.patient], each, work.now, morning) for each in TOMORROW])


def _by_hour(days_ago: int) -> list[list[Planned]]:
    wanted = [planned for planned in PLAN if planned.days_ago == days_ago]
    return [wanted[place :: len(AT)] for place in range(len(AT))]


async def _send_at(house: House, moment: datetime, wanted: Sequence[tuple[uuid.UUID, Planned]]) -> None:
    async with at(house, moment)(NOOR.id, SYSTEM) as work:
        await _send(work, [_sending(patient, planned, work.now) for patient, planned in wanted])
        await let_leave(work, moment + LONGEST_STORY)


async def _send(work: Work, sendings: Sequence[Sending]) -> None:
    for answer in await send_many(work, sendings):
        if isinstance(answer, HubError):
            raise answer


def _sending(patient: uuid.UUID, planned: Planned, now: datetime, at: datetime | None = None) -> Sending:
    values, channels = _values(at or now), planned.channels
    return Sending(patient, code=planned.code, values=values, channels=channels, at=at, department=planned.department)


def _values(now: datetime) -> Mapping[str, Any]:
    soon = (now + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    return {
        "clinician": "Dr. Omar Farouk",
        "starts_at": soon.isoformat(),
        "old_starts_at": (soon - timedelta(hours=2)).isoformat(),
        "reason": "The clinic is closed then.",
        "link": "https://noor.example/v/8Yx2kQ7mT4bN",
        "amount": {"amount": "350.00", "currency": "SAR"},
        "due_on": (now + timedelta(days=3)).date().isoformat(),
        "invoice": "INV-2026-0042",
        "days": 3,
        "next_steps": "Please book your next visit within 3 months.",
        "announcement": "We now open on Saturdays from 9:00 to 13:00.",
    }
