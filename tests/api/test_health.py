"""Whether the process lives, whether it can work, and what is said while a server it stands on is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from hub.migrate import migrate
from hub.settings import Settings
from tests.conftest import MovableClock, RunningHub, run_hub
from tests.factories import book_visit, make_key, open_clinic
from tests.servers import own_postgres, own_valkey
from tests.visitors import browser_of, problem, program_of


async def test_a_hub_with_its_servers_is_ready(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        ready = await client.get("/health/ready")
        assert ready.json() == {"status": "ready", "postgres": "up", "redis": "up"}
        assert ready.headers["cache-control"] == "no-store"


async def test_without_redis_everything_works(settings: Settings, the_clock: MovableClock) -> None:
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    async with run_hub(nowhere, the_clock) as hub:
        clinic = await open_clinic(hub.house)
        visit = await book_visit(hub.house, clinic)
        async with program_of(hub, await make_key(hub.house, clinic)) as program:
            ready = await program.get("/health/ready")
            assert (ready.status_code, ready.json()["redis"]) == (200, "down")
            assert (await program.post(f"/api/v1/appointments/{visit.id}/arrive")).status_code == 200
        async with browser_of(hub, clinic.omar) as client:
            assert (await client.get("/api/v1/notifications/count")).json()["unread"] == 1
            assert (await client.get("/console/notifications")).status_code == 200


@pytest.fixture
async def without_postgres(settings: Settings, the_clock: MovableClock) -> AsyncIterator[RunningHub]:
    """A hub whose database answered when it began, and does no more."""
    with own_postgres() as postgres:
        url = postgres.url("postgres")
        await migrate(url)
        async with run_hub(settings.model_copy(update={"database_url": SecretStr(url)}), the_clock) as hub:
            await open_clinic(hub.house)
            async with browser_of(hub, None) as client:
                assert (await client.get("/health/ready")).status_code == 200
            await asyncio.to_thread(postgres.stop)
            yield hub


async def test_without_postgres_every_answer_is_a_clear_503(without_postgres: RunningHub) -> None:
    async with browser_of(without_postgres, None) as client:
        client.cookies.set("hub", f"{'0' * 32}.secret")
        assert (await client.get("/health/live")).status_code == 200
        for path in ("/health/ready", "/api/v1/me"):
            answer = await client.get(path)
            assert "try again" in str(problem(answer, 503)["detail"])
            assert int(answer.headers["retry-after"]) > 0
        page = await client.get("/console/arrivals")
        assert page.status_code == 503
        assert int(page.headers["retry-after"]) > 0
        assert "cannot reach its records" in page.text
        posted = await client.post("/sign-in", data={"email": "a@example.org", "password": "x"})
        assert (posted.status_code, posted.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert (await client.get("/assets/css/base.css")).status_code == 200


async def test_a_redis_that_goes_away_is_noticed_and_found_again(settings: Settings, the_clock: MovableClock) -> None:
    with own_valkey() as valkey:
        own = settings.model_copy(update={"redis_url": SecretStr(valkey.url())})
        async with run_hub(own, the_clock) as hub, browser_of(hub, None) as client:

            async def redis() -> str:
                return str((await client.get("/health/ready")).json()["redis"])

            assert await redis() == "up"
            await asyncio.to_thread(valkey.stop)
            assert await redis() == "down"
            valkey.start()
            assert await redis() == "up"
