"""Ringing bells."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from datetime import UTC, datetime

import httpx
import pytest

from hub.errors import Invalid
from hub.inbox import notify as ringing
from hub.inbox.feed import row_of
from hub.inbox.kinds import LOUDNESS, Kind, Level, Priority
from hub.inbox.notify import Everybody, Notice, Related, Wording, notify
from hub.people.roles import Role
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.realtime.pushes import STANDING, InboxMoved, Rang
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, add_clinicians, tell
from tests.inbox.conftest import head_of, rows_of
from tests.live_client import cookies_of, open_live

HELLO = Notice(Kind.SYSTEM, Wording("Hello"))


async def ring(
    house: House, clinic: Clinic, to: list[Staff] | Role | Everybody, notice: Notice = HELLO
) -> list[uuid.UUID]:
    async with house.open_work(clinic.id, SYSTEM) as work:
        return await notify(work, to if isinstance(to, str) else [person.id for person in to], notice)


async def test_a_notification_reaches_an_open_tab(hub: RunningHub, clinic: Clinic) -> None:
    async with hub.signed_in(clinic.omar) as client, open_live(hub.live_url, cookies_of(client)) as live:
        await live.hear_until("snap")
        await tell(hub.house, clinic, clinic.omar, title="Sara is here")
        await live.hear_until("ev")
        assert live.inbox.titles == ["Sara is here"]
        assert live.inbox.unread == 1
        answer: httpx.Response = await client.get("/api/v1/notifications/count")
        assert answer.json()["unread"] == 1


async def test_a_notification_carries_all_its_fields(house: House, clinic: Clinic, clock: MovableClock) -> None:
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    clock.stop(now)
    about = Related("appointment", uuid.uuid4(), "/console/appointments/1")
    notice = Notice(
        Kind.LICENSE_EXPIRY,
        Wording("License ends", "In 30 days"),
        level=Level.ERROR,
        priority=Priority.CRITICAL,
        related=about,
        facts={"days": 30, "name": "رخصة", "urgent": True, "until": None},
    )
    (written,) = await ring(house, clinic, [clinic.omar], notice)
    (row,) = await rows_of(house, clinic.omar)
    assert (row.id, row.tenant_id, row.person_id) == (written, clinic.id, clinic.omar.id)
    assert (row.number, row.seq) == (1, 1)
    assert (row.title, row.body, row.kind) == ("License ends", "In 30 days", "license_expiry")
    assert (row.level, row.priority) == ("error", "critical")
    assert (row.related_type, row.related_id, row.link) == (about.type, about.id, about.link)
    assert row.facts == notice.facts
    assert (row.read_at, row.archived_at, row.created_at, row.updated_at) == (None, None, now, now)


@pytest.mark.parametrize("kind", Kind)
async def test_every_kind_is_as_loud_as_usual_unless_told_otherwise(house: House, clinic: Clinic, kind: Kind) -> None:
    await ring(house, clinic, [clinic.omar], Notice(kind, Wording("x")))
    await ring(house, clinic, [clinic.omar], Notice(kind, Wording("x"), priority=Priority.LOW))
    usual, quiet = await rows_of(house, clinic.omar)
    assert (usual.level, usual.priority) == (LOUDNESS[kind].level, LOUDNESS[kind].priority)
    assert (quiet.level, quiet.priority) == (LOUDNESS[kind].level, "low")


async def test_several_people_are_told_once_each_in_their_own_numbers(house: House, clinic: Clinic) -> None:
    await ring(house, clinic, [clinic.huda])
    ids = await ring(house, clinic, [clinic.omar, clinic.huda, clinic.omar])
    assert len(ids) == 2
    assert [row.seq for row in await rows_of(house, clinic.omar)] == [1]
    assert [row.seq for row in await rows_of(house, clinic.huda)] == [1, 2]


async def test_a_role_means_everybody_active_in_it(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    (retired,) = await add_clinicians(house, clinic, 1)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, retired.id, active=False)
    assert len(await ring(house, clinic, Role.PROVIDER)) == 2
    told = [await head_of(house, person) for person in (clinic.omar, clinic.huda)]
    untold = [await head_of(house, person) for person in (retired, clinic.desk, other_clinic.omar)]
    assert (told, untold) == ([(1, 1)] * 2, [(0, 0)] * 3)


async def test_everybody_means_everybody_active_here(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    assert len(await ring(house, clinic, "everybody")) == 3
    told = [await head_of(house, person) for person in (clinic.omar, clinic.desk, clinic.admin)]
    untold = [await head_of(house, person) for person in (clinic.huda, other_clinic.omar)]
    assert (told, untold) == ([(1, 1)] * 3, [(0, 0)] * 2)


async def test_too_many_are_not_told_at_once(house: House, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringing, "MOST_TOLD", 3)
    with pytest.raises(Invalid, match="more people") as refused:
        await ring(house, clinic, "everybody")
    assert refused.value.errors[0].accepted == ["at most 3 people"]
    assert await head_of(house, clinic.omar) == (0, 0)
    assert len(await ring(house, clinic, Role.PROVIDER)) == 2


async def test_thousands_are_told_in_one_statement(house: House, clinic: Clinic) -> None:
    await add_clinicians(house, clinic, 2_000)
    said: list[str] = []
    async with house.open_work(clinic.id, SYSTEM) as work:
        driver = (await (await work.session.connection()).get_raw_connection()).driver_connection
        assert driver
        driver.add_query_logger(listener := lambda query: said.append(query.query))
        assert len(set(await notify(work, "everybody", HELLO))) == 2_004
        driver.remove_query_logger(listener)
        work.pushes.clear()
    assert len([statement for statement in said if "notifications" in statement]) == 1
    assert len(said) == 3


async def test_what_is_announced_is_what_is_stored(house: House, clinic: Clinic) -> None:
    words = {"en": Wording("Arrived"), "ar": Wording("وصل المريض", "الآن")}
    facts = {"b": 1, "a": {"deep": [None, "é"]}, "longer": True}
    about = Related("appointment", uuid.uuid4(), "/console/appointments/1")
    notice = Notice(Kind.PATIENT_ARRIVED, words.__getitem__, priority=Priority.CRITICAL, related=about, facts=facts)
    await ring(house, clinic, [clinic.omar])
    async with house.open_work(clinic.id, SYSTEM) as work:
        await notify(work, "everybody", notice)
        pushes = list(work.pushes)
        work.pushes.clear()
    # Many who read English, and one who reads Arabic.
    assert {type(push) for push in pushes} == {Rang, InboxMoved}
    told = {}
    for push in pushes:
        assert isinstance(push, Rang | InboxMoved)
        assert (push.urgent, push.tenant) == (True, clinic.id)
        if isinstance(push, InboxMoved):
            (row,) = json.loads(push.data)["items"]
            told[uuid.UUID(bytes=push.person)] = (push.unread, row)
            continue
        shared = json.loads(b"{" + push.shared)
        for person, seq, unread, id_ in STANDING.iter_unpack(push.standings):
            told[uuid.UUID(bytes=person)] = (unread, {"id": id_.decode(), "number": seq, "seq": seq} | shared)
    assert told.keys() == {person.id for person in clinic.staff}
    for person in clinic.staff:
        stored = (await rows_of(house, person))[-1]
        assert told[person.id] == ((await head_of(house, person))[1], row_of(stored))
        assert stored.title == words[person.language].title


async def test_nobody_in_a_role_is_nobody_told(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.desk.id, active=False)
        assert await notify(work, Role.FRONT_DESK, HELLO) == []
        assert await notify(work, [], HELLO) == []


async def test_an_unknown_inactive_or_foreign_recipient_is_named_and_nobody_is_told(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    for stranger in (uuid.uuid4(), clinic.huda.id, other_clinic.omar.id):
        with pytest.raises(Invalid) as refused:
            async with house.open_work(clinic.id, SYSTEM) as work:
                await notify(work, [clinic.omar.id, stranger], HELLO)
        assert str(stranger) in refused.value.errors[0].detail
    for person in (clinic.omar, clinic.huda, other_clinic.omar):
        assert await rows_of(house, person) == []
        assert await head_of(house, person) == (0, 0)


async def test_everybody_reads_it_in_their_own_language(house: House, clinic: Clinic) -> None:
    words = {"en": Wording("Arrived"), "ar": Wording("وصل المريض", "الآن")}
    await ring(house, clinic, Role.PROVIDER, Notice(Kind.PATIENT_ARRIVED, lambda language: words[language]))
    (omar,), (huda,) = await rows_of(house, clinic.omar), await rows_of(house, clinic.huda)
    assert (omar.title, huda.title, huda.body) == ("Arrived", "وصل المريض", "الآن")


async def test_what_is_taken_back_leaves_no_number_and_is_not_announced(hub: RunningHub, clinic: Clinic) -> None:
    async with hub.signed_in(clinic.omar) as client, open_live(hub.live_url, cookies_of(client)) as live:
        await live.hear_until("snap")
        with pytest.raises(ZeroDivisionError):
            async with hub.house.open_work(clinic.id, SYSTEM) as work:
                await notify(work, [clinic.omar.id], HELLO)
                raise ZeroDivisionError
        await tell(hub.house, clinic, clinic.omar, title="The first that happened")
        assert (await live.hear())["seq"] == 1
        assert live.inbox.titles == ["The first that happened"]


async def test_fifty_at_once_to_overlapping_people_leave_no_gap_and_no_deadlock(house: House, clinic: Clinic) -> None:
    people = [*clinic.staff, *await add_clinicians(house, clinic, 4)]
    lottery = random.Random(7)
    chosen = [lottery.sample(people, lottery.randint(2, len(people))) for _ in range(50)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(ring(house, clinic, each) for each in chosen))
    for person in people:
        times = sum(person in each for each in chosen)
        assert await head_of(house, person) == (times, times)
        rows = await rows_of(house, person)
        assert [row.number for row in rows] == [row.seq for row in rows] == list(range(1, times + 1))


async def test_the_first_ever_to_a_person_may_come_from_many_at_once(house: House, clinic: Clinic) -> None:
    await asyncio.gather(*(ring(house, clinic, [clinic.huda, clinic.omar]) for _ in range(10)))
    for person in (clinic.omar, clinic.huda):
        assert await head_of(house, person) == (10, 10)
