"""Telling what is due while others are at work, and when something goes wrong: once, and one holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, update

from hub.appointments import due as due_room
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import NewTime, arrive, cancel, lock_appointment, move
from hub.appointments.tables import Appointment, PlannedNotice
from hub.errors import Unavailable
from hub.messages.compose import send_many
from hub.templates.tables import Template
from hub.templates.versions import set_active
from hub.work import SYSTEM
from tests.appointments.diary import BOTH_PLANNED, DAY, HOUR, MINUTE, START, Diary

DAY_BEFORE, HOURS_BEFORE = START - DAY, START - 2 * HOUR


async def test_two_workers_at_once_tell_each_reminder_once(diary: Diary) -> None:
    visits = [await diary.book(START + number * MINUTE) for number in range(30)]
    diary.clock.stop(START - HOUR)
    dealt_with = await asyncio.gather(*(diary.sweep(limit=7) for _ in range(12)))
    while await diary.sweep(limit=7):
        pass
    assert sum(dealt_with) <= 60
    assert len(await diary.queued()) == 30
    for visit in visits:
        assert await diary.planned(visit) == [("P1D", "skipped", "superseded"), ("PT2H", "told", None)]


async def test_two_reminders_of_one_visit_are_one_workers_however_small_its_batch(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(START - HOUR)
    async with (
        diary.house.open_work(diary.clinic.id, SYSTEM) as first,
        diary.house.open_work(diary.clinic.id, SYSTEM) as second,
    ):
        assert await tell_due(first, limit=1) == 1
        assert await tell_due(second, limit=1) == 0, "the other reminder is not told by somebody else meanwhile"
    assert await diary.sweep() == 0
    assert await diary.references() == ["1/PT2H"]
    assert await diary.planned(visit) == [("P1D", "skipped", "superseded"), ("PT2H", "told", None)]


async def test_a_worker_that_dies_before_it_commits_has_told_nothing(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(DAY_BEFORE)
    with pytest.raises(RuntimeError):
        async with diary.house.open_work(diary.clinic.id, SYSTEM) as work:
            assert await tell_due(work) == 1
            raise RuntimeError("the power goes out")
    assert (await diary.queued(), await diary.planned(visit)) == ([], BOTH_PLANNED)
    assert await diary.sweep() == 1
    assert await diary.references() == ["1/P1D"]


@asynccontextmanager
async def while_a_worker_has_it(diary: Diary) -> AsyncIterator[asyncio.Event]:
    """A worker that has queued what is due, and commits when it is told to."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def telling() -> None:
        async with diary.house.open_work(diary.clinic.id, SYSTEM) as work:
            await tell_due(work)
            begun.set()
            await go_on.wait()

    worker = asyncio.create_task(telling())
    await begun.wait()
    yield go_on
    go_on.set()
    await worker


@pytest.mark.parametrize(
    ("verb", "values"),
    [(cancel, ()), (move, (NewTime(START + 5 * DAY),)), (arrive, ())],
    ids=["cancel", "move", "arrive"],
)
async def test_a_change_while_a_worker_has_it_sees_what_was_queued_and_takes_it_back(
    diary: Diary, verb: Callable[..., Awaitable[object]], values: tuple[Any, ...]
) -> None:
    visit = await diary.book()
    diary.clock.stop(DAY_BEFORE)
    async with while_a_worker_has_it(diary) as go_on:
        changing = asyncio.create_task(diary.do(verb, visit, *values))
        await asyncio.sleep(0.1)
        assert not changing.done()
        go_on.set()
        await changing
    assert [each.state for each in await diary.queued()] == ["cancelled"]
    assert (await diary.planned(visit))[0] == ("P1D", "told", None)


async def test_a_visit_that_is_being_changed_is_passed_over_and_waits_for_nobody(diary: Diary) -> None:
    changing, other = await diary.book(), await diary.book(START + MINUTE)
    diary.clock.stop(DAY_BEFORE + MINUTE)
    async with diary.desk() as work:
        await lock_appointment(work, changing)
        async with asyncio.timeout(15):
            assert await diary.sweep() == 1
        await cancel(work, changing)
    assert (await diary.planned(changing))[0] == ("P1D", "cancelled", "cancelled")
    assert (await diary.planned(other))[0] == ("P1D", "told", None)
    assert await diary.sweep() == 0


async def test_what_a_change_forgot_to_drop_is_dropped_when_it_is_due(diary: Diary) -> None:
    gone, moved = await diary.book(), await diary.book()
    async with diary.desk() as work:
        await work.session.execute(update(Appointment).where(Appointment.id == gone).values(state="cancelled"))
        await work.session.execute(update(Appointment).where(Appointment.id == moved).values(occurrence=2))
    await diary.sweep_at(DAY_BEFORE)
    assert (await diary.planned(gone))[0] == ("P1D", "cancelled", "cancelled")
    assert (await diary.planned(moved))[0] == ("P1D", "cancelled", "rescheduled")
    assert await diary.queued() == []


async def test_without_a_template_a_reminder_is_skipped_and_says_so(diary: Diary) -> None:
    visit = await diary.book()
    async with diary.desk() as work:
        query = select(Template.id).where(Template.code == "appointment_reminder_day")
        for template in (await work.session.execute(query)).scalars():
            await set_active(work, template, False)
    await diary.sweep_at(DAY_BEFORE)
    assert await diary.planned(visit) == [("P1D", "skipped", "no_template"), ("PT2H", "planned", None)]
    await diary.sweep_at(HOURS_BEFORE)
    assert await diary.references() == ["1/PT2H"]


async def test_one_that_does_not_fit_keeps_no_other_from_being_told(
    diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clinician's name is no text at all, and fits no wording."""
    bad, good = await diary.book(), await diary.book(START + MINUTE)
    whole = due_room._reminder

    def reminder(work: Any, visit: Any, notice: PlannedNotice) -> Any:
        sending = whole(work, visit, notice)
        return replace(sending, values={"clinician": 3}) if notice.appointment_id == bad else sending

    monkeypatch.setattr(due_room, "_reminder", reminder)
    await diary.sweep_at(DAY_BEFORE + MINUTE)
    assert (await diary.planned(bad))[0] == ("P1D", "skipped", "does_not_fit")
    assert (await diary.planned(good))[0] == ("P1D", "told", None)


async def test_one_that_makes_us_fail_keeps_no_other_from_being_told(
    diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await diary.book(), await diary.book(START + MINUTE)

    async def fails(work: Any, sendings: Any) -> Any:
        answers = await send_many(work, sendings)
        if any(each.related == ("appointment", bad) for each in sendings):
            raise KeyError("nobody thought of this")
        return answers

    monkeypatch.setattr(due_room, "send_many", fails)
    await diary.sweep_at(DAY_BEFORE + MINUTE)
    assert (await diary.planned(bad))[0] == ("P1D", "skipped", "failed")
    assert (await diary.planned(good))[0] == ("P1D", "told", None)
    assert [each.related_id for each in await diary.queued()] == [good]


async def test_a_database_that_is_busy_settles_nothing(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = await diary.book()

    async def times_out(_work: Any, _sendings: Any) -> Any:
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    monkeypatch.setattr(due_room, "send_many", times_out)
    with pytest.raises(Unavailable, match="try again"):
        await diary.sweep_at(DAY_BEFORE)
    monkeypatch.undo()
    assert await diary.planned(visit) == BOTH_PLANNED
    assert await diary.sweep() == 1
