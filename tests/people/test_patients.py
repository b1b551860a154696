"""A patient's file: one per person the practice system knows, brought up to date by what it says next."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.errors import Conflict, Invalid, NotFound
from hub.people.contact_points import set_contact
from hub.people.patients import (
    Change,
    add_patient,
    change_patient,
    open_file,
    read_patient,
    read_patients,
    zone_of,
)
from hub.people.tables import Patient
from hub.people.tenants import read_clinic
from hub.wiring import House
from hub.work import SYSTEM
from tests import factories
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


async def found(house: House, clinic: Clinic, search: str | None, limit: int = 50) -> list[str]:
    async with house.database.of_tenant(clinic.id) as session:
        here = await read_clinic(session, clinic.id)
        return [each.name for each in await read_patients(session, house.keys, here, search=search, limit=limit)]


async def test_a_new_patient_is_reached_as_usual_until_they_say_otherwise(house: House, clinic: Clinic) -> None:
    patient = await factories.add_patient(house, clinic)
    async with house.database.of_tenant(clinic.id) as session:
        kept, here = await read_patient(session, patient.id), await read_clinic(session, clinic.id)
    assert (kept.channels, kept.zone, zone_of(kept, here).key) == (["sms", "whatsapp", "email"], None, "Asia/Riyadh")


async def test_what_is_said_of_a_patient_is_changed_and_the_rest_stays(house: House, clinic: Clinic) -> None:
    patient = await factories.add_patient(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        changed = await change_patient(work, patient.id, Change(zone="America/New_York", channels=["email"]))
        assert (changed.name, changed.language, changed.channels) == ("Sara Doe", "en", ["email"])
        assert zone_of(changed, await read_clinic(work.session, clinic.id)).key == "America/New_York"
        await change_patient(work, patient.id, Change(name="Sara Roe", language="ar", zone=""))
        await change_patient(work, patient.id, Change(name="Sara Roe", language="ar", zone=""))
    async with house.database.of_tenant(clinic.id) as session:
        kept = await read_patient(session, patient.id)
        entries = list((await session.execute(select(AuditEntry).filter_by(action="patient.changed"))).scalars())
    assert (kept.name, kept.language, kept.zone, kept.channels) == ("Sara Roe", "ar", None, ["email"])
    assert len(entries) == 2, "what changes nothing is not written down"
    assert "Sara" not in str([(entry.before, entry.after) for entry in entries])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (Change(name=" "), "name"),
        (Change(language="fr"), "language"),
        (Change(zone="Mars/Base"), "zone"),
        (Change(channels=[]), "channels"),
        (Change(channels=["sms", "sms"]), "channels"),
        (Change(channels=["pigeon"]), "channels"),
    ],
)
async def test_what_cannot_be_said_of_a_patient_is_refused(
    house: House, clinic: Clinic, change: Change, field: str
) -> None:
    patient = await factories.add_patient(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        with pytest.raises(Invalid) as refused:
            await change_patient(work, patient.id, change)
    assert [error.field for error in refused.value.errors] == [field]


async def test_an_external_id_is_taken_once_and_another_clinics_patient_is_not_here(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    await file(house, clinic, "Sara Doe", external_id="P-1")
    with pytest.raises(Conflict):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await add_patient(work, name="Omar Roe", language="en", external_id="P-1")
    stranger = await factories.add_patient(house, other_clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        with pytest.raises(NotFound):
            await change_patient(work, stranger.id, Change(name="Mine"))
        with pytest.raises(NotFound):
            await read_patient(work.session, stranger.id)


async def test_patients_are_found_by_name_number_address_and_id(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    await factories.add_patient(house, clinic, name="Sara Doe", phone="+966501234567", email="Family@example.org")
    await factories.add_patient(house, clinic, name="سارة الحربي", phone="+966509999999", email=None)
    await file(house, clinic, "100% Real_Name", external_id="MRN-7")
    await factories.add_patient(house, other_clinic, name="Sara Doe")
    for search, names in {
        "sara": ["Sara Doe"],
        " DOE ": ["Sara Doe"],
        "0501234567": ["Sara Doe"],
        "٠٥٠١٢٣٤٥٦٧": ["Sara Doe"],
        "+966 50 123 4567": ["Sara Doe"],
        "family@EXAMPLE.org": ["Sara Doe"],
        "سارة": ["سارة الحربي"],
        "MRN-7": ["100% Real_Name"],
        "%": ["100% Real_Name"],
        "_": ["100% Real_Name"],
        "\\": [],
        "050123456": [],
        "family": [],
        "amily@example.org": [],
    }.items():
        assert await found(house, clinic, search) == names, search
    assert len(await found(house, clinic, None)) == len(await found(house, clinic, "  ")) == 3


async def test_pages_of_patients_hold_everybody_once(house: House, clinic: Clinic) -> None:
    for number in range(7):
        await factories.add_patient(house, clinic, name=f"Sara {number % 3}", phone=None, email=None)
    seen: list[uuid.UUID] = []
    after = None
    while True:
        async with house.database.of_tenant(clinic.id) as session:
            here = await read_clinic(session, clinic.id)
            page = await read_patients(session, house.keys, here, after=after, limit=2)
        if not page:
            break
        seen += [patient.id for patient in page]
        after = page[-1].id
    assert len(seen) == len(set(seen)) == 7


async def test_a_number_that_was_replaced_finds_nobody(house: House, clinic: Clinic) -> None:
    patient = await factories.add_patient(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await set_contact(work, patient.id, "phone", "+966508888888")
    assert await found(house, clinic, "0501234567") == []
    assert await found(house, clinic, "0508888888") == ["Sara Doe"]
