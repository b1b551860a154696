"""What is planned ahead of a visit, and what each change of the visit makes of it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from hub.appointments.lifecycle import (
    Booking,
    NewTime,
    arrive,
    ask_for_another_time,
    book,
    cancel,
    complete,
    confirm,
    miss,
    move,
    start,
)
from hub.appointments.planned import plan_reminders, read_planned
from hub.appointments.rules import change_rules
from hub.appointments.tables import PlannedNotice
from hub.appointments.undo import undo
from hub.people.patients import Arriving
from hub.people.tenants import read_clinic
from hub.wiring import House
from tests.appointments.diary import BOTH_PLANNED, DAY, HOUR, MINUTE, MORNING, START, Diary, open_diary
from tests.conftest import MovableClock
from tests.factories import Clinic, open_clinic

BOOKED_TOO_LATE = [("P1D", "skipped", "booked_too_late"), ("PT2H", "skipped", "booked_too_late")]


def both(state: str, reason: str | None) -> list[tuple[str, str, str | None]]:
    return [("P1D", state, reason), ("PT2H", state, reason)]


async def due_times(diary: Diary, visit: uuid.UUID) -> list[datetime]:
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        return [row.due_at for row in await read_planned(session, visit)]


async def test_a_booking_plans_a_reminder_the_day_before_and_one_two_hours_before(diary: Diary) -> None:
    visit = await diary.book()
    assert await diary.planned(visit) == BOTH_PLANNED
    assert await due_times(diary, visit) == [START - DAY, START - 2 * HOUR]


async def test_the_day_before_goes_by_the_clinics_wall_and_the_hours_by_what_passes(
    house: House, clock: MovableClock
) -> None:
    london = ZoneInfo("Europe/London")
    diary = await open_diary(house, await open_clinic(house, zone=london.key), clock)
    # The clocks go forward at one o'clock that night.
    visit = await diary.book(datetime(2026, 3, 29, 2, 30, tzinfo=london))
    assert [each.astimezone(london).isoformat() for each in await due_times(diary, visit)] == [
        "2026-03-28T02:30:00+00:00",
        "2026-03-28T23:30:00+00:00",
    ]


@pytest.mark.parametrize(
    ("ahead", "planned"),
    [
        (25 * HOUR, BOTH_PLANNED),
        (DAY, [("P1D", "skipped", "booked_too_late"), ("PT2H", "planned", None)]),
        (HOUR, BOOKED_TOO_LATE),
        (-3 * DAY, BOOKED_TOO_LATE),
    ],
    ids=["a day and more", "a day", "an hour", "days ago"],
)
async def test_what_is_booked_too_late_for_a_reminder_says_so(
    diary: Diary, ahead: timedelta, planned: list[tuple[str, str, str | None]]
) -> None:
    visit = await diary.book(MORNING + ahead)
    assert await diary.planned(visit) == planned


async def test_a_booking_that_fails_leaves_nothing_planned(diary: Diary) -> None:
    with pytest.raises(RuntimeError):
        async with diary.desk() as work:
            await book(work, Booking(Arriving("Sara Doe"), diary.clinic.omar.id, START, tell=False))
            raise RuntimeError("the power goes out")
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        assert (await session.execute(select(func.count()).select_from(PlannedNotice))).scalar_one() == 0


async def test_what_is_planned_is_the_clinics_own(diary: Diary, other_clinic: Clinic) -> None:
    visit = await diary.book()
    async with diary.house.database.of_tenant(other_clinic.id) as session:
        assert await read_planned(session, visit) == []


async def test_planning_again_changes_nothing_that_stands(diary: Diary) -> None:
    visit = await diary.book()
    await diary.sweep_at(START - DAY)
    diary.clock.stop(START - HOUR)
    before = await diary.planned(visit)
    assert before == [("P1D", "told", None), ("PT2H", "planned", None)]
    async with diary.desk() as work:
        clinic = await read_clinic(work.session, work.tenant)
        await plan_reminders(work, await diary.read(visit), clinic)
    assert await diary.planned(visit) == before


async def test_a_move_drops_the_old_time_and_plans_the_new_one(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(move, visit, NewTime(START + DAY))
    assert await diary.planned(visit, 1) == both("cancelled", "rescheduled")
    assert await diary.planned(visit, 2) == BOTH_PLANNED
    assert (await due_times(diary, visit))[2:] == [START, START + DAY - 2 * HOUR]
    await diary.do(move, visit, NewTime(MORNING + 3 * HOUR))
    assert await diary.planned(visit, 2) == both("cancelled", "rescheduled")
    assert await diary.planned(visit, 3) == [("P1D", "skipped", "booked_too_late"), ("PT2H", "planned", None)]


async def test_a_move_keeps_what_was_told_of_the_old_time(diary: Diary) -> None:
    visit = await diary.book()
    await diary.sweep_at(START - DAY)
    await diary.do(move, visit, NewTime(START + DAY))
    assert await diary.planned(visit, 1) == [("P1D", "told", None), ("PT2H", "cancelled", "rescheduled")]
    assert await diary.planned(visit, 2) == BOTH_PLANNED


@pytest.mark.parametrize(("verb", "reason"), [(cancel, "cancelled"), (arrive, "arrived"), (miss, "no_show")])
async def test_what_is_not_true_any_more_is_dropped(
    diary: Diary, verb: Callable[..., Awaitable[object]], reason: str
) -> None:
    visit = await diary.book()
    if verb is miss:
        diary.clock.stop(START + MINUTE)
    await diary.do(verb, visit)
    planned = [row for row in await diary.planned(visit) if row[0]]
    assert planned == both("cancelled", reason)


async def test_an_answer_of_the_patients_changes_no_plan(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(confirm, visit)
    await diary.do(ask_for_another_time, visit)
    assert await diary.planned(visit) == BOTH_PLANNED


@pytest.mark.parametrize("verb", [cancel, arrive])
async def test_a_wrong_click_that_is_taken_back_has_its_reminders_again(
    diary: Diary, verb: Callable[..., Awaitable[object]]
) -> None:
    visit = await diary.book()
    await diary.sweep_at(START - DAY)
    await diary.do(verb, visit)
    diary.clock.move(5 * MINUTE)
    await diary.do(undo, visit)
    assert await diary.planned(visit) == [("P1D", "told", None), ("PT2H", "planned", None)]


async def test_a_reminder_whose_time_came_while_a_wrong_click_stood_is_told_after_it(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(START - DAY - MINUTE)
    await diary.do(cancel, visit)
    assert await diary.sweep_at(START - DAY) == 0
    diary.clock.move(5 * MINUTE)
    await diary.do(undo, visit)
    assert await diary.planned(visit) == BOTH_PLANNED
    assert await diary.sweep() == 1
    assert await diary.references() == ["1/P1D"]


async def test_a_time_that_comes_back_is_planned_anew_and_told_once(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(START - DAY - MINUTE)
    await diary.do(move, visit, NewTime(START + 5 * DAY))
    diary.clock.move(5 * MINUTE)
    await diary.do(undo, visit)
    assert await diary.planned(visit, 2) == both("cancelled", "undone")
    assert await diary.planned(visit, 3) == BOTH_PLANNED, "the one that came due meanwhile as well"
    await diary.sweep()
    await diary.sweep()
    assert await diary.references() == ["3/P1D"]


async def test_what_was_told_before_a_move_is_not_told_again_when_the_move_is_undone(diary: Diary) -> None:
    visit = await diary.book()
    await diary.sweep_at(START - DAY)
    diary.clock.move(5 * MINUTE)
    await diary.do(move, visit, NewTime(START + 5 * DAY))
    diary.clock.move(5 * MINUTE)
    await diary.do(undo, visit)
    assert await diary.planned(visit, 3) == [("PT2H", "planned", None)]
    await diary.sweep()
    assert await diary.references() == ["1/P1D"]
    assert [each.state for each in await diary.queued()] == ["queued"], "the move had taken it back"


async def test_what_was_due_and_not_told_when_a_wrong_move_came_is_told_after_it(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(START - DAY + MINUTE)
    await diary.do(move, visit, NewTime(START + 5 * DAY))
    await diary.do(undo, visit)
    await diary.sweep()
    assert await diary.references() == ["3/P1D"]


async def test_moves_that_are_taken_back_one_after_the_other_end_with_the_first_plan(diary: Diary) -> None:
    visit = await diary.book()
    for days in (1, 2):
        await diary.do(move, visit, NewTime(START + days * DAY))
    for _ in range(2):
        await diary.do(undo, visit)
    assert (await diary.read(visit)).starts_at == START
    assert await diary.planned(visit, 5) == BOTH_PLANNED
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        rows = await read_planned(session, visit)
    assert [row.occurrence for row in rows if row.state == "planned"] == [5, 5]


async def test_reminders_that_come_back_are_those_of_the_rules_of_today(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(arrive, visit)
    await diary.do(change_rules, ["P1D", "PT3H", "P5D"], 120)
    await diary.do(undo, visit)
    assert await diary.planned(visit) == [
        ("P1D", "planned", None),
        ("PT3H", "planned", None),
        ("PT2H", "cancelled", "rules_changed"),
    ]


async def missed(diary: Diary) -> uuid.UUID:
    visit = await diary.book()
    diary.clock.stop(START + 20 * MINUTE)
    await diary.do(miss, visit)
    return visit


async def no_show(diary: Diary, visit: uuid.UUID) -> list[tuple[str, str | None, datetime]]:
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        rows = await read_planned(session, visit)
    return [(row.state, row.reason, row.due_at) for row in rows if row.kind == "no_show"]


async def test_that_the_patient_was_missed_is_told_after_the_clinics_hold(diary: Diary) -> None:
    visit = await missed(diary)
    assert await no_show(diary, visit) == [("planned", None, START + 20 * MINUTE + 2 * HOUR)]


async def test_the_hold_is_the_clinics_own(diary: Diary) -> None:
    await diary.do(change_rules, ["P1D"], 45)
    assert await no_show(diary, await missed(diary)) == [("planned", None, START + 65 * MINUTE)]


@pytest.mark.parametrize("verb", [arrive, undo])
async def test_whoever_was_not_missed_after_all_is_not_told_so(
    diary: Diary, verb: Callable[..., Awaitable[object]]
) -> None:
    visit = await missed(diary)
    await diary.do(verb, visit)
    (row,) = await no_show(diary, visit)
    assert row[:2] == ("cancelled", "arrived" if verb is arrive else "undone")
    if verb is arrive:
        await diary.do(start, visit)
        await diary.do(complete, visit)
        assert await no_show(diary, visit) == [row]


async def test_whoever_is_missed_a_second_time_waits_the_whole_hold_again(diary: Diary) -> None:
    visit = await missed(diary)
    await diary.do(undo, visit)
    diary.clock.move(30 * MINUTE)
    await diary.do(miss, visit)
    assert await no_show(diary, visit) == [("planned", None, START + 50 * MINUTE + 2 * HOUR)]


async def test_an_arrival_that_was_a_wrong_click_leaves_the_patient_missed(diary: Diary) -> None:
    visit = await missed(diary)
    before = await no_show(diary, visit)
    diary.clock.move(10 * MINUTE)
    await diary.do(arrive, visit)
    await diary.do(undo, visit)
    assert (await diary.read(visit)).state == "no_show"
    assert await no_show(diary, visit) == before


async def test_whoever_was_missed_and_gets_another_time_is_reminded_of_it(diary: Diary) -> None:
    visit = await missed(diary)
    await diary.do(move, visit, NewTime(START + 5 * DAY))
    assert await diary.planned(visit, 2) == BOTH_PLANNED
    assert [row[:2] for row in await no_show(diary, visit)] == [("cancelled", "rescheduled")]


async def test_whoever_was_missed_and_moved_by_a_wrong_click_is_still_missed(diary: Diary) -> None:
    visit = await missed(diary)
    before = await no_show(diary, visit)
    await diary.do(move, visit, NewTime(START + 5 * DAY))
    await diary.do(undo, visit)
    assert (await diary.read(visit)).state == "no_show"
    assert (await no_show(diary, visit))[1:] == before
    await diary.sweep_at(START + DAY)
    assert [row[:2] for row in await no_show(diary, visit)] == [("cancelled", "rescheduled"), ("told", None)]
