"""The arrivals board: whose visits are on it, in which order, and the version that tells when it changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.appointments.board import read_version, read_versions, read_visit, read_visits
from hub.appointments.lifecycle import Booking, arrive, book
from hub.errors import Conflict, NotFound
from hub.people.patients import Arriving
from hub.people.tenants import read_clinic
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic, book_visit, open_clinic

DAY = datetime(2026, 11, 21, tzinfo=UTC)


async def version(house: House, clinic: Clinic) -> int:
    async with house.database.of_tenant(clinic.id) as session:
        return await read_version(session)


async def test_the_version_rises_with_every_change(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    assert await version(house, clinic) == 0
    visit = await book_visit(house, clinic)
    assert await version(house, clinic) == 1
    await book_visit(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await arrive(work, visit.id)
    assert await version(house, clinic) == 3
    with pytest.raises(Conflict):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await arrive(work, visit.id)
    assert await version(house, clinic) == 3, "nothing happened, so nothing changed"
    assert await version(house, other_clinic) == 0
    async with house.database.watching() as watch:
        assert await read_versions(watch, [clinic.id, other_clinic.id]) == {clinic.id: 3}


async def test_visits_come_by_time_with_both_names(house: House, clinic: Clinic) -> None:
    later = await book_visit(house, clinic, clinic.huda, patient="Later", at=DAY + timedelta(hours=2))
    first = await book_visit(house, clinic, clinic.omar, patient="First", at=DAY + timedelta(hours=1))
    async with house.database.of_tenant(clinic.id) as session:
        visits = await read_visits(session, DAY, DAY + timedelta(days=1))
        assert [(each.appointment.id, each.patient, each.clinician) for each in visits] == [
            (first.id, "First", clinic.omar.name),
            (later.id, "Later", clinic.huda.name),
        ]
        (only,) = await read_visits(session, DAY, DAY + timedelta(days=1), clinician=clinic.huda.id)
        assert only.patient == "Later"


async def test_visits_at_the_same_time_are_paged_without_loss(house: House, clinic: Clinic) -> None:
    booked = {(await book_visit(house, clinic, at=DAY)).id for _ in range(5)}
    seen = []
    after = None
    async with house.database.of_tenant(clinic.id) as session:
        while page := await read_visits(session, DAY, DAY + timedelta(days=1), after=after, limit=2):
            seen += [each.appointment.id for each in page]
            after = (page[-1].appointment.starts_at, page[-1].appointment.id)
    assert len(seen) == 5
    assert set(seen) == booked


async def test_a_visit_is_read_by_whom_it_concerns(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, clinic.omar)
    async with house.database.of_tenant(clinic.id) as session:
        assert (await read_visit(session, visit.id)).patient == "Sara Doe"
        assert await read_visit(session, visit.id, clinic.omar.id)
        with pytest.raises(NotFound):
            await read_visit(session, visit.id, clinic.huda.id)
    async with house.database.of_tenant(other_clinic.id) as session:
        with pytest.raises(NotFound):
            await read_visit(session, visit.id)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Chicago", date(2026, 3, 8), 23),
        ("America/Chicago", date(2026, 11, 1), 25),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Asia/Riyadh", date(2026, 10, 25), 24),
    ],
)
async def test_a_day_on_the_board_is_the_clinics_own_also_when_clocks_change(
    house: House, zone: str, day: date, hours: int
) -> None:
    clinic = await open_clinic(house, zone=zone)
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    async with house.open_work(clinic.id, SYSTEM) as work:
        for hour in range(-1, hours + 1):
            for minute in (0, 59):
                at = midnight + timedelta(hours=hour, minutes=minute)
                await book(work, Booking(Arriving("Sara Doe"), clinic.omar.id, at))
    async with house.database.of_tenant(clinic.id) as session:
        since, until = (await read_clinic(session, clinic.id)).bounds_of(day)
        visits = await read_visits(session, since, until)
    starts = [each.appointment.starts_at for each in visits]
    assert len(starts) == 2 * hours
    assert starts[0] == midnight
    assert starts[-1] == midnight + timedelta(hours=hours, minutes=-1)
    assert {at.astimezone(ZoneInfo(zone)).date() for at in starts} == {day}
