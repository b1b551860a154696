"""Small makers of believable data, each clinic with rows of its own, so that nothing has to be cleaned up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher

from hub.appointments.lifecycle import Booking, book
from hub.appointments.tables import Appointment
from hub.inbox.kinds import Kind, Priority
from hub.inbox.notify import Notice, Wording, notify
from hub.people.keys import add_key
from hub.people.roles import SCOPES, Permission, Role
from hub.people.tables import Staff
from hub.people.tenants import open_tenant
from hub.wiring import House
from hub.work import SYSTEM

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
    """A visit booked with Omar, half an hour from now, unless told otherwise."""
    async with house.open_work(clinic.id, SYSTEM) as work:
        starts_at = at or work.now + timedelta(minutes=30)
        return await book(work, Booking(patient, (clinician or clinic.omar).id, starts_at))


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
