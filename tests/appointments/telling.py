"""What is told of a visit: each event made to happen the way it does, and everything that anybody hears of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from hub.appointments import lifecycle
from hub.appointments.changes import read_changes
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.tables import Appointment, AppointmentChange
from hub.appointments.tellings import Event
from hub.appointments.undo import undo
from hub.inbox.marks import mark
from hub.inbox.tables import Notification
from hub.messages.deliver import deliver_due
from hub.messages.outbox import Kept, read_kept
from hub.messages.tables import Attempt, Message
from hub.people.patients import Arriving
from hub.people.roles import Role
from hub.people.staff import change_staff
from hub.people.tables import Patient, Staff
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient

NOON = datetime(2026, 3, 1, 9, tzinfo=UTC)  # a Sunday, 12:00 in Riyadh
TOMORROW = NOON + timedelta(hours=22)  # at 10:00
TUESDAY = NOON + timedelta(hours=50, minutes=30)  # at 14:30
REASON = "The clinic is closed then."
STEPS = "Please book your next visit within 3 months."
NOTE = "I have a fever"
BY_THE_PATIENT = "cancelled by the patient"
LINK = re.compile(r"https?://[^/\s]+(/v/|/p/|/console/appointments/)\S+")
ISOLATES = str.maketrans("", "", "\u2068\u2069")

# Opens a visit: of a patient, with whatever `book` takes besides.
Visits = Callable[..., Awaitable["Telling"]]


@dataclass
class Telling:
    """A clinic, one visit in it, and its clock."""

    house: House
    clinic: Clinic
    clock: MovableClock
    patient: Patient
    clinician: Staff
    visit: Appointment

    async def desk(self, verb: str, *values: object, **named: object) -> Appointment:
        """The desk does something to the visit."""
        return await self._do(Actor("staff", self.clinic.desk.id), verb, *values, **named)

    async def patients(self, verb: str, *values: object, **named: object) -> Appointment:
        """The patient does something, by the link."""
        return await self._do(Actor("patient", self.patient.id), verb, *values, **named)

    async def undo(self) -> Appointment:
        """The desk takes the latest change back."""
        async with self.house.open_work(self.clinic.id, Actor("staff", self.clinic.desk.id)) as work:
            return await undo(work, self.visit.id)

    async def missed(self) -> None:
        """Nobody came at ten; the clinic's hold passes."""
        self.clock.stop(TOMORROW + timedelta(minutes=20))
        await self.desk("miss")
        self.clock.move(timedelta(hours=2))
        async with self.house.open_work(self.clinic.id, SYSTEM) as work:
            await tell_due(work)

    async def deliver(self) -> None:
        """The workers send what is due."""
        for lane in ("critical", "normal"):
            while await deliver_due(self.house.courier, self.clinic.id, lane):
                pass

    async def changes(self) -> Sequence[AppointmentChange]:
        """What was done to the visit."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            return await read_changes(session, self.visit.id)

    async def held(self) -> list[tuple[str, str, str]]:
        """To whom the latest change was not told, over what, and why."""
        latest = (await self.changes())[-1]
        return sorted((each["to"], each["over"], each["reason"]) for each in latest.held)

    async def rings(self) -> list[tuple[Notification, str]]:
        """Every notification about the visit, with whose it is."""
        who = {person.id: role for role, person in (await self._people()).items()}
        async with self.house.database.of_tenant(self.clinic.id) as session:
            about = select(Notification).where(Notification.related_id == self.visit.id)
            rows = (await session.execute(about.order_by(Notification.created_at, Notification.number))).scalars()
            return [(row, who[row.person_id]) for row in rows]

    async def messages(self) -> list[Message]:
        """Every message about the visit."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            about = select(Message).where(Message.related_id == self.visit.id)
            return list((await session.execute(about.order_by(Message.created_at, Message.reference))).scalars())

    async def read(self, who: str) -> None:
        """Somebody reads every notification of theirs."""
        person = (await self._people())[who]
        ids = [ring.id for ring, whose in await self.rings() if whose == who]
        async with self.house.open_work(self.clinic.id, Actor("staff", person.id)) as work:
            await mark(work, person.id, ids, "read")

    async def heard(self) -> dict[tuple[str, str], str]:
        """What everybody hears of the latest change, by who and over what; once more would be seen here, too."""
        latest = (await self.changes())[-1].id
        found: dict[tuple[str, str], str] = {}
        for ring, who in await self.rings():
            if ring.facts["change"] == latest:
                found[who, "in_app"] = _once(found.get((who, "in_app")), f"{ring.title}\n{ring.body}")
        for message in await self.messages():
            if f"/{latest}/" in (message.reference or ""):
                who, over = (message.reference or "").split("/")[3:]
                found[who, over] = _once(found.get((who, over)), await self._said(message))
        return found

    async def _do(self, actor: Actor, verb: str, *values: object, **named: object) -> Appointment:
        async with self.house.open_work(self.clinic.id, actor) as work:
            done: Appointment = await getattr(lifecycle, verb)(work, self.visit.id, *values, **named)
        self.visit = done
        return done

    async def _people(self) -> dict[str, Staff]:
        other = self.clinic.huda if self.clinician is self.clinic.omar else self.clinic.omar
        return {
            "clinician": self.clinician,
            "other clinician": other,
            "front_desk": self.clinic.desk,
            Role.ADMIN: self.clinic.admin,
        }

    async def _said(self, message: Message) -> str:
        """By which template over which channel, and what left."""
        async with self.house.database.of_tenant(self.clinic.id) as session:
            attempts = (await session.execute(select(Attempt.id).where(Attempt.message_id == message.id))).scalars()
            kept = [await read_kept(session, self.house.keys, attempt) for attempt in attempts]
        if not kept:
            return f"{message.code}: {message.state} {message.reason or ''}".strip()
        return "\nand\n".join("\n".join([f"{sent.template} by {sent.channel}", *_lines(sent)]) for sent in kept)


