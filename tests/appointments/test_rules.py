"""A clinic's own rules: what they may be, and what a change of them makes of every visit ahead."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.appointments import rules as rules_room
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import arrive
from hub.appointments.reminders import USUAL
from hub.appointments.rules import Rules, change_rules, lock_rules, read_rules
from hub.appointments.tables import AppointmentRules
from hub.audit import AuditEntry
from hub.errors import Invalid
from hub.work import SYSTEM
from tests.appointments.diary import BOTH_PLANNED, DAY, HOUR, MINUTE, MORNING, START, Diary
from tests.factories import Clinic


async def read(diary: Diary) -> Rules:
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        return await read_rules(session)


async def audited(diary: Diary) -> list[tuple[Any, Any]]:
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.action == "rules.changed").order_by(AuditEntry.number)
        return [(entry.before, entry.after) for entry in (await session.execute(query)).scalars()]


async def test_a_clinic_that_never_decided_reminds_the_day_before_and_two_hours_before(diary: Diary) -> None:
    assert await read(diary) == Rules(USUAL, timedelta(hours=2))


async def test_rules_are_kept_in_one_order_and_one_spelling(diary: Diary, other_clinic: Clinic) -> None:
    given = await diary.do(change_rules, ["PT30M", "P2D", "PT180M", "PT48H"], 0)
    assert [str(ahead) for ahead in given.reminders] == ["P2D", "PT48H", "PT3H", "PT30M"]
    assert given.no_show_hold == timedelta(0)
    assert await read(diary) == given
    async with diary.house.database.of_tenant(other_clinic.id) as session:
        assert await read_rules(session) == Rules()


async def test_two_who_decide_at_once_on_top_of_what_stands_decide_one_after_the_other(diary: Diary) -> None:
    async def add(ahead: str) -> None:
        async with diary.desk() as work:
            stands = await lock_rules(work)
            await change_rules(work, [*map(str, stands.reminders), ahead], 120)

    await asyncio.gather(add("P3D"), add("PT30M"))
    assert [str(ahead) for ahead in (await read(diary)).reminders] == ["P3D", "P1D", "PT2H", "PT30M"]


async def test_a_change_is_in_the_audit_log_and_no_change_is_not(diary: Diary) -> None:
    await diary.do(change_rules, ["PT2H", "P1D"], 120)
    assert await audited(diary) == [], "as every clinic begins"
    await diary.do(change_rules, [], 1440)
    await diary.do(change_rules, [], 1440)
    assert await audited(diary) == [
        (
            {"reminders": ["P1D", "PT2H"], "no_show_hold_minutes": 120},
            {"reminders": [], "no_show_hold_minutes": 1440},
        )
    ]


@pytest.mark.parametrize(
    ("reminders", "hold", "fields"),
    [
        (["P1D", "P2D", "P3D", "P4D", "P5D", "P6D"], 120, ["reminders"]),
        (["PT1H", "PT60M"], 120, ["reminders"]),
        (["soon"], 120, ["reminders"]),
        (["P1D"], -1, ["no_show_hold_minutes"]),
        (["P1D"], 1441, ["no_show_hold_minutes"]),
        (["P1D"] * 6, 10**18, ["reminders", "reminders", "no_show_hold_minutes"]),
    ],
    ids=["six", "one twice", "no length", "before it happens", "more than a day", "all at once"],
)
async def test_what_no_clinic_can_mean_is_refused(
    diary: Diary, reminders: list[str], hold: int, fields: list[str]
) -> None:
    with pytest.raises(Invalid) as refusal:
        await diary.do(change_rules, reminders, hold)
    assert [error.field for error in refusal.value.errors] == fields
    assert await read(diary) == Rules()


async def test_every_visit_ahead_is_planned_anew_slice_by_slice(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_room, "AT_ONCE", 2)
    visits = [await diary.book(START + day * DAY) for day in (0, 0, 0, 1, 2, 3, 60)]
    await diary.do(change_rules, ["PT3H", "P1D"], 120)
    for visit in visits:
        assert await diary.planned(visit) == [
            ("P1D", "planned", None),
            ("PT3H", "planned", None),
            ("PT2H", "cancelled", "rules_changed"),
        ]


async def test_what_was_told_stays_told_and_what_comes_too_late_says_why(diary: Diary) -> None:
    visit = await diary.book()
    await diary.sweep_at(START - DAY)
    await diary.do(change_rules, ["P2D", "PT6H"], 120)
    assert await diary.planned(visit) == [
        ("P2D", "skipped", "rules_changed"),
        ("P1D", "told", None),
        ("PT6H", "planned", None),
        ("PT2H", "cancelled", "rules_changed"),
    ]


async def test_a_reminder_that_is_due_already_and_stays_in_the_rules_is_told(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(START - DAY)
    await diary.do(change_rules, ["P1D"], 120)
    assert await diary.planned(visit) == [("P1D", "planned", None), ("PT2H", "cancelled", "rules_changed")]
    await diary.sweep()
    assert await diary.references() == ["1/P1D"]


async def test_rules_that_come_back_bring_their_reminders_back(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(change_rules, [], 120)
    assert {row[1:] for row in await diary.planned(visit)} == {("cancelled", "rules_changed")}
    await diary.do(change_rules, ["P1D", "PT2H"], 120)
    assert await diary.planned(visit) == BOTH_PLANNED
    await diary.do(change_rules, [], 120)
    diary.clock.stop(START - DAY)
    await diary.do(change_rules, ["P1D", "PT2H"], 120)
    assert await diary.planned(visit) == [("P1D", "skipped", "rules_changed"), ("PT2H", "planned", None)]


async def test_visits_that_are_over_or_begun_or_elsewhere_stay_as_they_are(diary: Diary, other_clinic: Clinic) -> None:
    elsewhere = Diary(diary.house, other_clinic, diary.clock, diary.patient)
    past, begun = await diary.book(MORNING + MINUTE), await diary.book()
    await diary.do(arrive, begun)
    diary.clock.move(HOUR)
    before = [await diary.planned(visit) for visit in (past, begun)]
    await diary.do(change_rules, ["PT1H"], 120)
    assert [await diary.planned(visit) for visit in (past, begun)] == before
    assert (await read(elsewhere)) == Rules()


async def test_a_hold_alone_plans_nothing_anew(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(change_rules, ["P1D", "PT2H"], 30)
    assert await diary.planned(visit) == BOTH_PLANNED


async def test_rules_that_change_while_a_worker_tells_wait_for_it(diary: Diary) -> None:
    visit = await diary.book()
    diary.clock.stop(START - DAY)
    async with diary.house.open_work(diary.clinic.id, SYSTEM) as work:
        assert await tell_due(work) == 1
        changing = asyncio.create_task(diary.do(change_rules, [], 120))
        await asyncio.sleep(0.1)
        assert not changing.done()
    await changing
    assert await diary.planned(visit) == [("P1D", "told", None), ("PT2H", "cancelled", "rules_changed")]


async def test_two_who_decide_at_once_decide_one_after_the_other(diary: Diary) -> None:
    visit = await diary.book()
    await asyncio.gather(diary.do(change_rules, ["PT1H"], 120), diary.do(change_rules, ["PT4H"], 120))
    rules = await read(diary)
    assert [row[0] for row in await diary.planned(visit) if row[1] == "planned"] == [str(rules.reminders[0])]
    async with diary.house.database.of_tenant(diary.clinic.id) as session:
        assert len((await session.execute(select(AppointmentRules))).all()) == 1
