"""The arrivals board: whose visits are on it, in which order, and the version that tells when it changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import ClauseElement, event, text
from sqlalchemy.dialects import postgresql

from hub.appointments.board import (
    read_version,
    read_versions,
    read_visit,
    read_visit_by_external_id,
    read_visits,
)
from hub.appointments.lifecycle import Booking, arrive, book
from hub.appointments.states import State
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


async def test_visits_are_found_by_state_name_number_and_the_practice_systems_ids(house: House, clinic: Clinic) -> None:
    people = {"سارة القحطاني": "P-1", "Sara O'Neil 100%": "P_2", "Omar_Roe": "P-3"}
    async with house.open_work(clinic.id, SYSTEM) as work:
        for index, (name, known_as) in enumerate(people.items()):
            who, at = Arriving(name, external_id=known_as), DAY + timedelta(hours=index)
            await book(work, Booking(who, clinic.omar.id, at, external_id=f"E-{index}", tell=False))
    async with house.database.of_tenant(clinic.id) as session:

        async def found(search: str, *states: State) -> list[str]:
            visits = await read_visits(session, DAY, DAY + timedelta(days=1), search=search, states=states or None)
            return [each.appointment.number[-1] for each in visits]

        for search, numbers in {
            "": "123",
            "  ": "123",
            "SARA": "2",
            " قحطاني ": "1",
            "%": "2",
            "_": "3",
            "\\": "",
            "'": "2",
            "2026-000003": "3",
            "0001": "1",
            "2026": "",
            "E-1": "2",
            "E-": "",
            "P_2": "2",
            "P-2": "",
        }.items():
            assert "".join(await found(search)) == numbers, search
        assert await found("", State.BOOKED, State.ARRIVED) == ["1", "2", "3"]
        assert await found("sara", State.CANCELLED) == []
        assert await read_visits(session, DAY, DAY + timedelta(days=1), states=[]) == []
        one = await read_visit_by_external_id(session, "E-1")
        assert one is not None
        assert one.patient == "Sara O'Neil 100%"
        assert await read_visit_by_external_id(session, "E-1", clinic.huda.id) is None
        assert await read_visit_by_external_id(session, "P_2") is None


async def test_a_day_is_read_from_the_index_however_many_days_there_are(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=DAY)
    many = """
        INSERT INTO appointments (tenant_id, number, patient_id, clinician_id, starts_at, minutes, state, clearance,
            consent, created_at, updated_at)
        SELECT tenant_id, 'n' || n, patient_id, clinician_id, starts_at + n * interval '1 hour', minutes, state,
            clearance, consent, created_at, updated_at
        FROM appointments, generate_series(1, 5000) AS n WHERE id = :visit
    """
    async with house.database.of_tenant(clinic.id) as session:
        await session.execute(text(many), {"visit": visit.id})
        asked: list[ClauseElement] = []
        event.listen(session.sync_session, "do_orm_execute", lambda state: asked.append(state.statement))
        await read_visits(
            session, DAY, DAY + timedelta(days=1), clinician=clinic.omar.id, after=(DAY, visit.id), limit=50
        )
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        words = asked[0].compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        plan = "\n".join((await session.execute(text(f"EXPLAIN {words}"))).scalars())
        await session.rollback()
    assert "appointments_by_day" in plan, plan
    assert "starts_at <" in plan.split("Index Cond", 1)[1].splitlines()[0], plan


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
        for hour in (-1, 0, 1, 2, 3, hours - 1, hours):
            for minute in (0, 59):
                at = midnight + timedelta(hours=hour, minutes=minute)
                await book(work, Booking(Arriving("Sara Doe"), clinic.omar.id, at, tell=False))
    async with house.database.of_tenant(clinic.id) as session:
        since, until = (await read_clinic(session, clinic.id)).bounds_of(day)
        visits = await read_visits(session, since, until)
    starts = [each.appointment.starts_at for each in visits]
    assert len(starts) == 2 * 5
    assert starts[0] == midnight
    assert starts[-1] == midnight + timedelta(hours=hours, minutes=-1)
    assert {at.astimezone(ZoneInfo(zone)).date() for at in starts} == {day}
