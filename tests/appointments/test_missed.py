"""Who did not come: told after the clinic's hold, once, and not when they were seen after all."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.appointments import due as due_room
from hub.appointments.changes import write_change
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import arrive, lock_appointment, miss
from hub.appointments.rules import change_rules
from hub.appointments.tables import Appointment
from hub.appointments.tell import tell
from hub.appointments.tellings import Event
from hub.appointments.undo import undo
from hub.inbox.tables import Notification
from hub.messages.tables import Message
from hub.work import SYSTEM
from tests.appointments.diary import DAY, HOUR, MINUTE, START, Diary


async def missed(diary: Diary) -> uuid.UUID:
    visit = await diary.book()
    diary.clock.stop(START + 20 * MINUTE)
    await diary.do(miss, visit)
    return visit


async def told_of_no_show(diary: Diary) -> tuple[list[uuid.UUID], list[str | None]]:
    """Whose bell rang, and the templates of what was written."""
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        rung = await session.execute(select(Notification.person_id).where(Notification.kind == "appointment_no_show"))
        codes = await session.execute(select(Message.code).where(Message.code.contains("no_show")))
        return list(rung.scalars()), sorted(codes.scalars(), key=str)


async def no_show(diary: Diary, visit: uuid.UUID) -> tuple[str, str | None]:
    (row,) = [row for row in await diary.planned(visit) if not row[0]]
    return row[1], row[2]


async def test_a_no_show_is_told_when_its_hold_is_over_and_once(diary: Diary) -> None:
    visit = await missed(diary)
    await diary.sweep_at(START + 20 * MINUTE + 2 * HOUR - timedelta(seconds=1))
    assert await told_of_no_show(diary) == ([], [])
    for _ in range(2):
        await diary.sweep_at(START + 20 * MINUTE + 2 * HOUR)
    assert await told_of_no_show(diary) == (
        [diary.clinic.omar.id],
        ["appointment_no_show", "staff_appointment_no_show"],
    )
    assert await no_show(diary, visit) == ("told", None)


async def test_who_came_late_after_all_is_not_told_off(diary: Diary) -> None:
    visit = await missed(diary)
    diary.clock.move(HOUR)
    await diary.do(arrive, visit)
    await diary.sweep_at(START + DAY)
    assert await told_of_no_show(diary) == ([], [])
    assert await no_show(diary, visit) == ("cancelled", "arrived")


async def test_an_arrival_that_was_ever_seen_drops_what_nobody_dropped(diary: Diary) -> None:
    visit = await missed(diary)
    async with diary.desk() as work:
        appointment = await lock_appointment(work, visit)
        await write_change(work, appointment, Event.ARRIVED, {})
    await diary.sweep_at(START + DAY)
    assert await told_of_no_show(diary) == ([], [])
    assert await no_show(diary, visit) == ("cancelled", "arrival_seen")


async def test_a_no_show_that_makes_us_fail_rings_nobody_and_keeps_no_other_from_being_told(
    diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await missed(diary), await missed(diary)

    async def fails(work: Any, appointment: Appointment, news: Any) -> None:
        await tell(work, appointment, news)
        if appointment.id == bad:
            raise KeyError("nobody thought of this")

    monkeypatch.setattr(due_room, "tell", fails)
    diary.clock.stop(START + DAY)
    async with diary.house.open_work(diary.clinic.id, SYSTEM) as work:
        await tell_due(work)
        assert len(work.pushes) == 1
    assert (await no_show(diary, bad), await no_show(diary, good)) == (("skipped", "failed"), ("told", None))
    assert (await told_of_no_show(diary))[0] == [diary.clinic.omar.id]


async def test_who_is_missed_again_after_a_wrong_click_that_was_told_is_told_of_again(diary: Diary) -> None:
    await diary.do(change_rules, ["P1D"], 0)
    visit = await missed(diary)
    await diary.sweep()
    await diary.do(undo, visit)
    diary.clock.move(MINUTE)
    await diary.do(miss, visit)
    await diary.sweep()
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        rung = await session.execute(
            select(Notification.archived_at.is_(None)).where(Notification.kind == "appointment_no_show")
        )
        assert sorted(rung.scalars()) == [False, True]
    assert await no_show(diary, visit) == ("told", None)
