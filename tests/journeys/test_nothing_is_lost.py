"""Bad days, with real processes: whatever dies, every client ends with everything, once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from redis.asyncio import Redis

from hub.migrate import migrate
from hub.settings import Settings
from hub.wiring import House, build
from tests.factories import add_clinicians, make_key, open_clinic, tell
from tests.inbox.conftest import head_of, rows_of
from tests.journeys.processes import Tab, run_web, settings_for, tabs_of
from tests.live_client import open_live
from tests.realtime.conftest import cookie_for
from tests.servers import fresh_database, own_postgres, own_valkey

CLIENTS = 20
NOTIFICATIONS = 200

Disaster = Callable[[], Awaitable[None]]


async def check_nothing_is_lost(house: House, tab: Tab) -> None:
    """The tab showed every notification once and in order, and its count is that of the rows."""
    stored = await rows_of(house, tab.person)
    assert [str(row.id) for row in stored] == tab.inbox.shown
    assert {each: (row["seq"], row["read_at"] is None) for each, row in tab.inbox.rows.items()} == {
        str(row.id): (row.seq, row.read_at is None) for row in stored
    }
    assert (tab.inbox.cursor, tab.inbox.unread) == await head_of(house, tab.person)
    assert tab.inbox.resets == 1


async def test_every_client_gets_everything_once_while_web_and_valkey_die(tmp_path: Path) -> None:
    with own_valkey() as valkey:
        async with fresh_database() as database_url:
            settings = settings_for(database_url, valkey.url())
            async with build(settings, "elsewhere") as house, run_web(settings, tmp_path / "web.log") as web:
                clinic = await open_clinic(house)
                people = await add_clinicians(house, clinic, CLIENTS)

                async def flush() -> None:
                    async with Redis.from_url(valkey.url()) as client:
                        await client.flushall()

                async def kill_valkey() -> None:
                    valkey.kill()

                async def start_valkey() -> None:
                    valkey.start()

                disasters: dict[int, Disaster] = {
                    30: web.kill,
                    60: flush,
                    70: kill_valkey,
                    80: web.start,
                    100: start_valkey,
                    110: web.ready,
                    130: kill_valkey,
                    140: start_valkey,
                    150: web.kill,
                    160: flush,
                    170: web.start,
                }
                async with tabs_of(house, web, people) as tabs:
                    for index in range(NOTIFICATIONS):
                        if disaster := disasters.get(index):
                            await disaster()
                        await tell(house, clinic, *people, title=f"Number {index}")
                    for tab in tabs:
                        await _until_level(house, tab)
                        await check_nothing_is_lost(house, tab)
                        assert len(tab.inbox.shown) == NOTIFICATIONS
                        assert tab.inbox.unread < NOTIFICATIONS
                        assert tab.visits >= 2


async def test_what_happens_in_one_process_is_heard_in_the_other(settings: Settings, tmp_path: Path) -> None:
    async with (
        build(settings, "elsewhere") as house,
        run_web(settings, tmp_path / "one.log") as one,
        run_web(settings, tmp_path / "other.log") as other,
    ):
        clinic = await open_clinic(house)
        cookie = await cookie_for(house, clinic.omar)
        async with (
            httpx.AsyncClient(headers={"authorization": f"Bearer {await make_key(house, clinic)}"}) as client,
            open_live(one.live_url, cookie) as here,
            open_live(other.live_url, cookie) as there,
        ):
            for tab in (here, there):
                await tab.hear_until("snap")
            body = {"to": {"people": [str(clinic.omar.id)]}, "title": "Sara is here"}
            assert (await client.post(f"{one.url}/api/v1/notifications", json=body)).status_code == 201
            # An event, not rows read by a look: it came over Valkey.
            for tab in (here, there):
                assert (await tab.hear())["t"] == "ev"
                assert tab.inbox.titles == ["Sara is here"]
            await there.say(t="read_all", upto=1, nonce="1")
            for tab in (here, there):
                assert (await tab.hear_until("ev"))["read_upto"] == 1
            async with httpx.AsyncClient(headers={"origin": other.url}) as omar:
                answer = await omar.post(f"{other.url}/api/v1/me/sign-out-everywhere", headers={"cookie": cookie})
                assert answer.status_code == 204
            for tab in (here, there):
                assert await tab.hear_the_end(timeout=2) == 4151


async def test_without_valkey_everything_works_only_later(tmp_path: Path, database_url: str) -> None:
    with own_valkey() as valkey:
        settings = settings_for(database_url, valkey.url())
        async with build(settings, "elsewhere") as house, run_web(settings, tmp_path / "web.log") as web:
            clinic = await open_clinic(house)
            cookie = await cookie_for(house, clinic.omar)
            valkey.stop()
            headers = {"cookie": cookie, "origin": web.url}
            async with (
                httpx.AsyncClient(base_url=web.url, headers=headers) as client,
                open_live(web.live_url, cookie) as live,
            ):
                await live.hear_until("snap")
                for index in range(3):
                    (told,) = await tell(house, clinic, clinic.omar, title=f"Number {index}")
                await live.hear_everything(3)
                assert live.inbox.titles == ["Number 0", "Number 1", "Number 2"]
                for page in ("/console/notifications", "/console/account", "/api/v1/notifications"):
                    assert (await client.get(page)).status_code == 200
                assert (await client.get("/health/ready")).json()["redis"] == "down"
                answer = await client.post("/api/v1/notifications/read", json={"ids": [str(told)]})
                assert answer.json()["unread"] == 2
                await live.hear_everything(4)
                valkey.start()
                await _until_redis_is_up(client)
                await tell(house, clinic, clinic.omar, title="And on it goes")
                await live.hear_everything(5)


async def test_without_postgres_sockets_stay_and_catch_up(tmp_path: Path, redis_url: str) -> None:
    with own_postgres() as postgres:
        url = postgres.url("postgres")
        await migrate(url)
        settings = settings_for(url, redis_url)
        async with build(settings, "elsewhere") as house, run_web(settings, tmp_path / "web.log") as web:
            clinic = await open_clinic(house)
            cookie = await cookie_for(house, clinic.omar)
            async with (
                httpx.AsyncClient(base_url=web.url, headers={"cookie": cookie, "origin": web.url}) as client,
                open_live(web.live_url, cookie) as live,
            ):
                await live.hear_until("snap")
                (told,) = await tell(house, clinic, clinic.omar, title="Before")
                await live.hear_everything(1)
                postgres.stop()
                await _check_unavailable(client)
                await live.say(t="read", ids=[str(told)], nonce="1")
                assert (await live.hear())["code"] == "unavailable"
                await live.say(t="watch", topic="arrivals")
                await live.fill(1)
                async with open_live(web.live_url, cookie) as late:
                    assert await late.hear_the_end() == 4103
                postgres.start()
                await live.hear_until("fill", timeout=10)
                await tell(house, clinic, clinic.omar, title="After")
                await live.hear_everything(2)
                assert live.inbox.titles == ["Before", "After"]
                await live.say(t="read", ids=[str(told)], nonce="2")
                await live.hear_until("ok")
                assert (await client.get("/api/v1/notifications/count")).json()["unread"] == 1


async def _check_unavailable(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        answer = await client.get("/api/v1/notifications")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/console/notifications")).status_code == 503
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 200


async def _until_level(house: House, tab: Tab) -> None:
    async with asyncio.timeout(30):
        while tab.unanswered or tab.inbox.cursor != (await head_of(house, tab.person))[0]:
            await asyncio.sleep(0.05)


async def _until_redis_is_up(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while (await client.get("/health/ready")).json()["redis"] != "up":
            await asyncio.sleep(0.05)
