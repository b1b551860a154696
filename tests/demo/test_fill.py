"""The demo: a clinic that looks alive at any hour of any day, and that can be filled again and again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from hub.appointments.board import Visit, read_visits
from hub.appointments.states import State
from hub.appointments.story import Changed, Planned, read_story
from hub.appointments.tables import Appointment
from hub.demo.files import kept_key, write_demo
from hub.demo.fill import KEY_NAME, fill
from hub.demo.patients import PATIENTS
from hub.demo.people import LAKESIDE, LOGINS, NOOR, PASSWORD
from hub.demo.visits import plan_visits
from hub.inbox.tables import InboxHead, Notification
from hub.messages.tables import Attempt, Message, MessageStep, VendorEvent
from hub.people.keys import list_keys, resolve_key, revoke_key
from hub.people.tables import ContactPoint, Patient, Staff
from hub.people.tenants import read_clinic
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.servers import fresh_database

MORNING = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)


@asynccontextmanager
async def filled(settings: Settings, clock: MovableClock) -> AsyncIterator[House]:
    """A house of the demo's own, filled once: its tenants have ids that are always the same."""
    async with fresh_database() as url:
        own = settings.model_copy(update={"database_url": SecretStr(url), "demo": True})
        async with build(own, "test demo", clock) as house:
            clock.stop(MORNING)
            await fill(house)
            clock.run()
            yield house


@pytest.fixture(scope="module")
async def demo(settings: Settings, the_clock: MovableClock) -> AsyncIterator[House]:
    """A demo to look at."""
    async with filled(settings, the_clock) as house:
        yield house


@pytest.fixture(scope="module")
async def lived_in(settings: Settings, the_clock: MovableClock) -> AsyncIterator[House]:
    """A demo that is filled again and again, on one day and another."""
    async with filled(settings, the_clock) as house:
        yield house


async def visits_of(house: House, now: datetime) -> list[Visit]:
    async with house.database.of_tenant(NOOR.id) as session:
        clinic = await read_clinic(session, NOOR.id)
        return await read_visits(session, *clinic.bounds_of(clinic.today(now)))


async def test_the_clinic_has_everybody_it_needs_in_two_languages(demo: House) -> None:
    async with demo.database.of_tenant(NOOR.id) as session:
        staff = (await session.execute(select(Staff))).scalars().all()
        patients = (await session.execute(select(Patient.name))).scalars().all()
    roles = [person.role for person in staff]
    assert (roles.count("provider"), roles.count("admin")) == (3, 1)
    assert roles.count("front_desk") >= 1
    assert {person.language for person in staff} == {"en", "ar"}
    assert any(name.isascii() for name in patients)
    assert any(not name.isascii() for name in patients)
    async with demo.database.of_tenant(LAKESIDE.id) as session:
        assert (await session.execute(select(func.count()).select_from(Staff))).scalar_one() >= 3


async def test_a_week_of_messages_went_every_way_that_there_is(demo: House) -> None:
    async with demo.database.of_tenant(NOOR.id) as session:
        messages = (await session.execute(select(Message))).scalars().all()
        attempts = (await session.execute(select(Attempt))).scalars().all()
        steps = (await session.execute(select(MessageStep))).scalars().all()
    states = Counter(message.state for message in messages)
    assert {"delivered", "read", "failed", "bounced", "held", "skipped", "queued"} <= set(states)
    assert states["delivered"] > len(messages) / 2
    assert {message.language for message in messages} == {"en", "ar"}
    assert {attempt.vendor for attempt in attempts} == {"sandbox"}
    assert max(message.attempt for message in messages) == 9, "tried again and again, over one channel after the other"
    assert all(step.at <= MORNING for step in steps if step.reason != "scheduled")
    waiting = [message for message in messages if message.state == "queued"]
    assert all(message.due_at > MORNING for message in waiting), "nothing for a worker to find"
    async with demo.database.of_nobody() as session:
        due = select(func.count()).select_from(VendorEvent).where(VendorEvent.due_at <= MORNING)
        assert (await session.execute(due)).scalar_one() == 0


async def test_every_patient_can_be_reached_and_none_by_anybody_real(demo: House) -> None:
    assert all(patient.phone.startswith("+9665000000") for patient in PATIENTS)
    assert all(patient.email.endswith("@example.com") for patient in PATIENTS)
    async with demo.database.of_tenant(NOOR.id) as session:
        kinds = (await session.execute(select(ContactPoint.kind, func.count()).group_by(ContactPoint.kind))).all()
    assert {tuple(row) for row in kinds} == {("phone", len(PATIENTS)), ("email", len(PATIENTS))}


async def test_every_login_signs_in(demo: House) -> None:
    async with demo.database.watching() as watch:
        emails = set((await watch.execute(select(Staff.email))).scalars())
    assert {login["email"] for login in LOGINS} == emails
    assert {login["tenant"] for login in LOGINS} == {NOOR.name, LAKESIDE.name}
    login = LOGINS[0]
    cookie = await demo.front_door.sign_in(login["email"], login["password"], network="a", device="test")
    assert cookie.startswith(NOOR.id.hex)
    assert login["password"] == PASSWORD


async def test_the_badges_are_exact(demo: House) -> None:
    for clinic in (NOOR, LAKESIDE):
        async with demo.database.of_tenant(clinic.id) as session:
            unread = select(Notification.person_id, func.count()).where(Notification.read_at.is_(None))
            counted = dict(iter(await session.execute(unread.group_by(Notification.person_id))))
            heads = dict(iter(await session.execute(select(InboxHead.person_id, InboxHead.unread))))
        assert {person: count for person, count in heads.items() if count} == counted
        assert counted, "something is new"


