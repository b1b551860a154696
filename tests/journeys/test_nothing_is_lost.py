"""Whatever breaks in between, every client ends with every notification once, in order, and the right badge."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import redis
from sqlalchemy import func, select

from hub.inbox.marks import mark
from hub.inbox.tables import Notification
from hub.migrate import migrate
from hub.people.tables import Staff
from hub.wiring import House, build
from hub.work import Actor
from tests.factories import Clinic, add_clinicians, open_clinic, tell
from tests.journeys.processes import Listener, free_port, listening, settings_for, signed_in_cookie, until, web_process
from tests.servers import fresh_database, own_postgres, own_valkey

NOTIFICATIONS = 200
PEOPLE = 20


@asynccontextmanager
async def another_process(database_url: str, redis_url: str) -> AsyncIterator[House]:
    """A house that has nobody connected to it: what it does reaches people through Redis, or through Postgres."""
    async with build(settings_for(database_url, redis_url, free_port()), "another process") as house:
        yield house


async def test_clients_end_with_everything_though_web_is_killed_and_valkey_flushed_and_restarted() -> None:
    dice = random.Random(7)
    with own_valkey() as valkey:
        async with (
            fresh_database() as database_url,
            another_process(database_url, valkey.url()) as house,
            web_process(settings_for(database_url, valkey.url(), free_port())) as web,
        ):
            clinic = await open_clinic(house)
            people = await add_clinicians(house, clinic, PEOPLE)
            async with listening(house, clinic.id, web.url, people) as listeners:
                told: dict[str, list[str]] = defaultdict(list)
                for number in range(NOTIFICATIONS):
                    if number in (NOTIFICATIONS // 4, NOTIFICATIONS * 3 // 4):
                        await web.kill()
                    if number in (NOTIFICATIONS // 4 + 20, NOTIFICATIONS * 3 // 4 + 20):
                        await web.start()
                    if number == NOTIFICATIONS // 2:
                        redis.Redis.from_url(valkey.url()).flushall()
                        valkey.kill()
                    if number == NOTIFICATIONS // 2 + 20:
                        valkey.start()
                    person = dice.choice(people)
                    await tell(house, clinic, person, title=f"number {number}")
                    told[str(person.id)].append(f"number {number}")
                    if dice.random() < 0.2:
                        await read_newest(house, clinic, person)
                for listener in listeners:
                    await ends_with_everything(house, clinic, listener, told[str(listener.person.id)])
                assert all(listener.times_connected > 1 for listener in listeners)


async def read_newest(house: House, clinic: Clinic, person: Staff) -> None:
    """The person reads their newest notification, elsewhere."""
    async with house.open_work(clinic.id, Actor("staff", person.id)) as work:
        newest = select(Notification.id).where(Notification.person_id == person.id).order_by(Notification.number.desc())
        await mark(work, person.id, [(await work.session.execute(newest.limit(1))).scalar_one()], "read")


async def ends_with_everything(house: House, clinic: Clinic, listener: Listener, told: list[str]) -> None:
    """The client shows every notification once, in order, as it is in the database, and its badge is the count."""
    async with house.database.of_tenant(clinic.id) as session:
        mine = select(Notification).where(Notification.person_id == listener.person.id)
        rows = list((await session.execute(mine.order_by(Notification.number))).scalars())
        unread = select(func.count()).select_from(mine.where(Notification.read_at.is_(None)).subquery())
        badge = (await session.execute(unread)).scalar_one()
    inbox = listener.inbox
    head = max((row.seq for row in rows), default=0)
    await until(lambda: inbox.cursor == head)
    assert [row.title for row in rows] == told
    assert inbox.titles == told
    assert inbox.shown == [str(row.id) for row in rows]
    assert {each["id"]: each["seq"] for each in inbox.rows.values()} == {str(row.id): row.seq for row in rows}
    assert {each["id"] for each in inbox.rows.values() if each["read_at"] is None} == {
        str(row.id) for row in rows if row.read_at is None
    }
    assert inbox.unread == badge


async def test_without_redis_notifications_of_another_process_still_arrive_and_pages_work() -> None:
    with own_valkey() as valkey:
        async with (
            fresh_database() as database_url,
            another_process(database_url, valkey.url()) as house,
            web_process(settings_for(database_url, valkey.url(), free_port())) as web,
        ):
            clinic = await open_clinic(house)
            async with listening(house, clinic.id, web.url, [clinic.omar]) as (omar,):
                valkey.kill()
                await tell(house, clinic, clinic.omar, title="without Redis")
                await until(lambda: omar.inbox.titles == ["without Redis"], timeout=6)
                assert omar.times_connected == 1
                async with httpx.AsyncClient(base_url=web.url, headers={"cookie": omar.cookie}) as client:
                    page = await client.get("/console/notifications")
                    assert page.status_code == 200
                    assert "without Redis" in page.text
                    assert (await client.get("/health/ready")).json()["redis"] == "down"
                valkey.start()
                await tell(house, clinic, clinic.omar, title="with it again")
                await until(lambda: omar.inbox.titles == ["without Redis", "with it again"])
                assert len(omar.inbox.shown) == 2


async def test_while_postgres_is_away_sockets_stay_and_catch_up_when_it_is_back() -> None:
    with own_postgres() as postgres, own_valkey() as valkey:
        postgres.ensure_database("hub")
        await migrate(postgres.url("hub"))
        async with (
            another_process(postgres.url("hub"), valkey.url()) as house,
            web_process(settings_for(postgres.url("hub"), valkey.url(), free_port())) as web,
        ):
            clinic = await open_clinic(house)
            async with listening(house, clinic.id, web.url, [clinic.omar]) as (omar,):
                postgres.stop()
                async with httpx.AsyncClient(base_url=web.url, headers={"cookie": omar.cookie}) as client:
                    refused = await client.get("/api/v1/notifications")
                    assert refused.status_code == 503
                    assert refused.headers["content-type"] == "application/problem+json"
                    assert refused.headers["retry-after"] == "5"
                    assert (await client.get("/console/notifications")).status_code == 503
                    assert (await client.get("/health/live")).status_code == 200
                    assert (await client.get("/health/ready")).status_code == 503
                postgres.start()
                await tell(house, clinic, clinic.omar, title="back again")
                await until(lambda: omar.inbox.titles == ["back again"], timeout=20)
                assert omar.times_connected == 1


async def test_what_one_web_process_does_reaches_the_clients_of_another(database_url: str, redis_url: str) -> None:
    async with (
        another_process(database_url, redis_url) as house,
        web_process(settings_for(database_url, redis_url, free_port())) as here,
        web_process(settings_for(database_url, redis_url, free_port())) as there,
    ):
        clinic = await open_clinic(house)
        async with listening(house, clinic.id, here.url, [clinic.omar]) as (omar,):
            await tell(house, clinic, clinic.omar, title="read me elsewhere")
            await until(lambda: omar.inbox.unread == 1)
            headers = {"cookie": await signed_in_cookie(house, clinic.id, clinic.omar), "origin": there.url}
            async with httpx.AsyncClient(base_url=there.url, headers=headers) as client:
                assert (await client.post("/api/v1/notifications/read-all", json={})).json()["unread"] == 0
            await until(lambda: omar.inbox.unread == 0, timeout=1)
