"""Fills what is missing of the demo, however often it is asked to."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select

from hub.demo.messages import tell_a_week_of_messages
from hub.demo.news import tell_a_week_of_news
from hub.demo.patients import add_patients
from hub.demo.people import CLINICIAN, CLINICS, NOOR, PASSWORD, PEOPLE, DemoClinic
from hub.demo.visits import plan_visits
from hub.people.keys import add_key, list_keys, resolve_key, revoke_key
from hub.people.roles import SCOPES
from hub.people.staff import add_staff, hash_password
from hub.people.tables import Staff, Tenant
from hub.people.tenants import open_tenant
from hub.templates.defaults import install_defaults
from hub.wiring import House
from hub.work import SYSTEM

KEY_NAME = "Practice system (demo)"


@dataclass(frozen=True, slots=True)
class Filled:
    """What scripts need to know."""

    api_key: str
    clinician: uuid.UUID


async def fill(house: House, kept_key: str | None = None) -> Filled:
    """Fill what is missing; run again, it only adds today's and tomorrow's visits, and a new key when none is kept."""
    hashed = None
    for clinic in CLINICS:
        async with house.database.of_tenant(clinic.id) as session:
            known = (await session.execute(select(Tenant.id).where(Tenant.id == clinic.id))).scalar_one_or_none()
        if known is None:
            hashed = hashed or await hash_password(PASSWORD)
            await _open(house, clinic, hashed)
            await tell_a_week_of_news(house, clinic)
        async with house.open_work(clinic.id, SYSTEM) as work:
            await install_defaults(work)
    await add_patients(house)
    await tell_a_week_of_messages(house)
    key = kept_key
    if key is None or await resolve_key(house.database, key, house.clock()) is None:
        key = await _new_key(house)
    await plan_visits(house)
    async with house.database.of_tenant(NOOR.id) as session:
        omar = (await session.execute(select(Staff.id).where(Staff.email == CLINICIAN))).scalar_one()
    return Filled(key, omar)


async def _new_key(house: House) -> str:
    """A key in place of those whose text was lost."""
    async with house.open_work(NOOR.id, SYSTEM) as work:
        for lost in await list_keys(work.session, None, 100):
            if lost.name == KEY_NAME:
                await revoke_key(work, lost.id)
        _, key = await add_key(work, KEY_NAME, SCOPES)
    return key


async def _open(house: House, clinic: DemoClinic, hashed: str) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await open_tenant(work.session, clinic.slug, clinic.name, clinic.zone, clinic.languages, work.now)
        for person in PEOPLE:
            if person.clinic == clinic.slug:
                await add_staff(
                    work,
                    email=person.email,
                    name=person.name,
                    role=person.role,
                    language=person.language,
                    password=PASSWORD,
                    hashed=hashed,
                )
