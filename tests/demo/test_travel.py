"""A demo's clock: every process follows it, nobody is signed out by it, and only a demo has one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub.demo.travel import FARTHEST, read_span, travel
from hub.demo_clock import DemoClock
from hub.errors import Invalid
from hub.people import sessions
from hub.people.tables import StaffSession
from hub.scheduler.tables import Sweep
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import Actor
from tests.conftest import HUB_KEYS
from tests.demo.commands import run
from tests.factories import Clinic, open_clinic
from tests.servers import fresh_database

HOUR = timedelta(hours=1)


@pytest.fixture
async def demo_settings(settings: Settings) -> AsyncIterator[Settings]:
    """A demo with a database of its own."""
    async with fresh_database() as url:
        yield settings.model_copy(update={"database_url": SecretStr(url), "demo": True})


@pytest.fixture
async def demo(demo_settings: Settings) -> AsyncIterator[House]:
    """One of its processes."""
    async with build(demo_settings, "test demo") as house:
        yield house


def ahead(house: House) -> float:
    """By how many hours, nearly, this process is ahead of the true time."""
    return round((house.clock() - datetime.now(UTC)) / HOUR, 2)


async def sign_in(house: House, clinic: Clinic) -> str:
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        return await sessions.start(work, clinic.desk.id, "test")


async def is_signed_in(house: House, cookie: str) -> bool:
    return await sessions.resolve(house.database, cookie, house.clock(), house.idle, in_use=True) is not None


@pytest.mark.parametrize(
    ("words", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("2m", timedelta(minutes=2)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        (" 3D ", timedelta(days=3)),
        ("366d", FARTHEST),
    ],
)
def test_a_span_is_said_in_a_few_letters(words: str, span: timedelta) -> None:
    assert read_span(words) == span


@pytest.mark.parametrize("words", ["", "2", "m", "-2m", "0s", "2m1h", "2 m", "367d", "9" * 40 + "d", "two minutes"])
def test_anything_else_is_no_span(words: str) -> None:
    with pytest.raises(Invalid, match="2m"):
        read_span(words)


async def test_every_process_follows_and_goes_back(demo: House, demo_settings: Settings) -> None:
    async with build(demo_settings, "another") as other:
        assert (ahead(demo), ahead(other)) == (0, 0)
        assert await travel(demo, HOUR) == HOUR
        assert (ahead(demo), ahead(other)) == (1, 1)
        assert await travel(other, 2 * HOUR) == 3 * HOUR
        assert (ahead(demo), ahead(other)) == (3, 3)
        async with build(demo_settings, "late") as late:
            assert ahead(late) == 3, "from its first moment"
        assert await travel(demo, None) == timedelta()
        assert (ahead(demo), ahead(other)) == (0, 0)
        assert await travel(demo, None) == timedelta()


@pytest.mark.parametrize("by", [timedelta(minutes=2), timedelta(days=3)])
async def test_nobody_is_signed_out_by_a_journey_not_even_on_the_way(demo: House, by: timedelta) -> None:
    clinic = await open_clinic(demo)
    cookie = await sign_in(demo, clinic)
    seen: list[bool] = []

    async def watch() -> None:
        while True:
            seen.append(await is_signed_in(demo, cookie))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    await travel(demo, by)
    later = await sign_in(demo, clinic)
    await travel(demo, None)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert len(seen) > 20
    assert all(seen)
    assert await is_signed_in(demo, later)


async def test_a_session_is_over_in_as_long_as_before(demo: House) -> None:
    clinic = await open_clinic(demo)
    await sign_in(demo, clinic)

    async def left() -> timedelta:
        async with demo.database.of_tenant(clinic.id) as session:
            row = (await session.execute(select(StaffSession))).scalar_one()
        return row.expires_at - demo.clock()

    before = await left()
    for by in (5 * HOUR, None):
        await travel(demo, by)
        assert abs(before - await left()) < timedelta(seconds=20)


async def test_what_was_due_in_the_time_ahead_does_not_stand_still_until_then(demo: House) -> None:
    await travel(demo, 24 * HOUR)
    async with demo.database.of_nobody() as session:
        await session.execute(insert(Sweep).values(name="often", due_at=demo.clock() + HOUR / 60))
    await travel(demo, None)
    async with demo.database.of_nobody() as session:
        due = (await session.execute(select(Sweep.due_at).where(Sweep.name == "often"))).scalar_one()
    assert abs(due - demo.clock()) < timedelta(minutes=2)


async def test_a_database_that_is_away_leaves_the_clock_where_it_was(demo: House, demo_settings: Settings) -> None:
    await travel(demo, HOUR)
    clock = DemoClock()
    await clock.read(demo.database)
    nowhere = demo_settings.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/x")})
    async with build(nowhere, "lost") as lost:
        assert ahead(lost) == 0
        await clock.read(lost.database)
    assert clock.shift == HOUR


async def test_only_a_demo_travels(house: House) -> None:
    with pytest.raises(Invalid, match="DEMO"):
        await travel(house, HOUR)


async def test_the_command_says_where_one_has_come(demo: House, demo_settings: Settings) -> None:
    environment = {
        "DATABASE_URL": demo_settings.database_url.get_secret_value(),
        "REDIS_URL": demo_settings.redis_url.get_secret_value(),
        "HUB_KEYS": HUB_KEYS,
        "DEMO": "true",
    }
    code, said = await run(environment, "time-travel", "1h")
    assert (code, ahead(demo)) == (0, 1)
    assert f"{demo.clock():%d %B %Y, %H:}" in said
    assert "1:00:00 ahead of the true time" in said
    code, said = await run(environment, "time-travel", "--back")
    assert (code, ahead(demo)) == (0, 0)
    assert "the true time" in said
    for wrong, words in (((), "--back"), (("2m", "--back"), "--back"), (("soon",), "1h30m")):
        code, said = await run(environment, "time-travel", *wrong)
        assert code != 0
        assert words in said
    code, said = await run(environment | {"DEMO": "false"}, "time-travel", "2m")
    assert (code, said.count("\n")) == (1, 1), said
    assert "DEMO=true" in said
