"""What a patient answers by their link: it counts once, for the time they saw, and who is to know hears of it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from hub.appointments.answers import LONGEST_NOTE, MOST_ANSWERS, OPEN, Answer, Answered, Standing, answer, standing_of
from hub.appointments.changes import read_changes, said_with
from hub.appointments.lifecycle import NewTime, arrive, ask_for_another_time, cancel, complete, confirm, miss, move
from hub.appointments.tables import Appointment
from hub.audit import AuditEntry
from hub.errors import Invalid, NotFound
from hub.wiring import House
from hub.work import Actor
from tests.appointments.left import left
from tests.conftest import MovableClock
from tests.factories import Clinic, book_visit

NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
AT = NOW + timedelta(days=1)


async def say(
    house: House, clinic: Clinic, visit: Appointment, said: Answer, occurrence: int = 1, note: str = ""
) -> Answered:
    async with house.open_work(clinic.id, Actor("patient", visit.patient_id)) as work:
        return await answer(work, visit.id, said, occurrence, note)


@pytest.fixture
async def visit(house: House, clinic: Clinic, clock: MovableClock) -> Appointment:
    """Sara's, tomorrow, with Omar."""
    clock.stop(NOW)
    return await book_visit(house, clinic, at=AT)


@pytest.mark.parametrize(
    ("said", "state", "wish", "action", "kind"),
    [
        ("confirm", "confirmed", None, "appointment.confirmed", "appointment_confirmed"),
        ("another_time", "booked", "another_time", "appointment.wish", "appointment_wish"),
        ("cancel", "cancelled", None, "appointment.cancelled", "appointment_cancelled"),
    ],
)
async def test_an_answer_counts_is_the_patients_own_and_rings_the_clinician(
    house: House,
    clinic: Clinic,
    visit: Appointment,
    said: Answer,
    state: str,
    wish: str | None,
    action: str,
    kind: str,
) -> None:
    before = await left(house, clinic, visit)
    answered = await say(house, clinic, visit, said)
    after = await left(house, clinic, visit)
    assert (answered.result, answered.appointment.id) == ("done", visit.id)
    assert (after.row["state"], after.row["wish"], after.row["occurrence"]) == (state, wish, 1)
    assert after.row["confirmed_at"] == (NOW if said == "confirm" else None)
    assert after.audit[len(before.audit) :] == [(action, "patient", visit.patient_id)]
    # The desk knows what it does itself, and not what a patient does.
    people = {clinic.omar.id} if said == "confirm" else {clinic.omar.id, clinic.desk.id}
    assert set(after.rung) == {(person, kind) for person in people}
    assert len(after.rung) == len(people)
    assert after.version > before.version
    async with house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.object_id == visit.id).order_by(AuditEntry.number)
        told = (await session.execute(query)).scalars().all()[-1]
    assert (told.action, told.actor_kind, told.actor_id) == (action, "patient", visit.patient_id)


@pytest.mark.parametrize("said", ["confirm", "another_time", "cancel"])
async def test_an_answer_again_changes_nothing_and_tells_nothing(
    house: House, clinic: Clinic, visit: Appointment, said: Answer
) -> None:
    await say(house, clinic, visit, said)
    before = await left(house, clinic, visit)
    assert [(await say(house, clinic, visit, said)).result for _ in range(2)] == ["already", "already"]
    assert await left(house, clinic, visit) == before


@pytest.mark.parametrize("said", ["confirm", "another_time", "cancel"])
async def test_answers_at_once_are_one(house: House, clinic: Clinic, visit: Appointment, said: Answer) -> None:
    before = await left(house, clinic, visit)
    results = [each.result for each in await asyncio.gather(*(say(house, clinic, visit, said) for _ in range(6)))]
    assert sorted(results) == ["already"] * 5 + ["done"]
    assert len((await left(house, clinic, visit)).audit) == len(before.audit) + 1


async def test_confirming_and_cancelling_at_once_end_in_a_cancelled_visit(
    house: House, clinic: Clinic, visit: Appointment
) -> None:
    both: list[Answer] = ["confirm", "cancel"]
    await asyncio.gather(*(say(house, clinic, visit, each) for each in both))
    assert (await left(house, clinic, visit)).row["state"] == "cancelled"


@pytest.mark.parametrize("said", ["confirm", "another_time", "cancel"])
async def test_who_saw_another_time_has_answered_nothing(
    house: House, clinic: Clinic, visit: Appointment, said: Answer
) -> None:
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await move(work, visit.id, NewTime(AT + timedelta(days=1)))
    before = await left(house, clinic, visit)
    answered = await say(house, clinic, visit, said)
    assert (answered.result, answered.appointment.starts_at) == ("moved", AT + timedelta(days=1))
    assert await left(house, clinic, visit) == before
    assert (await say(house, clinic, visit, said, occurrence=2)).result == "done"


async def test_a_visit_that_was_moved_and_confirmed_by_telephone_is_not_confirmed_by_who_saw_the_old_time(
    house: House, clinic: Clinic, visit: Appointment
) -> None:
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await move(work, visit.id, NewTime(AT + timedelta(days=1)))
        await confirm(work, visit.id)
    assert (await say(house, clinic, visit, "confirm")).result == "moved"


