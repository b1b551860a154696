"""One visit's whole story: everything that was done and told of it, in order, by a handful of queries."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event

from hub.appointments import lifecycle
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.rules import change_rules
from hub.appointments.story import Changed, Planned, Story, Told, Written, read_story
from hub.appointments.tables import Appointment
from hub.appointments.tellings import Event, Recipient, Way
from hub.appointments.undo import undo
from hub.channels.vendor import Channel
from hub.inbox.marks import read_all
from hub.messages.compose import Sending, send_message
from hub.people.choices import Topic
from hub.people.patients import Arriving, Change, change_patient
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient, open_clinic

NOON = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
IN_TWO_DAYS = NOON + timedelta(days=2)


@pytest.fixture(scope="module")
async def known(house: House) -> tuple[Clinic, Patient]:
    """A clinic with the usual words, and a patient with a number and an address."""
    clinic = await open_clinic(house)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    return clinic, await add_patient(house, clinic)


@pytest.fixture
async def visit(house: House, known: tuple[Clinic, Patient], clock: MovableClock) -> Appointment:
    """A visit that the desk booked two days ahead."""
    clock.stop(NOON)
    clinic, patient = known
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        return await lifecycle.book(work, Booking(Arriving(id=patient.id), clinic.omar.id, IN_TWO_DAYS))


async def story_of(house: House, visit: Appointment, tenant: uuid.UUID | None = None) -> Story:
    async with house.database.of_tenant(tenant or visit.tenant_id) as session:
        return await read_story(session, house.keys, visit.id)


def lines(told: list[Told]) -> set[tuple[str, str, str, str | None]]:
    return {(each.to, each.over, each.state, each.reason) for each in told}


async def test_it_begins_with_the_booking_and_ends_with_what_lies_ahead(
    house: House, known: tuple[Clinic, Patient], visit: Appointment
) -> None:
    story = await story_of(house, visit)
    (booked,) = story.happened
    assert isinstance(booked, Changed)
    assert (booked.event, booked.who, booked.actor_kind, booked.said) == (Event.BOOKED, "Layla Haddad", "staff", "")
    assert lines(booked.told) == {
        (Recipient.CLINICIAN, Way.IN_APP, "unread", None),
        (Recipient.CLINICIAN, Way.EMAIL, "queued", None),
    }
    assert {each.who for each in booked.told} == {"Dr. Omar Farouk"}
    assert [(each.ahead, each.due_at, each.told) for each in story.ahead] == [
        ("P1D", IN_TWO_DAYS - timedelta(days=1), []),
        ("PT2H", IN_TWO_DAYS - timedelta(hours=2), []),
    ]


async def test_a_move_says_from_where_to_where_why_and_what_it_took_off_the_plan(
    house: House, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    soon = NOON + timedelta(hours=1)
    clock.move(timedelta(minutes=1))
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await lifecycle.move(work, visit.id, NewTime(soon, clinician_id=clinic.huda.id), reason="Dr. Omar is away")
    story = await story_of(house, visit)
    booked, moved = story.happened
    assert isinstance(booked, Changed)
    assert isinstance(moved, Changed)
    assert (booked.was, booked.became, booked.dropped) == (None, None, [])
    assert moved.was is not None
    assert moved.became is not None
    assert (moved.was.starts_at, moved.was.clinician) == (IN_TWO_DAYS, "Dr. Omar Farouk")
    assert (moved.became.starts_at, moved.became.clinician) == (soon, "د. هدى المنصور")
    assert moved.said == "Dr. Omar is away"
    assert {(each.occurrence, each.ahead, each.state, each.reason) for each in moved.dropped} == {
        (1, "P1D", "cancelled", "rescheduled"),
        (1, "PT2H", "cancelled", "rescheduled"),
        (2, "P1D", "skipped", "booked_too_late"),
        (2, "PT2H", "skipped", "booked_too_late"),
    }
    to_patient = {each for each in moved.told if each.to is Recipient.PATIENT}
    assert {(each.over, each.channel, each.topic) for each in to_patient} == {
        (Way.TEXT, Channel.SMS, "confirmations"),
        (Way.EMAIL, Channel.EMAIL, "confirmations"),
    }
    assert all(each.message for each in to_patient)
    assert {each.who for each in moved.told if each.over is Way.IN_APP} == {"Dr. Omar Farouk", "د. هدى المنصور"}
    assert story.ahead == []


async def test_what_is_undone_stays_in_the_story_with_what_was_taken_back(
    house: House, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await lifecycle.cancel(work, visit.id, reason="By mistake", hold=timedelta(seconds=15))
    clock.move(timedelta(seconds=5))
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await undo(work, visit.id)
    story = await story_of(house, visit)
    cancelled, undone = (each for each in story.happened if isinstance(each, Changed) and each.event != Event.BOOKED)
    assert (cancelled.event, undone.event) == (Event.CANCELLED, Event.UNDONE)
    assert cancelled.undone_at == undone.at
    assert lines(cancelled.told) == {
        (Recipient.PATIENT, Way.TEXT, "cancelled", "withdrawn"),
        (Recipient.PATIENT, Way.EMAIL, "cancelled", "withdrawn"),
        (Recipient.CLINICIAN, Way.EMAIL, "cancelled", "withdrawn"),
        (Recipient.CLINICIAN, Way.IN_APP, "taken_back", None),
    }
    assert cancelled.dropped == []
    assert [each.ahead for each in story.ahead] == ["P1D", "PT2H"]


async def test_a_reminder_is_told_at_its_moment_with_its_message_and_a_dropped_one_with_its_reason(
    house: House, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    clock.stop(NOON + timedelta(hours=1))
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        await change_rules(work, ["P1D"], 120)
    clock.stop(NOON + timedelta(days=1, minutes=1))
    async with house.open_work(clinic.id, SYSTEM) as work:
        await tell_due(work)
    story = await story_of(house, visit)
    dropped, sent = (each for each in story.happened if isinstance(each, Planned))
    assert (dropped.ahead, dropped.state, dropped.reason) == ("PT2H", "cancelled", "rules_changed")
    assert (sent.ahead, sent.state, sent.at) == ("P1D", "told", NOON + timedelta(days=1, minutes=1))
    (message,) = sent.told
    assert (message.to, message.channel, message.state, message.until) == (
        Recipient.PATIENT,
        Channel.SMS,
        "queued",
        sent.at,
    )
    assert story.ahead == []
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        await change_rules(work, ["P1D", "PT2H"], 120)
    assert [each.ahead for each in (await story_of(house, visit)).ahead] == ["PT2H"]


async def test_the_missed_visit_is_ahead_until_its_hold_is_over_and_is_then_told_with_the_change(
    house: House, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    clock.stop(IN_TWO_DAYS + timedelta(minutes=20))
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await lifecycle.miss(work, visit.id)
    story = await story_of(house, visit)
    assert [(each.kind, each.due_at) for each in story.ahead] == [("no_show", house.clock() + timedelta(hours=2))]
    clock.move(timedelta(hours=3))
    async with house.open_work(clinic.id, SYSTEM) as work:
        await tell_due(work)
    story = await story_of(house, visit)
    missed = story.happened[-1]
    assert isinstance(missed, Changed)
    assert missed.event == Event.NO_SHOW
    assert {(each.to, each.over) for each in missed.told} >= {(Recipient.PATIENT, Way.EMAIL)}
    assert {each.at for each in missed.told if each.state != "held_back"} == {house.clock()}
    assert story.ahead == []
    assert not [each for each in story.happened if isinstance(each, Planned) and each.kind == "no_show"]


async def test_a_wish_rings_at_every_desk_and_is_told_once(
    house: House, known: tuple[Clinic, Patient], visit: Appointment
) -> None:
    clinic, patient = known
    async with house.open_work(clinic.id, Actor("patient", patient.id)) as work:
        await lifecycle.ask_for_another_time(work, visit.id, "بعد العصر إن أمكن")
    async with house.open_work(clinic.id, SYSTEM) as work:
        await read_all(work, clinic.omar.id, 2**53)
    wish = (await story_of(house, visit)).happened[-1]
    assert isinstance(wish, Changed)
    assert (wish.actor_kind, wish.who, wish.said) == ("patient", None, "بعد العصر إن أمكن")
    assert {(each.to, each.state, each.people, each.seen) for each in wish.told} == {
        (Recipient.CLINICIAN, "read", 1, 1),
        (Recipient.DESK, "unread", 1, 0),
    }


async def test_what_was_held_back_says_why(house: House, clinic: Clinic, clock: MovableClock) -> None:
    """A clinic without a single template, and a patient who wants to hear nothing but by email."""
    clock.stop(NOON)
    patient = await add_patient(house, clinic)
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await change_patient(work, patient.id, Change(channels=["email"]))
        visit = await lifecycle.book(work, Booking(Arriving(id=patient.id), clinic.omar.id, IN_TWO_DAYS, tell=False))
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        await lifecycle.confirm(work, visit.id)
    booked, confirmed = (await story_of(house, visit)).happened
    assert booked.told == []
    assert lines(confirmed.told) == {
        (Recipient.CLINICIAN, Way.IN_APP, "unread", None),
        (Recipient.PATIENT, Way.TEXT, "held_back", "no_text_channel"),
        (Recipient.PATIENT, Way.EMAIL, "held_back", "no_template"),
    }


async def test_a_message_that_somebody_wrote_about_the_visit_stands_by_itself(
    house: House, known: tuple[Clinic, Patient], visit: Appointment
) -> None:
    clinic, patient = known
    async with house.open_work(clinic.id, Actor("staff", clinic.admin.id)) as work:
        about = ("appointment", visit.id)
        text = "Please bring your card."
        await send_message(work, Sending(patient.id, text=text, topic=Topic.CONFIRMATIONS, related=about))
    written = (await story_of(house, visit)).happened[-1]
    assert isinstance(written, Written)
    assert written.who == "Sami Rahman"
    assert [(each.to, each.channel) for each in written.told] == [(Recipient.PATIENT, Channel.SMS)]


async def test_another_clinics_visit_has_no_story(
    house: House, known: tuple[Clinic, Patient], visit: Appointment, other_clinic: Clinic
) -> None:
    assert await story_of(house, visit, other_clinic.id) == Story([], [])
    assert await story_of(house, Appointment(id=uuid.uuid4(), tenant_id=visit.tenant_id)) == Story([], [])


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are asked meanwhile."""
    asked: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    yield asked
    event.remove(Engine, "before_cursor_execute", count)


async def test_however_much_there_is_to_tell_the_queries_stay_as_many(
    house: House, known: tuple[Clinic, Patient], visit: Appointment, clock: MovableClock
) -> None:
    clinic, _ = known
    with counted() as little:
        await story_of(house, visit)
    for hour in range(1, 6):
        clock.move(timedelta(minutes=1))
        async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
            await lifecycle.move(work, visit.id, NewTime(IN_TWO_DAYS + timedelta(hours=hour)))
            await lifecycle.confirm(work, visit.id)
    with counted() as much:
        story = await story_of(house, visit)
    assert len(story.happened) == 11
    assert len(much) == len(little) <= 8
