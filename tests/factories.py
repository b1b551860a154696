"""Small makers of believable data, each clinic with rows of its own, so that nothing has to be cleaned up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from argon2 import PasswordHasher

from hub.appointments.lifecycle import Booking, book
from hub.appointments.tables import Appointment
from hub.channels.vendor import Channel
from hub.inbox.kinds import Kind, Priority
from hub.inbox.notify import Notice, Wording, notify
from hub.people import patients
from hub.people.contact_points import set_contact
from hub.people.keys import add_key
from hub.people.patients import Arriving
from hub.people.roles import SCOPES, Permission, Role
from hub.people.tables import Patient, Staff
from hub.people.tenants import open_tenant
from hub.templates.render import Variable
from hub.templates.versions import Words, add_template, publish, save_draft
from hub.wiring import House
from hub.work import SYSTEM, Actor

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic and the people in it."""

    id: uuid.UUID
    zone: str
    admin: Staff
    desk: Staff
    omar: Staff
    huda: Staff

    @property
    def staff(self) -> list[Staff]:
        """Everybody."""
        return [self.admin, self.desk, self.omar, self.huda]


def zone_at_noon(now: datetime) -> str:
    """A zone in which it is between 12:00 and 13:00: hours before and after it are of the same, decent day."""
    hours = 12 - now.astimezone(UTC).hour
    # POSIX counts westwards.
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


async def open_clinic(house: House, slug: str = "clinic", zone: str = "Asia/Riyadh") -> Clinic:
    """A new clinic: Sami administers, Layla is at the desk, Omar reads English and Huda Arabic."""
    tenant = uuid.uuid4()
    async with house.open_work(tenant, SYSTEM) as work:
        await open_tenant(work.session, f"{slug}-{tenant.hex[:12]}", "Noor Clinic", zone, ["en", "ar"], work.now)
        hashed = hashed_password()
        people = [
            _staff(tenant, "Sami Rahman", Role.ADMIN, "en", hashed, work.now),
            _staff(tenant, "Layla Haddad", Role.FRONT_DESK, "en", hashed, work.now),
            _staff(tenant, "Dr. Omar Farouk", Role.PROVIDER, "en", hashed, work.now),
            _staff(tenant, "د. هدى المنصور", Role.PROVIDER, "ar", hashed, work.now),
        ]
        work.session.add_all(people)
    return Clinic(tenant, zone, *people)


async def add_clinicians(house: House, clinic: Clinic, count: int, language: str = "en") -> list[Staff]:
    """More clinicians, in order of id."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        hashed = hashed_password()
        people = [
            _staff(clinic.id, f"Dr. Number {index}", Role.PROVIDER, language, hashed, work.now)
            for index in range(count)
        ]
        work.session.add_all(people)
    return sorted(people, key=lambda person: person.id)


async def make_key(house: House, clinic: Clinic, scopes: frozenset[Permission] = SCOPES) -> str:
    """An API key of the clinic."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        _, key = await add_key(work, "Practice system", scopes)
    return key


async def tell(
    house: House,
    clinic: Clinic,
    *people: Staff,
    title: str = "Hello",
    kind: Kind = Kind.SYSTEM,
    priority: Priority | None = None,
) -> list[uuid.UUID]:
    """One notification to each of these people."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        notice = Notice(kind, Wording(title), priority=priority)
        return await notify(work, [person.id for person in people], notice)


async def book_visit(
    house: House,
    clinic: Clinic,
    clinician: Staff | None = None,
    *,
    patient: str = "Sara Doe",
    at: datetime | None = None,
) -> Appointment:
    """A visit booked with Omar, half an hour from now, unless told otherwise; nobody is told of it."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        starts_at = at or work.now + timedelta(minutes=30)
        return await book(work, Booking(Arriving(patient), (clinician or clinic.omar).id, starts_at, tell=False))


async def add_patient(
    house: House,
    clinic: Clinic,
    *,
    name: str = "Sara Doe",
    phone: str | None = "+966501234567",
    email: str | None = "sara@example.org",
    language: str = "en",
    zone: str | None = None,
) -> Patient:
    """A patient with a number and an address, unless told otherwise."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        patient = await patients.add_patient(work, name=name, language=language, zone=zone)
        await set_contact(work, patient.id, "phone", phone)
        await set_contact(work, patient.id, "email", email)
    return patient


async def write_template(
    house: House,
    clinic: Clinic,
    code: str = "greeting",
    channel: Channel = Channel.SMS,
    greetings: tuple[str, ...] = ("Hello", "Dear", "Good day,"),
) -> uuid.UUID:
    """A template by the administrator, with a version for each greeting: the last one is the draft."""
    actor = Actor("staff", clinic.admin.id)
    async with house.open_work(clinic.id, actor) as work:
        first, *later = (greeting_words(each, channel) for each in greetings)
        template = (await add_template(work, code, channel, "reminders", first)).template_id
        for words in later:
            await publish(work, template)
            await save_draft(work, template, words)
    return template


def greeting_words(greeting: str, channel: Channel = Channel.SMS) -> Words:
    """A wording of one sentence, in both languages."""
    return Words(
        bodies={"en": f"{greeting} {{ $patient }}, we are open.", "ar": f"{greeting} مرحبًا {{ $patient }}، نستقبلكم."},
        variables=(Variable("patient", "text", "personal", "Sara"),),
        subjects={"en": "We are open", "ar": "نستقبلكم"} if channel == Channel.EMAIL else {},
    )


@cache
def hashed_password() -> str:
    """One hash for everybody, cheap to make and to check: a real one is slow by design."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def _staff(tenant: uuid.UUID, name: str, role: Role, language: str, hashed: str, now: datetime) -> Staff:
    person = uuid.uuid4()
    return Staff(
        id=person,
        tenant_id=tenant,
        email=f"{role}-{person.hex[:12]}@example.org",
        name=name,
        role=role,
        language=language,
        password_hash=hashed,
        active=True,
        shortcuts=True,
        created_at=now,
    )
