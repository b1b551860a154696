"""Booking: the number, the patient's file, and what a repeated booking does."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from hub.appointments.lifecycle import Booking, book
from hub.appointments.tables import Appointment
from hub.audit import AuditEntry
from hub.errors import Conflict, Invalid
from hub.inbox.tables import Notification
from hub.messages.tables import Message
from hub.people.patients import Arriving
from hub.people.staff import change_staff
from hub.people.tables import Patient
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient, open_clinic

MORNING = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)


async def take(house: House, clinic: Clinic, booking: Booking) -> Appointment:
    async with house.open_work(clinic.id, SYSTEM) as work:
        return await book(work, booking)


async def counts(house: House, clinic: Clinic) -> tuple[int, int, int]:
    """How many appointments, patients and entries of the audit log there are."""
    async with house.database.of_tenant(clinic.id) as session:
        found = [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Appointment, Patient, AuditEntry)
        ]
    return found[0], found[1], found[2]


async def test_a_visit_is_booked_with_a_number_of_its_year(house: House, clinic: Clinic) -> None:
    first = await take(house, clinic, Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING))
    second = await take(house, clinic, Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING))
    assert (first.number, second.number) == ("2026-000001", "2026-000002")
    assert (first.state, first.arrived_at, first.minutes) == ("booked", None, 30)
    assert (first.clearance, first.consent) == ("pending", "missing")


async def test_the_year_of_a_number_is_the_clinics(house: House) -> None:
    riyadh, chicago = await open_clinic(house), await open_clinic(house, zone="America/Chicago")
    new_year_eve = datetime(2026, 12, 31, 22, 0, tzinfo=UTC)
    assert (await take(house, riyadh, Booking(Arriving("A"), riyadh.omar.id, new_year_eve))).number == "2027-000001"
    assert (await take(house, chicago, Booking(Arriving("A"), chicago.omar.id, new_year_eve))).number == "2026-000001"


async def test_a_booking_that_fails_uses_no_number_up(house: House, clinic: Clinic) -> None:
    with pytest.raises(RuntimeError):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await book(work, Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING))
            raise RuntimeError("the power goes out")
    assert await counts(house, clinic) == (0, 0, 0)
    assert (await take(house, clinic, Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING))).number == "2026-000001"


async def test_nobody_but_an_active_clinician_here_is_booked(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    before = await counts(house, clinic)
    for nobody in (clinic.desk.id, clinic.huda.id, other_clinic.omar.id, uuid.uuid4()):
        with pytest.raises(Invalid) as refusal:
            await take(house, clinic, Booking(Arriving("Sara Doe"), nobody, MORNING))
        assert [error.field for error in refusal.value.errors] == ["clinician_id"]
    assert await counts(house, clinic) == before


async def test_the_same_booking_again_is_the_same_appointment(house: House, clinic: Clinic) -> None:
    booking = Booking(Arriving("Sara Doe", external_id="P-1"), clinic.omar.id, MORNING, external_id="E-1")
    first = await take(house, clinic, booking)
    before = await counts(house, clinic)
    assert (await take(house, clinic, booking)).id == first.id
    assert await counts(house, clinic) == before


@pytest.mark.parametrize(
    "change",
    [
        {"starts_at": MORNING + timedelta(minutes=5)},
        {"minutes": 45},
        {"patient": Arriving("Omar Roe")},
        {"patient": Arriving("Sara Doe", external_id="P-2")},
        {"clinician_id": None},
    ],
    ids=["time", "length", "name", "patient's id", "clinician"],
)
async def test_another_booking_under_the_same_external_id_is_refused(
    house: House, clinic: Clinic, change: dict[str, object]
) -> None:
    booking = Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING, external_id="E-1")
    first = await take(house, clinic, booking)
    before = await counts(house, clinic)
    if "clinician_id" in change:
        change = {"clinician_id": clinic.huda.id}
    with pytest.raises(Conflict, match=first.number):
        await take(house, clinic, replace(booking, **change))  # type: ignore[arg-type]
    assert await counts(house, clinic) == before


@pytest.mark.parametrize("version", [None, 2])
@pytest.mark.parametrize("by", ["id", "external_id"])
async def test_somebody_elses_visit_is_never_taken_for_theirs(
    house: House, clinic: Clinic, version: int | None, by: str
) -> None:
    """Else one patient would be reminded of another one's visit."""
    them = await add_patient(house, clinic, name="Omar Roe")
    who = Arriving(id=them.id) if by == "id" else Arriving("Sara Doe", external_id="P-2")
    mine = Arriving("Sara Doe", external_id="P-1" if by == "external_id" else None)
    booking = Booking(mine, clinic.omar.id, MORNING, external_id="E-1", source_version=version and 1)
    first = await take(house, clinic, booking)
    with pytest.raises(Conflict, match=first.number):
        await take(house, clinic, replace(booking, patient=who, source_version=version))


async def test_a_name_that_was_mended_is_still_the_same_patients_visit(house: House, clinic: Clinic) -> None:
    booking = Booking(Arriving("Sara Do"), clinic.omar.id, MORNING, external_id="E-1", source_version=1)
    first = await take(house, clinic, booking)
    mended = replace(booking, patient=Arriving("Sara Doe"), starts_at=MORNING + timedelta(hours=1), source_version=2)
    moved = await take(house, clinic, mended)
    assert (moved.id, moved.starts_at) == (first.id, mended.starts_at)


async def test_what_is_taken_over_without_telling_is_also_moved_without_telling(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(MORNING - timedelta(days=3))
    booking = Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING, external_id="E-1", source_version=1, tell=False)
    await take(house, clinic, booking)
    moved = await take(house, clinic, replace(booking, starts_at=MORNING + timedelta(days=1), source_version=2))
    assert moved.occurrence == 2
    async with house.database.of_tenant(clinic.id) as session:
        for told in (Notification, Message):
            assert (await session.execute(select(func.count()).select_from(told))).scalar_one() == 0


async def test_an_external_id_booked_twice_at_once_is_one_appointment(house: House, clinic: Clinic) -> None:
    booking = Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING, external_id="E-1")
    found = await asyncio.gather(*(take(house, clinic, booking) for _ in range(10)))
    assert len({appointment.id for appointment in found}) == 1
    assert await counts(house, clinic) == (1, 1, 1)


async def test_an_external_id_is_the_clinics_own(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    here = await take(house, clinic, Booking(Arriving("Sara Doe"), clinic.omar.id, MORNING, external_id="E-1"))
    there = await take(
        house, other_clinic, Booking(Arriving("Omar Roe"), other_clinic.omar.id, MORNING, external_id="E-1")
    )
    assert here.id != there.id


async def test_a_patient_who_is_known_keeps_their_file_and_language(house: House, clinic: Clinic) -> None:
    first = await take(
        house,
        clinic,
        Booking(Arriving("سارة", external_id="P-1", language="ar"), clinic.omar.id, MORNING),
    )
    second = await take(house, clinic, Booking(Arriving("سارة", external_id="P-1"), clinic.huda.id, MORNING))
    assert first.patient_id == second.patient_id
    async with house.database.of_tenant(clinic.id) as session:
        assert (await session.execute(select(Patient.language))).scalars().all() == ["ar"]
