"""A patient's file: one per person the practice system knows, brought up to date by what it says next."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from hub.people.patients import open_file
from hub.people.tables import Patient
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic


async def file(
    house: House, clinic: Clinic, name: str, language: str | None = None, external_id: str | None = None
) -> uuid.UUID:
    async with house.open_work(clinic.id, SYSTEM) as work:
        opened = await open_file(work, name=name, language=language, usual_language="en", external_id=external_id)
        return opened.id


async def read(house: House, clinic: Clinic) -> list[tuple[str, str]]:
    async with house.database.of_tenant(clinic.id) as session:
        rows = (await session.execute(select(Patient).order_by(Patient.created_at))).scalars()
        return [(row.name, row.language) for row in rows]


async def test_one_external_id_is_one_file(house: House, clinic: Clinic) -> None:
    first = await file(house, clinic, "Sara Doe", "ar", "P-1")
    second = await file(house, clinic, "Sara Roe", "en", "P-1")
    assert first == second
    assert await read(house, clinic) == [("Sara Roe", "en")]


async def test_a_language_that_is_not_said_leaves_the_one_that_is_known(house: House, clinic: Clinic) -> None:
    await file(house, clinic, "Sara Doe", "ar", "P-1")
    await file(house, clinic, "Sara Doe", None, "P-1")
    assert await read(house, clinic) == [("Sara Doe", "ar")]


async def test_without_an_external_id_everybody_has_a_file_of_their_own(house: House, clinic: Clinic) -> None:
    assert await file(house, clinic, "Sara Doe") != await file(house, clinic, "Sara Doe")
    assert await read(house, clinic) == [("Sara Doe", "en"), ("Sara Doe", "en")]


async def test_two_clinics_may_know_the_same_external_id(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    here = await file(house, clinic, "Sara Doe", external_id="P-1")
    there = await file(house, other_clinic, "Omar Roe", external_id="P-1")
    assert here != there
    assert await read(house, clinic) == [("Sara Doe", "en")]