async def book(
    house: House,
    clinic: Clinic,
    clock: MovableClock,
    patient: Patient,
    clinician: Staff,
    *,
    tell: bool = False,
    at: datetime = TOMORROW,
) -> Telling:
    """A visit tomorrow at ten; nobody is told of it unless asked for."""
    clock.stop(NOON)
    booking = Booking(Arriving(id=patient.id), clinician.id, at, tell=tell)
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        visit = await lifecycle.book(work, booking)
    return Telling(house, clinic, clock, patient, clinician, visit)


async def happen(telling: Telling, event: str) -> None:
    """Make an event of the visit happen, after what has to happen before it, and have the workers send what is due."""
    match event:
        case Event.CONFIRMED:
            await telling.patients("confirm")
        case Event.RESCHEDULED:
            await telling.desk("move", NewTime(TUESDAY), reason=REASON)
        case Event.ARRIVED:
            await telling.desk("arrive")
        case Event.IN_PROGRESS:
            await telling.desk("arrive")
            await telling.desk("start")
        case Event.COMPLETED:
            await telling.desk("arrive")
            await telling.desk("complete", next_steps=STEPS)
        case Event.CANCELLED:
            await telling.desk("cancel", reason=REASON)
        case "cancelled by the patient":
            await telling.patients("cancel", reason=NOTE)
        case Event.NO_SHOW:
            await telling.missed()
        case Event.WISH:
            await telling.patients("ask_for_another_time", NOTE)
        case Event.UNDONE:
            await telling.desk("confirm")
            await telling.read("clinician")
            await telling.undo()
    await telling.deliver()


class Everything:
    """A clinic that tells every row of the table, and what is heard of each event there, found out once."""

    def __init__(self, house: House, clinic: Clinic) -> None:
        self.house, self.clinic = house, clinic
        self._heard: dict[tuple[str, str], dict[tuple[str, str], str]] = {}

    async def heard(self, clock: MovableClock, event: str, language: str) -> dict[tuple[str, str], str]:
        """What everybody hears who reads this language."""
        if (event, language) not in self._heard:
            async with self.house.open_work(self.clinic.id, SYSTEM) as work:
                await change_staff(work, self.clinic.desk.id, language=language)
            patient = await add_patient(self.house, self.clinic, language=language)
            clinician = self.clinic.omar if language == "en" else self.clinic.huda
            telling = await book(self.house, self.clinic, clock, patient, clinician, tell=event == Event.BOOKED)
            await happen(telling, event)
            assert await telling.held() == []
            self._heard[event, language] = await telling.heard()
        return self._heard[event, language]


def plain(said: str) -> str:
    """Without the marks that nobody sees."""
    return said.translate(ISOLATES)


def _lines(sent: Kept) -> list[str]:
    """Each line but the greeting; of a link, where it leads."""
    said = LINK.sub(r"\1…", sent.text.partition("\n\n-- \n")[0])
    lines = [line for line in said.split("\n") if line]
    return [sent.subject, *lines[1:]] if sent.subject else lines


def _once(earlier: str | None, said: str) -> str:
    return said if earlier is None else f"{earlier}\nand again\n{said}"