async def test_the_board_has_visits_in_every_state_and_each_has_its_story(demo: House) -> None:
    visits = await visits_of(demo, MORNING)
    assert {visit.appointment.state for visit in visits} == set(State)
    assert len({visit.clinician for visit in visits}) == 3
    assert any(visit.appointment.wish for visit in visits)
    by_state = {visit.appointment.state: visit.appointment.id for visit in visits}
    async with demo.database.of_tenant(NOOR.id) as session:
        stories = {state: await read_story(session, demo.keys, visit) for state, visit in by_state.items()}
    cancelled, done, missed = stories["cancelled"], stories["completed"], stories["no_show"]
    assert isinstance(cancelled.happened[-1], Changed)
    assert cancelled.happened[-1].said, "its reason"
    assert {told.state for told in cancelled.happened[-1].told} >= {"delivered"}
    assert any(isinstance(each, Planned) and each.told for each in done.happened), "a reminder that left"
    assert [each.kind for each in missed.ahead] == ["no_show"]


async def test_tomorrow_has_a_few_with_their_reminders_ahead(demo: House) -> None:
    visits = await visits_of(demo, MORNING + timedelta(days=1))
    assert 3 <= len(visits) <= 8
    async with demo.database.of_tenant(NOOR.id) as session:
        stories = [await read_story(session, demo.keys, visit.appointment.id) for visit in visits]
    assert all(story.ahead for story in stories)
    assert any(len(story.ahead) == 2 for story in stories)


async def test_a_key_that_works_is_kept_and_a_lost_one_replaced(lived_in: House, clock: MovableClock) -> None:
    clock.stop(MORNING)
    first = (await fill(lived_in)).api_key
    assert (await fill(lived_in, first)).api_key == first
    second = (await fill(lived_in)).api_key
    assert second != first
    assert await resolve_key(lived_in.database, first, lived_in.clock()) is None, "nobody knows it any more"
    assert await resolve_key(lived_in.database, second, lived_in.clock())
    async with lived_in.open_work(NOOR.id, SYSTEM) as work:
        for key in await list_keys(work.session, None, 100):
            assert key.name == KEY_NAME
            await revoke_key(work, key.id)
    assert (await fill(lived_in, second)).api_key not in (first, second)


async def test_what_scripts_need_is_written_for_nobody_else_to_read(
    lived_in: House, clock: MovableClock, tmp_path: Path
) -> None:
    clock.stop(MORNING)
    path = tmp_path / "demo.json"
    assert kept_key(path) is None
    told_of = await fill(lived_in)
    write_demo(path, "http://127.0.0.1:8080", told_of)
    told = json.loads(path.read_text())
    assert (told["address"], told["api_key"]) == ("http://127.0.0.1:8080", told_of.api_key)
    assert told["logins"] == LOGINS
    assert kept_key(path) == told_of.api_key
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
    for damaged in ("", "[]", "{}", '{"api_key": 5}', "\x00"):
        path.write_text(damaged)
        assert kept_key(path) is None


# The ends of the day, and in between; on days on which clocks change somewhere, and at the end of a year.
@pytest.mark.parametrize(
    "at",
    [datetime(2027, 3, 14, 0, 0), datetime(2027, 11, 7, 17, 45), datetime(2027, 12, 31, 23, 59)],  # noqa: DTZ001
    ids=lambda moment: f"{moment:%d %B %H:%M}",
)
async def test_at_any_hour_there_are_visits_today(lived_in: House, clock: MovableClock, at: datetime) -> None:
    now = at.replace(tzinfo=ZoneInfo(NOOR.zone)).astimezone(UTC)
    await forget_visits(lived_in)
    clock.stop(now)
    await plan_visits(lived_in)
    visits = await visits_of(lived_in, now)
    assert len(visits) >= 12
    assert len({visit.clinician for visit in visits}) == 3
    states = Counter(visit.appointment.state for visit in visits)
    assert {"arrived", "completed" if at.hour else "booked"} <= set(states)
    for visit in (each.appointment for each in visits):
        seen = (visit.confirmed_at, visit.arrived_at, visit.started_at, visit.ended_at)
        assert all(moment <= now for moment in seen if moment), "nothing is told of what is still to come"


async def forget_visits(house: House) -> None:
    """Begin the day without any, as tomorrow does."""
    import asyncpg

    owner = await asyncpg.connect(house.settings.database_url.get_secret_value())
    await owner.execute("TRUNCATE appointments, appointment_numbers CASCADE")
    await owner.close()


async def test_filling_again_changes_nothing_and_tomorrow_adds_a_day(lived_in: House, clock: MovableClock) -> None:
    async def counted() -> list[int]:
        async with lived_in.database.of_tenant(NOOR.id) as session:
            return [
                (await session.execute(select(func.count()).select_from(table))).scalar_one()
                for table in (Staff, Notification, Appointment, Message, Patient)
            ]

    now = MORNING.replace(year=2028)
    clock.stop(now)
    await fill(lived_in)
    before = await counted()
    clock.move(timedelta(hours=5))
    await fill(lived_in)
    assert await counted() == before
    clock.stop(now + timedelta(days=1))
    await fill(lived_in)
    after = await counted()
    assert after[0] == before[0]
    assert after[2] - before[2] >= 12
    assert after[4] == before[4], "the same patients come again"
