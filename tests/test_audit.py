"""The audit log: gapless per clinic, in one transaction with what it records, and never changed."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import select

from hub import audit
from hub.audit import AuditEntry
from hub.people.keys import add_key, list_keys, revoke_key
from hub.people.roles import Role
from hub.people.staff import add_staff, change_staff
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock
from tests.factories import PASSWORD, Clinic


async def entries(house: House, clinic: Clinic) -> list[AuditEntry]:
    async with house.database.of_tenant(clinic.id) as session:
        return list((await session.execute(select(AuditEntry).order_by(AuditEntry.number))).scalars())


async def note(house: House, clinic: Clinic, action: str = "tested") -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await audit.record(work, action, "test", None)


async def test_an_entry_says_who_did_what_when_and_to_what(house: House, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(clock())
    thing = uuid.uuid4()
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        await audit.record(work, "thing.changed", "thing", thing, {"size": 1}, {"size": 2})
    (entry,) = await entries(house, clinic)
    assert (entry.number, entry.at, entry.tenant_id) == (1, clock(), clinic.id)
    assert (entry.actor_kind, entry.actor_id) == ("staff", clinic.admin.id)
    assert (entry.action, entry.object_type, entry.object_id) == ("thing.changed", "thing", thing)
    assert (entry.before, entry.after) == ({"size": 1}, {"size": 2})
    assert (entry.previous_hash, entry.hash) == (None, None)


async def test_numbers_have_no_gap_however_many_write_at_once(house: House, clinic: Clinic) -> None:
    await asyncio.gather(*(note(house, clinic) for _ in range(30)))
    assert [entry.number for entry in await entries(house, clinic)] == list(range(1, 31))


async def test_clinics_count_for_themselves(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    await asyncio.gather(*(note(house, each) for each in (clinic, other_clinic, clinic)))
    assert [entry.number for entry in await entries(house, clinic)] == [1, 2]
    assert [entry.number for entry in await entries(house, other_clinic)] == [1]


async def test_what_did_not_happen_is_not_written_down(house: House, clinic: Clinic) -> None:
    with pytest.raises(RuntimeError):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await audit.record(work, "tested", "test", None)
            raise RuntimeError("the power goes out")
    await note(house, clinic, "after")
    assert [(entry.number, entry.action) for entry in await entries(house, clinic)] == [(1, "after")]


async def test_administrative_actions_are_written_down_without_secrets(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        added = await add_staff(
            work, email="nora@example.org", name="Nora", role=Role.PROVIDER, language="en", password=PASSWORD
        )
        await change_staff(work, added.id, role=Role.FRONT_DESK)
        _, key = await add_key(work, "Practice", ["staff:read"])
        await revoke_key(work, (await list_keys(work.session, None, 1))[0].id)
    told = await entries(house, clinic)
    assert [entry.action for entry in told] == [
        "staff.added",
        "staff.changed",
        "session.ended_everywhere",
        "key.added",
        "key.revoked",
    ]
    written = " ".join(f"{entry.before} {entry.after}" for entry in told)
    assert PASSWORD not in written
    assert key.split("_", 2)[2] not in written
    assert "nora@example.org" not in written
