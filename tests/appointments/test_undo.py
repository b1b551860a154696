"""A wrong click is taken back: how the visit stands, what is planned, and who may take back what."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from hub.appointments import lifecycle
from hub.appointments.changes import KEPT, MOST_TOLD, read_changes
from hub.appointments.lifecycle import NewTime
from hub.appointments.planned import read_planned
from hub.appointments.tables import Appointment, AppointmentChange
from hub.appointments.undo import UNDO_WITHIN, last_undoable, undo
from hub.audit import AuditEntry
from hub.errors import Conflict, NotFound
from hub.wiring import House
from hub.work import SYSTEM, Actor, Work
from tests.conftest import MovableClock
from tests.factories import Clinic, book_visit

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
IN_THREE_DAYS = NOW + timedelta(days=3)

Verb = Callable[[Work, uuid.UUID], Awaitable[Appointment]]


@pytest.fixture(autouse=True)
def stopped(clock: MovableClock) -> None:
    clock.stop(NOW)


async def click(house: House, clinic: Clinic, visit: Appointment, verb: Verb) -> Appointment:
    """As the desk does it."""
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        return await verb(work, visit.id)


async def planned_for(house: House, clinic: Clinic, visit: Appointment) -> dict[tuple[int, str, str], str]:
    """The state of each notice ahead, by occurrence, kind and how long before."""
    async with house.database.of_tenant(clinic.id) as session:
        return {(row.occurrence, row.kind, row.ahead): row.state for row in await read_planned(session, visit.id)}


def later(work: Work, visit: uuid.UUID) -> Awaitable[Appointment]:
    return lifecycle.move(work, visit, NewTime(IN_THREE_DAYS + timedelta(hours=1), minutes=45))


def standing(visit: Appointment) -> dict[str, object]:
    return {name: getattr(visit, name) for name in (*KEPT, "clinician_id")}


@pytest.mark.parametrize(
    ("first", "wrong"),
    [
        ((), lifecycle.confirm),
        ((), lifecycle.cancel),
        ((), lifecycle.arrive),
        ((), later),
        ((lifecycle.confirm,), lifecycle.cancel),
        ((lifecycle.confirm,), later),
        ((lifecycle.arrive,), lifecycle.start),
        ((lifecycle.arrive,), lifecycle.complete),
        ((lifecycle.arrive, lifecycle.start), lifecycle.complete),
        ((later,), lifecycle.confirm),
    ],
)
async def test_a_visit_stands_as_before(house: House, clinic: Clinic, first: tuple[Verb, ...], wrong: Verb) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    for verb in first:
        visit = await click(house, clinic, visit, verb)
    before = standing(visit)
    assert standing(await click(house, clinic, visit, wrong)) != before
    assert standing(await click(house, clinic, visit, undo)) == before


async def test_a_missed_visit_that_was_not_one_is_told_to_nobody(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    visit = await book_visit(house, clinic, at=NOW)
    clock.move(timedelta(minutes=20))
    await click(house, clinic, visit, lifecycle.miss)
    assert (await planned_for(house, clinic, visit))[1, "no_show", ""] == "planned"
    assert (await click(house, clinic, visit, undo)).state == "booked"
    assert (await planned_for(house, clinic, visit))[1, "no_show", ""] == "cancelled"


@pytest.mark.parametrize("wrong", [lifecycle.cancel, lifecycle.arrive])
async def test_reminders_that_were_dropped_are_planned_again(house: House, clinic: Clinic, wrong: Verb) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    before = await planned_for(house, clinic, visit)
    assert set(before.values()) == {"planned"}
    await click(house, clinic, visit, wrong)
    assert set((await planned_for(house, clinic, visit)).values()) == {"cancelled"}
    await click(house, clinic, visit, undo)
    assert await planned_for(house, clinic, visit) == before


async def test_a_time_that_came_back_is_reminded_of_as_another_one(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    await click(house, clinic, visit, later)
    back = await click(house, clinic, visit, undo)
    assert (back.starts_at, back.occurrence) == (IN_THREE_DAYS, 3)
    states: dict[int, set[str]] = {}
    for (occurrence, _, _), state in (await planned_for(house, clinic, visit)).items():
        states.setdefault(occurrence, set()).add(state)
    assert states == {1: {"cancelled"}, 2: {"cancelled"}, 3: {"planned"}}


async def test_only_the_latest_goes_and_then_the_one_before(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    for verb in (lifecycle.confirm, lifecycle.arrive, lifecycle.start):
        await click(house, clinic, visit, verb)
    states = [(await click(house, clinic, visit, undo)).state for _ in range(3)]
    assert states == ["arrived", "confirmed", "booked"]
    with pytest.raises(Conflict, match="nothing to take back"):
        await click(house, clinic, visit, undo)


async def test_a_quarter_of_an_hour_later_it_stands(house: House, clinic: Clinic, clock: MovableClock) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    await click(house, clinic, visit, lifecycle.cancel)
    clock.move(UNDO_WITHIN + timedelta(seconds=1))
    with pytest.raises(Conflict, match="quarter of an hour"):
        await click(house, clinic, visit, undo)


async def test_what_a_practice_system_or_the_patient_did_is_not_the_desks_to_take_back(
    house: House, clinic: Clinic
) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    async with house.open_work(clinic.id, Actor("patient", visit.patient_id)) as work:
        await lifecycle.confirm(work, visit.id)
    async with house.database.of_tenant(clinic.id) as session:
        assert last_undoable(await read_changes(session, visit.id), NOW) is None
    with pytest.raises(Conflict):
        await click(house, clinic, visit, undo)


async def test_the_latest_is_the_latest_of_very_many(house: House, clinic: Clinic) -> None:
    """Whoever has the link may answer as often as they like."""
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    await click(house, clinic, visit, lifecycle.confirm)
    add = insert(AppointmentChange)
    row = {"appointment_id": visit.id, "tenant_id": clinic.id, "event": "wish", "actor_kind": "patient", "at": NOW}
    async with house.open_work(clinic.id, SYSTEM) as work:
        await work.session.execute(add, [row | {"occurrence": 1}] * MOST_TOLD)
    await click(house, clinic, visit, lifecycle.cancel)
    assert (await click(house, clinic, visit, undo)).state == "confirmed"


async def test_two_clicks_take_back_one_change_each(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    await click(house, clinic, visit, lifecycle.cancel)
    found = await asyncio.gather(*(click(house, clinic, visit, undo) for _ in range(3)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["Appointment", "Conflict", "Conflict"]


async def test_it_is_audited_and_no_other_clinics(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=IN_THREE_DAYS)
    await click(house, clinic, visit, lifecycle.cancel)
    async with house.open_work(other_clinic.id, SYSTEM) as work:
        with pytest.raises(NotFound):
            await undo(work, visit.id)
    await click(house, clinic, visit, undo)
    async with house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.object_id == visit.id).order_by(AuditEntry.number)
        entry = (await session.execute(query)).scalars().all()[-1]
    assert (entry.action, entry.actor_id) == ("appointment.undone", clinic.desk.id)
    assert entry.after is not None
    assert (entry.after["state"], entry.after["undid"]) == ("booked", "cancelled")
