"""Telling what is due: what is useful is told once, what is not says why, and looking for it is cheap."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.appointments import due as due_room
from hub.appointments.due import DUE_SOMEWHERE, tenants_due
from hub.appointments.lifecycle import NewTime, arrive, cancel, confirm, move
from hub.appointments.rules import change_rules
from hub.appointments.undo import undo
from hub.channels.registry import Registry
from hub.channels.vendor import Channel
from hub.messages.deliver import deliver_due
from hub.people.patients import Change, change_patient
from hub.work import SYSTEM
from tests.appointments.diary import BOTH_PLANNED, DAY, HOUR, MINUTE, START, Diary, open_diary
from tests.factories import Clinic, add_patient
from tests.messages.vendors import Scripted

DAY_BEFORE, HOURS_BEFORE = START - DAY, START - 2 * HOUR


async def deliver(diary: Diary, vendor: Scripted) -> None:
    courier = replace(diary.house.courier, vendors=Registry({channel: [vendor] for channel in Channel}))
    await deliver_due(courier, diary.clinic.id, "normal")


async def test_nothing_is_told_before_it_is_due(diary: Diary) -> None:
    visit = await diary.book()
    assert await diary.sweep_at(DAY_BEFORE - timedelta(seconds=1)) == 0
    assert await diary.planned(visit) == BOTH_PLANNED


async def test_each_reminder_is_told_when_it_is_due_in_its_own_words(diary: Diary) -> None:
    visit = await diary.book()
    assert await diary.sweep_at(DAY_BEFORE) == 1
    assert await diary.planned(visit) == [("P1D", "told", None), ("PT2H", "planned", None)]
    assert await diary.sweep_at(HOURS_BEFORE) == 1
    first, second = await diary.queued()
    assert (first.code, second.code) == ("appointment_reminder_day", "appointment_reminder_hours")
    assert (first.expires_at, second.expires_at) == (HOURS_BEFORE, START)
    for each in (first, second):
        assert (each.patient_id, each.topic, each.lane, each.state) == (
            diary.patient.id,
            "reminders",
            "normal",
            "queued",
        )
        assert (each.related_type, each.related_id) == ("appointment", visit)
        assert each.channels == ["sms", "whatsapp", "email"]
    assert [each.reference for each in (first, second)] == [f"reminder/{visit}/1/P1D", f"reminder/{visit}/1/PT2H"]


async def test_it_says_when_and_with_whom_and_where_to_answer(diary: Diary) -> None:
    await diary.do(change_patient, diary.patient.id, Change(channels=["email"]))
    visit = await diary.book()
    await diary.sweep_at(DAY_BEFORE)
    await deliver(diary, vendor := Scripted())
    (sent,) = vendor.sent
    assert "Dr. Omar Farouk" in sent.text
    assert "14:00" in sent.text, "on the clinic's wall"
    assert f"{diary.house.settings.public_url}/v/" in sent.text
    assert str(visit) not in sent.text


async def test_a_clinic_with_more_reminders_has_each_end_when_the_next_begins(diary: Diary) -> None:
    await diary.do(change_rules, ["P1D", "PT6H", "PT30M"], 120)
    await diary.book()
    for ahead in (DAY, 6 * HOUR, 30 * MINUTE):
        await diary.sweep_at(START - ahead)
    assert [each.expires_at for each in await diary.queued()] == [START - 6 * HOUR, START - 30 * MINUTE, START]
    assert await diary.references() == ["1/P1D", "1/PT6H", "1/PT30M"]


async def test_a_worker_down_for_three_hours_tells_what_is_useful_once_and_what_is_too_late_says_so(
    diary: Diary,
) -> None:
    down = START - 4 * HOUR
    await diary.do(change_rules, ["P1D", "PT3H", "PT2H"], 120)
    begun, soon = await diary.book(down + 150 * MINUTE), await diary.book(START)
    tomorrow, later = await diary.book(down + DAY + HOUR), await diary.book(down + DAY + 4 * HOUR)
    for working in (down - 20 * HOUR, down - 30 * MINUTE):
        await diary.sweep_at(working)
    before = await diary.references()
    assert before == ["1/P1D", "1/P1D", "1/PT3H"]
    assert await diary.sweep_at(down + 3 * HOUR) == 4
    assert await diary.planned(begun) == [
        ("P1D", "told", None),
        ("PT3H", "told", None),
        ("PT2H", "skipped", "too_late"),
    ]
    assert await diary.planned(soon) == [
        ("P1D", "told", None),
        ("PT3H", "skipped", "superseded"),
        ("PT2H", "told", None),
    ]
    still_planned = [("PT3H", "planned", None), ("PT2H", "planned", None)]
    assert await diary.planned(tomorrow) == [("P1D", "told", None), *still_planned]
    assert await diary.planned(later) == [("P1D", "planned", None), *still_planned]
    assert await diary.sweep() == 0
    assert sorted(await diary.references()) == sorted([*before, "1/PT2H", "1/P1D"])


async def test_what_was_booked_too_late_is_never_told(diary: Diary) -> None:
    visit = await diary.book(diary.clock() + HOUR)
    for minutes in (1, 59, 61):
        await diary.sweep_at(diary.clock() + minutes * MINUTE)
    assert await diary.queued() == []
    assert {row[1] for row in await diary.planned(visit)} == {"skipped"}


@pytest.mark.parametrize("late", [timedelta(0), 5 * HOUR], ids=["as it begins", "hours later"])
async def test_nothing_is_told_once_the_visit_has_begun(diary: Diary, late: timedelta) -> None:
    visit = await diary.book()
    await diary.sweep_at(START + late)
    assert await diary.planned(visit) == [("P1D", "skipped", "too_late"), ("PT2H", "skipped", "too_late")]
    assert await diary.queued() == []


async def test_what_waits_for_the_morning_is_not_worth_sending_after_the_visit(diary: Diary) -> None:
    visit = await diary.book(START - 6 * HOUR + 30 * MINUTE)
    await diary.sweep_at(START - 8 * HOUR + 30 * MINUTE)
    assert await diary.planned(visit) == [("P1D", "skipped", "superseded"), ("PT2H", "told", None)]
    await deliver(diary, vendor := Scripted())
    (message,) = await diary.queued()
    assert (message.state, message.reason) == ("queued", "quiet_hours"), "half past six"
    diary.clock.stop(START - 6 * HOUR)
    await deliver(diary, vendor)
    assert len(vendor.sent) == 1, "eight o'clock, and half an hour until it begins"


async def test_the_old_time_is_not_told_after_a_move_and_a_queued_message_is_taken_back(diary: Diary) -> None:
    visit = await diary.book()
    await diary.sweep_at(DAY_BEFORE)
    await diary.do(move, visit, NewTime(START + 3 * DAY))
    (message,) = await diary.queued()
    assert (message.state, message.reason) == ("cancelled", "withdrawn")
    await diary.sweep_at(START + 2 * DAY)
    assert await diary.references() == ["1/P1D", "2/P1D"]


@pytest.mark.parametrize("verb", [cancel, arrive])
async def test_what_is_queued_is_taken_back_when_the_visit_is_over_or_begun(
    diary: Diary, verb: Callable[..., Awaitable[object]]
) -> None:
    visit = await diary.book()
    await diary.sweep_at(DAY_BEFORE)
    await diary.do(verb, visit)
    assert [each.state for each in await diary.queued()] == ["cancelled"]
    await diary.sweep_at(HOURS_BEFORE)
    assert await diary.references() == ["1/P1D"]


async def test_a_reminder_of_a_time_that_was_a_wrong_click_is_taken_back(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(move, visit, NewTime(diary.clock() + 2 * HOUR + 5 * MINUTE))
    await diary.sweep_at(diary.clock() + 5 * MINUTE)
    assert await diary.references() == ["2/PT2H"]
    await diary.do(undo, visit)
    assert [(each.state, each.reason) for each in await diary.queued()] == [("cancelled", "withdrawn")]
    assert await diary.planned(visit, 3) == BOTH_PLANNED


async def test_a_reminder_that_had_not_left_goes_to_whoever_gets_another_clinician_at_the_same_time(
    diary: Diary,
) -> None:
    visit = await diary.book()
    await diary.sweep_at(DAY_BEFORE)
    diary.clock.move(MINUTE)
    await diary.do(move, visit, NewTime(START, clinician_id=diary.clinic.huda.id))
    assert await diary.sweep() == 1
    assert [(each.reference, each.state) for each in await diary.queued()] == [
        (f"reminder/{visit}/1/P1D", "cancelled"),
        (f"reminder/{visit}/2/P1D", "queued"),
    ]
    await deliver(diary, Scripted())
    await diary.do(move, visit, NewTime(START, minutes=45))
    assert await diary.sweep() == 0
    assert await diary.planned(visit, 3) == [("P1D", "skipped", "booked_too_late"), ("PT2H", "planned", None)]


async def test_a_confirmed_visit_is_reminded_of_too(diary: Diary) -> None:
    visit = await diary.book()
    await diary.do(confirm, visit)
    await diary.sweep_at(DAY_BEFORE)
    assert await diary.references() == ["1/P1D"]


async def due_somewhere(diary: Diary) -> list[uuid.UUID]:
    async with diary.house.database.watching() as watch:
        return await tenants_due(watch, diary.clock())


async def test_a_tenant_is_found_when_something_of_it_is_due_and_another_is_left_alone(
    diary: Diary, other_clinic: Clinic
) -> None:
    other = await open_diary(diary.house, other_clinic, diary.clock)
    mine, theirs = await diary.book(), await other.book()
    assert {diary.clinic.id, other.clinic.id}.isdisjoint(await due_somewhere(diary))
    diary.clock.stop(DAY_BEFORE)
    assert {diary.clinic.id, other.clinic.id} <= set(await due_somewhere(diary))
    await diary.sweep()
    assert (await other.planned(theirs), await other.queued()) == (BOTH_PLANNED, [])
    assert (await diary.planned(mine))[0] == ("P1D", "told", None)
    assert diary.clinic.id not in await due_somewhere(diary)


FILL = text("""
WITH visit AS (
    INSERT INTO appointments (tenant_id, number, patient_id, clinician_id, starts_at, minutes, state, clearance,
        consent, created_at, updated_at)
    SELECT :tenant, 'F-' || n, :patient, :clinician, :start, 30, 'booked', 'pending', 'missing', :start, :start
    FROM generate_series(1, :count) AS n RETURNING id
)
INSERT INTO planned_notices (tenant_id, appointment_id, occurrence, kind, ahead, due_at, state, planned_at, settled_at)
SELECT :tenant, id, 1, 'reminder', kind.ahead, :start, kind.state, :start, CASE kind.state WHEN 'told' THEN now() END
FROM visit CROSS JOIN (VALUES ('P1D', 'planned'), ('PT2H', 'told')) AS kind(ahead, state)
""")


async def test_looking_for_what_is_due_costs_by_what_is_due_and_not_by_what_is_planned(diary: Diary) -> None:
    patient = await add_patient(diary.house, diary.clinic)
    await diary.book()
    async with diary.desk() as work:
        values = {"tenant": diary.clinic.id, "patient": patient.id, "clinician": diary.clinic.omar.id}
        await work.session.execute(FILL, values | {"start": START + 300 * DAY, "count": 5_000})
    now = {"now": DAY_BEFORE}
    async with diary.house.database.watching() as watch:
        explained = (await watch.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {DUE_SOMEWHERE}"), now)).scalar_one()
    (look,) = _looks(explained[0]["Plan"])
    assert look["Index Name"] == "planned_notices_due"
    assert look["Actual Rows"] <= 1
    diary.clock.stop(DAY_BEFORE)
    async with diary.house.open_work(diary.clinic.id, SYSTEM) as work:
        claim = due_room.CLAIM.replace("$1", ":tenant").replace("$2", ":now").replace("$3", "200")
        explain = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {claim}")
        explained = (await work.session.execute(explain, now | {"tenant": diary.clinic.id})).scalar_one()
    (look,) = _looks(explained[0]["Plan"])
    assert (look["Index Name"], look["Actual Rows"]) == ("planned_notices_due", 1)


def _looks(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Each way in which a plan of Postgres looks at what is planned."""
    own = [plan] if plan.get("Relation Name") == "planned_notices" else []
    return own + [found for each in plan.get("Plans", []) for found in _looks(each)]
