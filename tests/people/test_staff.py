"""Staff and clinics: adding, changing, and what is written down of it."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.errors import Conflict, Invalid, NotFound
from hub.people.roles import Role
from hub.people.staff import (
    add_staff,
    change_staff,
    get_clinician,
    get_staff,
    last_seen,
    list_staff,
    set_shortcuts,
)
from hub.people.tables import Staff
from hub.people.tenants import all_tenants, open_tenant
from hub.realtime.pushes import AccessEnded
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.factories import PASSWORD, Clinic


async def add(house: House, clinic: Clinic, email: str, password: str = PASSWORD) -> Staff:
    async with house.open_work(clinic.id, SYSTEM) as work:
        return await add_staff(work, email=email, name="New", role=Role.PROVIDER, language="en", password=password)


async def told(house: House, clinic: Clinic) -> list[AuditEntry]:
    async with house.database.of_tenant(clinic.id) as session:
        return list((await session.execute(select(AuditEntry).order_by(AuditEntry.number))).scalars())


async def test_an_address_is_kept_in_lower_case_and_taken_once_per_clinic(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    added = await add(house, clinic, " Nora@Example.org ")
    assert added.email == "nora@example.org"
    with pytest.raises(Conflict):
        await add(house, clinic, "NORA@example.org")
    assert await add(house, other_clinic, "nora@example.org")
    async with house.database.of_tenant(clinic.id) as session:
        assert len(await list_staff(session, None, 100)) == 5


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 257])
async def test_a_password_is_neither_short_nor_endless(house: House, clinic: Clinic, password: str) -> None:
    with pytest.raises(Invalid):
        await add(house, clinic, "nora@example.org", password)


async def test_staff_are_listed_by_address_in_pages(house: House, clinic: Clinic) -> None:
    async with house.database.of_tenant(clinic.id) as session:
        first = await list_staff(session, None, 3)
        rest = await list_staff(session, first[-1].email, 3)
    emails = [each.email for each in (*first, *rest)]
    assert emails == sorted(each.email for each in clinic.staff)


async def test_anothers_staff_is_not_there(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    async with house.database.of_tenant(clinic.id) as session:
        with pytest.raises(NotFound):
            await get_staff(session, other_clinic.omar.id)
        with pytest.raises(Invalid):
            await get_clinician(session, other_clinic.omar.id)
    with pytest.raises(NotFound):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await change_staff(work, other_clinic.omar.id, active=False)


async def test_a_clinician_is_an_active_provider(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert (await get_clinician(work.session, clinic.omar.id)).id == clinic.omar.id
        for nobody in (clinic.desk.id, clinic.admin.id, uuid.uuid4()):
            with pytest.raises(Invalid):
                await get_clinician(work.session, nobody)
        await change_staff(work, clinic.omar.id, active=False)
        with pytest.raises(Invalid):
            await get_clinician(work.session, clinic.omar.id)


@pytest.mark.parametrize(("change", "ends"), [("role", True), ("active", True), ("language", False)])
async def test_losing_a_role_or_access_closes_every_open_socket(
    house: House, clinic: Clinic, change: str, ends: bool
) -> None:
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        if change == "role":
            await change_staff(work, clinic.omar.id, role=Role.FRONT_DESK)
        elif change == "active":
            await change_staff(work, clinic.omar.id, active=False)
        else:
            await change_staff(work, clinic.omar.id, language="ar")
        assert work.pushes == ([AccessEnded(clinic.id, clinic.omar.id, None)] if ends else [])


async def test_a_change_is_written_down_with_what_was_before(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        await change_staff(work, clinic.omar.id, language="ar")
        await change_staff(work, clinic.omar.id, language="ar")
    (entry,) = [each for each in await told(house, clinic) if each.action == "staff.changed"]
    assert (entry.actor_kind, entry.actor_id, entry.object_id) == ("staff", clinic.admin.id, clinic.omar.id)
    assert (entry.before or {})["language"] == "en"
    assert (entry.after or {})["language"] == "ar"


async def test_nobody_takes_their_own_access_away(house: House, clinic: Clinic) -> None:
    with pytest.raises(Conflict):
        async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
            await change_staff(work, clinic.admin.id, active=False)
    with pytest.raises(Conflict):
        async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
            await change_staff(work, clinic.admin.id, role=Role.PROVIDER)
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        same = await change_staff(work, clinic.admin.id, role=Role.ADMIN, active=True, language="ar")
    assert (same.role, same.active, same.language) == ("admin", True, "ar")


async def test_nobody_was_seen_before_their_first_session(house: House, clinic: Clinic) -> None:
    async with house.database.of_tenant(clinic.id) as session:
        assert await last_seen(session, [clinic.omar.id]) == {}


async def test_shortcuts_are_ones_own(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await set_shortcuts(work, clinic.omar.id, on=False)
        assert [(await get_staff(work.session, each.id)).shortcuts for each in (clinic.omar, clinic.huda)] == [
            False,
            True,
        ]


@pytest.mark.parametrize(
    ("zone", "languages"),
    [("Mars/Olympus", ["en"]), ("", ["en"]), ("Asia/Riyadh", []), ("Asia/Riyadh", ["en", "tlh"]), ("../etc", ["en"])],
)
async def test_a_clinic_has_a_zone_and_languages_that_there_are(house: House, zone: str, languages: list[str]) -> None:
    tenant = uuid.uuid4()
    with pytest.raises(Invalid):
        async with house.open_work(tenant, SYSTEM) as work:
            await open_tenant(work.session, tenant.hex, "Nowhere", zone, languages, work.now)
    async with house.database.watching() as watch:
        assert tenant not in await all_tenants(watch)


async def test_a_clinics_slug_is_taken_once(house: House, clinic: Clinic) -> None:
    with pytest.raises(Conflict, match="already"):
        async with house.open_work(uuid.uuid4(), SYSTEM) as work:
            slug = f"clinic-{clinic.id.hex[:12]}"
            await open_tenant(work.session, slug, "Again", "Asia/Riyadh", ["en"], work.now)
