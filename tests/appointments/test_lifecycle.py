"""From booking to thanks: what each step leaves behind, and what a late or repeated word from outside does."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from hub.appointments import lifecycle
from hub.appointments.board import read_version
from hub.appointments.changes import read_changes, said_with
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.states import Clearance, Consent
from hub.appointments.tables import Appointment, AppointmentChange
from hub.audit import AuditEntry
from hub.errors import Conflict, Invalid, NotFound
from hub.people.patients import Arriving
from hub.wiring import House
from hub.work import SYSTEM, Actor, Work
from tests.conftest import MovableClock
from tests.factories import Clinic, book_visit

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)

Verb = Callable[[Work, uuid.UUID], Awaitable[Appointment]]


@pytest.fixture(autouse=True)
def stopped(clock: MovableClock) -> None:
    clock.stop(NOW)


async def do(house: House, clinic: Clinic, visit: Appointment, verb: Verb, actor: Actor = SYSTEM) -> Appointment:
    async with house.open_work(clinic.id, actor) as work:
        return await verb(work, visit.id)


async def changes_of(house: House, clinic: Clinic, visit: Appointment) -> list[AppointmentChange]:
    async with house.database.of_tenant(clinic.id) as session:
        return await read_changes(session, visit.id)


def moved_to(starts_at: datetime, **more: int | None) -> Verb:
    return lambda work, visit: lifecycle.move(work, visit, NewTime(starts_at), source_version=more.get("version"))


async def test_a_visit_goes_all_the_way_and_keeps_each_moment(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    visit = await book_visit(house, clinic, at=NOW + timedelta(minutes=10))
    moments = []
    for verb in (lifecycle.confirm, lifecycle.arrive, lifecycle.start, lifecycle.complete):
        clock.move(timedelta(minutes=5))
        visit = await do(house, clinic, visit, verb)
        moments.append(visit.state)
    assert moments == ["confirmed", "arrived", "in_progress", "completed"]
    minutes = [visit.confirmed_at, visit.arrived_at, visit.started_at, visit.ended_at]
    assert minutes == [NOW + timedelta(minutes=each) for each in (5, 10, 15, 20)]
    events = [change.event for change in await changes_of(house, clinic, visit)]
    assert events == ["booked", *moments]


async def test_every_step_is_audited_with_before_and_after_and_moves_the_board(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    async with house.database.of_tenant(clinic.id) as session:
        before = await read_version(session)
    actor = Actor("staff", clinic.desk.id)
    await do(house, clinic, visit, moved_to(TOMORROW + timedelta(hours=1)), actor)
    async with house.database.of_tenant(clinic.id) as session:
        assert await read_version(session) == before + 1
        query = select(AuditEntry).where(AuditEntry.object_id == visit.id).order_by(AuditEntry.number)
        entry = (await session.execute(query)).scalars().all()[-1]
    assert (entry.action, entry.actor_kind, entry.actor_id) == ("appointment.rescheduled", "staff", clinic.desk.id)
    assert entry.before and entry.after
    assert (entry.before["state"], entry.after["state"]) == ("booked", "rescheduled")
    assert entry.before["starts_at"] != entry.after["starts_at"]


async def test_a_new_time_is_the_next_occurrence_and_asks_anew(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    await do(house, clinic, visit, lifecycle.confirm)
    moved = await do(house, clinic, visit, moved_to(TOMORROW + timedelta(hours=2)))
    assert (moved.state, moved.occurrence, moved.confirmed_at) == ("rescheduled", 2, None)
    assert (await do(house, clinic, visit, lifecycle.confirm)).state == "confirmed"


async def test_moving_to_where_it_is_changes_nothing(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    same = await do(house, clinic, visit, moved_to(TOMORROW.astimezone(tz=None)))
    assert (same.state, same.occurrence) == ("booked", 1)
    assert [change.event for change in await changes_of(house, clinic, visit)] == ["booked"]


async def test_a_visit_can_move_to_another_clinician_of_the_clinic_alone(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)

    def to(clinician: uuid.UUID) -> Verb:
        return lambda work, found: lifecycle.move(work, found, NewTime(TOMORROW, clinician_id=clinician))

    with pytest.raises(Invalid):
        await do(house, clinic, visit, to(other_clinic.huda.id))
    await do(house, clinic, visit, lifecycle.confirm)
    moved = await do(house, clinic, visit, to(clinic.huda.id))
    assert (moved.clinician_id, moved.state) == (clinic.huda.id, "confirmed"), "the patient still comes at that time"


async def test_nobody_is_missed_before_the_visit_has_begun_and_who_comes_late_is_welcome(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    with pytest.raises(Conflict, match="not begun"):
        await do(house, clinic, visit, lifecycle.miss)
    clock.stop(TOMORROW + timedelta(minutes=20))
    assert (await do(house, clinic, visit, lifecycle.miss)).state == "no_show"
    late = await do(house, clinic, visit, lifecycle.arrive)
    assert (late.state, late.ended_at) == ("arrived", None)


async def test_what_the_desk_sees_at_arrival_is_kept(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    async with house.open_work(clinic.id, SYSTEM) as work:
        arrived = await lifecycle.arrive(work, visit.id, Clearance.ISSUE, Consent.EXPIRED)
    assert (arrived.clearance, arrived.consent) == ("issue", "expired")


async def test_a_wish_stands_until_somebody_answers_it(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)

    async def wish(work: Work, found: uuid.UUID) -> Appointment:
        return await lifecycle.ask_for_another_time(work, found, "After four, please.")

    asked = await do(house, clinic, visit, wish)
    assert (asked.state, asked.wish) == ("booked", "another_time")
    assert (await do(house, clinic, visit, moved_to(TOMORROW + timedelta(hours=8)))).wish is None
    await do(house, clinic, visit, lifecycle.cancel)
    assert (await do(house, clinic, visit, wish)).state == "cancelled"
    there = await book_visit(house, clinic, at=TOMORROW)
    await do(house, clinic, there, lifecycle.arrive)
    with pytest.raises(Conflict, match="arrived"):
        await do(house, clinic, there, wish)


async def test_words_that_come_with_a_change_are_sealed(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)

    async def cancelled(work: Work, found: uuid.UUID) -> Appointment:
        return await lifecycle.cancel(work, found, reason="The clinic is closed then.")

    await do(house, clinic, visit, cancelled)
    change = (await changes_of(house, clinic, visit))[-1]
    assert said_with(house.keys, change) == "The clinic is closed then."
    assert change.sealed is not None
    assert b"closed" not in change.sealed


async def test_two_desks_at_once_make_one_change(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    tried = [do(house, clinic, visit, lifecycle.cancel) for _ in range(4)]
    found = await asyncio.gather(*tried, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["Appointment", "Conflict", "Conflict", "Conflict"]
    assert [change.event for change in await changes_of(house, clinic, visit)] == ["booked", "cancelled"]


async def test_another_clinic_reaches_nothing(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    verbs: tuple[Verb, ...] = (
        lifecycle.confirm,
        lifecycle.arrive,
        lifecycle.start,
        lifecycle.complete,
        lifecycle.cancel,
        lifecycle.miss,
        lifecycle.ask_for_another_time,
        moved_to(TOMORROW + timedelta(hours=1)),
    )
    for verb in verbs:
        with pytest.raises(NotFound):
            await do(house, other_clinic, visit, verb)


# --- what a practice system says ------------------------------------------------------------------------


async def test_in_whatever_order_versions_come_the_newest_stands(house: House, clinic: Clinic) -> None:
    times = {version: TOMORROW + timedelta(hours=version) for version in (1, 2, 3)}
    for order in itertools.permutations(times):
        name = f"E-{'-'.join(map(str, order))}"
        for version in order:
            booking = Booking(
                Arriving("Sara Doe", external_id="P-1"),
                clinic.omar.id,
                times[version],
                external_id=name,
                source_version=version,
                tell=False,
            )
            async with house.open_work(clinic.id, SYSTEM) as work:
                visit = await lifecycle.book(work, booking)
        assert (visit.starts_at, visit.source_version) == (times[3], 3), order


async def test_a_word_that_is_overtaken_changes_nothing(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic, at=TOMORROW)
    await do(house, clinic, visit, moved_to(TOMORROW + timedelta(hours=1), version=7))

    async def cancelled(work: Work, found: uuid.UUID) -> Appointment:
        return await lifecycle.cancel(work, found, source_version=6)

    for verb in (cancelled, moved_to(TOMORROW, version=5), moved_to(TOMORROW, version=7)):
        left = await do(house, clinic, visit, verb)
        assert (left.state, left.starts_at, left.source_version) == ("rescheduled", TOMORROW + timedelta(hours=1), 7)