async def bring(house: House, clinic: Clinic, visit: Appointment, standing: str, clock: MovableClock) -> None:
    """Have the visit stand in some way."""
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        if standing == "cancelled":
            await cancel(work, visit.id)
        elif standing in ("arrived", "completed"):
            await arrive(work, visit.id)
    if standing in ("started", "ended", "missed"):
        clock.stop(AT + timedelta(minutes=30 if standing == "ended" else 0))
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        if standing == "completed":
            await complete(work, visit.id)
        elif standing == "missed":
            await miss(work, visit.id)


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("arrived", Standing.BEGUN),
        ("completed", Standing.OVER),
        ("started", Standing.BEGUN),
    ],
)
async def test_nobody_answers_for_a_visit_that_cannot_change(
    house: House, clinic: Clinic, visit: Appointment, clock: MovableClock, state: str, standing: Standing
) -> None:
    await bring(house, clinic, visit, state, clock)
    before = await left(house, clinic, visit)
    said: Answer
    for said in ("confirm", "another_time", "cancel"):
        answered = await say(house, clinic, visit, said)
        assert answered.result == "closed"
        assert standing_of(answered.appointment, clock()) is standing
    assert standing not in OPEN
    assert await left(house, clinic, visit) == before


@pytest.mark.parametrize(
    ("state", "standing"),
    [("cancelled", Standing.CANCELLED), ("ended", Standing.PASSED), ("missed", Standing.PASSED)],
)
async def test_who_is_not_expected_any_more_may_ask_for_another_time(
    house: House, clinic: Clinic, visit: Appointment, clock: MovableClock, state: str, standing: Standing
) -> None:
    await bring(house, clinic, visit, state, clock)
    refused = await say(house, clinic, visit, "confirm")
    assert (refused.result, standing_of(refused.appointment, clock())) == ("closed", standing)
    assert (await say(house, clinic, visit, "another_time")).result == "done"
    after = await left(house, clinic, visit)
    assert after.row["wish"] == "another_time"
    for said in ("another_time", "cancel"):
        again = await say(house, clinic, visit, said)
        assert (again.result, standing_of(again.appointment, clock())) == ("already", Standing.WISHED)
    assert await left(house, clinic, visit) == after


@pytest.mark.parametrize("first", [None, "confirm"])
async def test_who_asked_for_another_time_may_come_after_all(
    house: House, clinic: Clinic, visit: Appointment, first: Answer | None
) -> None:
    if first:
        await say(house, clinic, visit, first)
    asked = await say(house, clinic, visit, "another_time")
    assert standing_of(asked.appointment, NOW) is Standing.ASKED
    assert (await say(house, clinic, visit, "confirm")).result == "done"
    after = await left(house, clinic, visit)
    assert (after.row["state"], after.row["wish"]) == ("confirmed", None)
    assert (await say(house, clinic, visit, "confirm")).result == "already"


async def test_a_confirmed_visit_may_still_be_cancelled_and_an_asked_one_too(
    house: House, clinic: Clinic, visit: Appointment
) -> None:
    said: Answer
    for said in ("confirm", "another_time", "cancel"):
        assert (await say(house, clinic, visit, said)).result == "done"
    assert (await left(house, clinic, visit)).row["wish"] is None


@pytest.mark.parametrize("said", ["another_time", "cancel"])
async def test_what_the_patient_wrote_is_kept_with_the_answer_in_one_line_and_sealed(
    house: House, clinic: Clinic, visit: Appointment, said: Answer
) -> None:
    await say(house, clinic, visit, said, note="  صباحًا\r\nأفضل 👨\u200d👩\u200d👧\x00\u202e ")
    async with house.database.of_tenant(clinic.id) as session:
        change = (await read_changes(session, visit.id))[-1]
        assert said_with(house.keys, change) == "صباحًا أفضل 👨\u200d👩\u200d👧"
        assert change.sealed is not None
        assert "صباحًا".encode() not in change.sealed
        assert (change.actor_kind, change.actor_id) == ("patient", visit.patient_id)


async def test_a_note_has_room_for_500_characters(house: House, clinic: Clinic, visit: Appointment) -> None:
    before = await left(house, clinic, visit)
    with pytest.raises(Invalid) as refused:
        await say(house, clinic, visit, "another_time", note="ض" * (LONGEST_NOTE + 1))
    assert [each.field for each in refused.value.errors] == ["note"]
    assert await left(house, clinic, visit) == before
    assert (await say(house, clinic, visit, "another_time", note="ض" * LONGEST_NOTE)).result == "done"


async def test_anothers_visit_is_not_there(
    house: House, clinic: Clinic, other_clinic: Clinic, visit: Appointment
) -> None:
    for tenant, appointment in ((other_clinic.id, visit.id), (clinic.id, uuid.uuid4())):
        with pytest.raises(NotFound):
            async with house.open_work(tenant, Actor("patient", visit.patient_id)) as work:
                await answer(work, appointment, "cancel", 1)
    assert (await left(house, clinic, visit)).row["state"] == "booked"


async def test_a_visit_stands_as_its_patient_would_say(house: House, clinic: Clinic, visit: Appointment) -> None:
    found: list[Standing] = []
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        found.append(standing_of(visit, work.now))
        found.append(standing_of(await confirm(work, visit.id), work.now))
        found.append(standing_of(await ask_for_another_time(work, visit.id), work.now))
        found.append(standing_of(await move(work, visit.id, NewTime(AT + timedelta(hours=1))), work.now))
        found.append(standing_of(await cancel(work, visit.id), work.now))
        everything = select(func.count()).select_from(AuditEntry).where(AuditEntry.object_id == visit.id)
        assert (await work.session.execute(everything)).scalar_one() == 5
    assert found == ["waiting", "confirmed", "asked", "moved", "cancelled"]


async def test_whoever_goes_back_and_forth_is_heard_so_often_and_no_more(
    house: House, clinic: Clinic, visit: Appointment
) -> None:
    wanted: tuple[Answer, Answer] = ("another_time", "confirm")
    for place in range(MOST_ANSWERS):
        assert (await say(house, clinic, visit, wanted[place % 2])).result == "done"
    before = await left(house, clinic, visit)
    assert (await say(house, clinic, visit, "another_time")).result == "closed"
    assert await left(house, clinic, visit) == before
