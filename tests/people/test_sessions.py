"""Sessions: when they end, and what puts off their end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.people import sessions
from hub.people.sessions import ENDED_KEPT, LONGEST_SESSION, Person
from hub.people.staff import change_staff
from hub.people.tables import Staff, StaffSession
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic
from tests.live_client import open_live
from tests.visitors import browser_of, session_of

SECOND = timedelta(seconds=1)


async def start(house: House, person: Staff, device: str = "test") -> str:
    async with house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        return await sessions.start(work, person.id, device)


async def resolve(house: House, cookie: str, *, in_use: bool = True) -> Person | None:
    return await sessions.resolve(house.database, cookie, house.clock(), house.idle, in_use=in_use)


async def rows(house: House, person: Staff) -> list[StaffSession]:
    async with house.database.of_tenant(person.tenant_id) as session:
        query = select(StaffSession).where(StaffSession.staff_id == person.id).order_by(StaffSession.created_at)
        return list((await session.execute(query)).scalars())


async def test_a_session_tells_who_it_is(house: House, clinic: Clinic) -> None:
    person = await resolve(house, await start(house, clinic.huda))
    assert person is not None
    assert (person.id, person.role, person.language, person.tenant) == (clinic.huda.id, "provider", "ar", clinic.id)
    assert person.clinic.zone.key == clinic.zone


async def test_only_a_hash_of_the_secret_is_stored(house: House, clinic: Clinic) -> None:
    cookie = await start(house, clinic.omar, "x" * 1000)
    (row,) = await rows(house, clinic.omar)
    assert len(row.secret_hash) == 32
    assert cookie.partition(".")[2].encode() not in row.secret_hash
    assert len(row.device) == sessions.LONGEST_DEVICE


async def test_two_sessions_share_nothing(house: House, clinic: Clinic) -> None:
    assert await start(house, clinic.omar) != await start(house, clinic.omar)


async def test_a_session_ends_after_so_long_without_use(house: House, clinic: Clinic, clock: MovableClock) -> None:
    cookie = await start(house, clinic.omar)
    clock.move(house.idle - SECOND)
    assert await resolve(house, cookie, in_use=False)
    clock.move(SECOND)
    assert await resolve(house, cookie) is None
    assert await resolve(house, cookie, in_use=True) is None, "a session that is over does not come back by use"


async def test_use_puts_off_the_idle_end(house: House, clinic: Clinic, clock: MovableClock) -> None:
    cookie = await start(house, clinic.omar)
    for _ in range(4):
        clock.move(house.idle - SECOND)
        assert await resolve(house, cookie)


async def test_what_is_no_use_puts_off_nothing(house: House, clinic: Clinic, clock: MovableClock) -> None:
    cookie = await start(house, clinic.omar)
    clock.move(house.idle / 2)
    assert await resolve(house, cookie, in_use=False)
    clock.move(house.idle / 2)
    assert await resolve(house, cookie) is None


async def test_use_is_noted_soon_enough_for_the_shortest_idle_time(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    cookie = await start(house, clinic.omar)
    for _ in range(6):
        clock.move(timedelta(seconds=30))
        assert await sessions.resolve(house.database, cookie, clock(), timedelta(minutes=1), in_use=True)


async def test_a_session_ends_of_age_however_much_it_is_used(house: House, clinic: Clinic, clock: MovableClock) -> None:
    cookie = await start(house, clinic.omar)
    turns = int(LONGEST_SESSION / (house.idle / 2))
    for _ in range(turns - 1):
        clock.move(house.idle / 2)
        assert await resolve(house, cookie)
    clock.move(house.idle / 2)
    assert await resolve(house, cookie) is None


async def test_signing_out_ends_this_session_and_no_other(house: House, clinic: Clinic) -> None:
    here, there = await start(house, clinic.omar), await start(house, clinic.omar)
    person = await resolve(house, here)
    assert person
    assert person.session
    async with house.open_work(clinic.id, SYSTEM) as work:
        await sessions.end(work, person.session, person.id)
    assert await resolve(house, here) is None
    assert await resolve(house, there)


async def test_nobody_ends_anothers_session_by_its_id(house: House, clinic: Clinic) -> None:
    cookie = await start(house, clinic.omar)
    person = await resolve(house, cookie)
    assert person
    assert person.session
    async with house.open_work(clinic.id, SYSTEM) as work:
        await sessions.end(work, person.session, clinic.huda.id)
    assert await resolve(house, cookie)


async def test_signing_out_everywhere_ends_all_of_ones_own(house: House, clinic: Clinic) -> None:
    mine = [await start(house, clinic.omar) for _ in range(3)]
    other = await start(house, clinic.huda)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await sessions.end_all(work, clinic.omar.id)
    assert [await resolve(house, cookie) for cookie in mine] == [None, None, None]
    assert await resolve(house, other)


async def test_taking_access_away_ends_every_session_for_good(house: House, clinic: Clinic) -> None:
    cookie = await start(house, clinic.omar)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=False)
    assert await resolve(house, cookie) is None
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=True)
    assert await resolve(house, cookie) is None, "access given back takes a new sign-in"


async def test_somebody_inactive_has_no_session_even_if_one_was_left_open(house: House, clinic: Clinic) -> None:
    cookie = await start(house, clinic.omar)
    async with house.database.of_tenant(clinic.id) as session:
        (await session.execute(select(Staff).where(Staff.id == clinic.omar.id))).scalar_one().active = False
    assert await resolve(house, cookie) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda cookie: cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        lambda cookie: cookie[:-1],
        lambda cookie: cookie + "x",
        lambda cookie: cookie.partition(".")[2],
        lambda cookie: cookie.replace(".", ""),
        lambda cookie: f"{'0' * 32}.{cookie.partition('.')[2]}",
        lambda cookie: f"{cookie.partition('.')[0]}.",
        lambda cookie: f"../{cookie}",
        lambda _: "",
        lambda _: ".",
        lambda _: "x" * 5000,
        lambda _: "\x00.\x00",
    ],
)
async def test_a_damaged_cookie_is_nobodys(house: House, clinic: Clinic, damage: object) -> None:
    cookie = await start(house, clinic.omar)
    assert callable(damage)
    assert await resolve(house, damage(cookie)) is None


async def test_a_cookie_is_worth_nothing_at_another_clinic(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    secret = (await start(house, clinic.omar)).partition(".")[2]
    assert await resolve(house, f"{other_clinic.id.hex}.{secret}") is None


async def test_sessions_are_listed_last_used_first_while_they_are_open(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    old = await start(house, clinic.omar, "old")
    clock.move(timedelta(minutes=5))
    await start(house, clinic.omar, "new")
    clock.move(timedelta(minutes=5))
    assert await resolve(house, old)
    await start(house, clinic.huda)
    async with house.database.of_tenant(clinic.id) as session:
        found = await sessions.list_open(session, clinic.omar.id, clock(), house.idle)
        assert [each.device for each in found] == ["old", "new"]
        later = clock() + house.idle - timedelta(minutes=5)
        found = await sessions.list_open(session, clinic.omar.id, later, house.idle)
        assert [each.device for each in found] == ["old"]


async def test_a_session_is_forgotten_a_month_after_its_end(house: House, clinic: Clinic, clock: MovableClock) -> None:
    await start(house, clinic.omar)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await sessions.end_all(work, clinic.omar.id)
    await start(house, clinic.omar)
    clock.move(ENDED_KEPT - SECOND)
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await sessions.forget_old(work) == 0
    clock.move(2 * SECOND)
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await sessions.forget_old(work) == 1
    clock.move(LONGEST_SESSION)
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await sessions.forget_old(work) == 1


async def test_a_background_fetch_is_no_use_and_a_click_is(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    async with browser_of(hub, clinic.omar) as client:
        clock.move(hub.house.idle / 2)
        background = {"X-Background": "1"}
        assert (await client.get("/api/v1/notifications", headers=background)).status_code == 200
        (row,) = await rows(hub.house, clinic.omar)
        assert row.last_used_at == row.created_at
        assert (await client.get("/api/v1/notifications")).status_code == 200
        (row,) = await rows(hub.house, clinic.omar)
        assert row.last_used_at > row.created_at
        clock.move(hub.house.idle)
        assert (await client.get("/api/v1/notifications")).status_code == 401


async def test_an_open_live_connection_is_no_use(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    cookie = await session_of(hub, clinic.omar)
    clock.move(hub.house.idle / 2)
    async with open_live(hub.live_url, f"hub={cookie}") as live:
        await live.hear_until("snap")
        await live.say(t="read_all", upto=0, nonce="n")
        await live.hear_until("ok")
    (row,) = await rows(hub.house, clinic.omar)
    assert row.last_used_at == row.created_at


async def test_a_touch_says_how_long_the_session_lasts_now(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    async with browser_of(hub, clinic.omar) as client:
        clock.move(hub.house.idle - SECOND)
        answer = await client.post("/session/touch")
        assert (answer.status_code, answer.headers["x-idle-seconds"]) == (204, "1800")
        clock.move(hub.house.idle - SECOND)
        assert (await client.get("/console/notifications")).status_code == 200
