"""The worker: ticks by Redis while there is one, alone while there is none, and stops when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from arq import Worker
from pydantic import SecretStr
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from sqlalchemy import update

from hub import queue
from hub.local.valkey import Valkey
from hub.migrate import migrate
from hub.scheduler import worker
from hub.scheduler.tables import Sweep
from hub.scheduler.timetable import run_due
from hub.settings import Settings
from hub.wiring import House, build
from tests.conftest import MovableClock
from tests.scheduler.office import working
from tests.servers import fresh_database, own_postgres, own_valkey


@dataclass(frozen=True)
class Workplace:
    """A house with a database of its own, in which somebody may work."""

    house: House

    async def swept(self) -> None:
        """Wait until what is due has been done; then make it due again."""
        async with asyncio.timeout(60):
            while not await self._take():
                await asyncio.sleep(0.05)

    async def _take(self) -> bool:
        now = self.house.clock()
        async with self.house.database.of_nobody() as session:
            done = update(Sweep).where(Sweep.due_at > now).values(due_at=now).returning(Sweep.name)
            return bool((await session.execute(done)).scalars().all())


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAUSE_S", 0.2)


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with own_valkey() as server:
        yield server


@pytest.fixture
async def place(
    settings: Settings, the_clock: MovableClock, short_pauses: None, valkey: Valkey
) -> AsyncIterator[Workplace]:
    async with fresh_database() as url:
        own = settings.model_copy(update={"database_url": SecretStr(url), "redis_url": SecretStr(valkey.url())})
        async with build(own, "test worker", the_clock) as house:
            yield Workplace(house)


async def test_it_ticks_as_it_begins(place: Workplace) -> None:
    async with working(place.house):
        await place.swept()


async def test_redis_going_away_and_coming_back_costs_nothing(place: Workplace, valkey: Valkey) -> None:
    async with working(place.house) as task:
        await place.swept()
        await asyncio.to_thread(valkey.kill)
        await place.swept()
        await place.swept()
        valkey.start()
        await place.swept()
        assert not task.done()


async def test_it_begins_without_redis(place: Workplace, valkey: Valkey) -> None:
    await asyncio.to_thread(valkey.stop)
    async with working(place.house):
        await place.swept()


@pytest.mark.parametrize("redis", ["up", "killed while it works", "never there"])
async def test_it_stops_at_once_when_told_to(place: Workplace, valkey: Valkey, redis: str) -> None:
    if redis == "never there":
        await asyncio.to_thread(valkey.stop)
    task = asyncio.create_task(worker.work_forever(place.house))
    await place.swept()
    if redis == "killed while it works":
        await asyncio.to_thread(valkey.kill)
    task.cancel()
    async with asyncio.timeout(15):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_it_stops_although_redis_fails_at_that_moment(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail_when_stopped(_worker: Worker) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RedisConnectionError("closed by the server") from None

    monkeypatch.setattr(Worker, "async_run", fail_when_stopped)
    task = asyncio.create_task(worker.work_forever(place.house))
    await asyncio.sleep(0.1)
    task.cancel()
    assert await asyncio.wait([task], timeout=5) == ({task}, set())
    assert task.cancelled()


async def test_a_job_under_way_is_finished_before_it_stops(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def long_turn(_house: House) -> list[str]:
        begun.set()
        await go_on.wait()
        done.set()
        return []

    monkeypatch.setattr("hub.scheduler.jobs.run_due", long_turn)
    task = asyncio.create_task(worker.work_forever(place.house))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_a_database_that_is_away_does_not_end_it(
    settings: Settings, the_clock: MovableClock, short_pauses: None
) -> None:
    nowhere = SecretStr("redis://127.0.0.1:1/0")
    with own_postgres() as postgres:
        url = postgres.url("postgres")
        await migrate(url)
        own = settings.model_copy(update={"database_url": SecretStr(url), "redis_url": nowhere})
        async with build(own, "test worker", the_clock) as house:
            place = Workplace(house)
            async with working(place.house) as task:
                await place.swept()
                await asyncio.to_thread(postgres.stop)
                assert await run_due(house) == [], "this is what a tick comes to now"
                postgres.start()
                await place.swept()
                assert not task.done()


def test_jobs_are_json_and_nothing_that_runs() -> None:
    job = {"t": 1, "f": "tick", "a": [], "k": {"id": "x"}}
    assert queue.decode_job(queue.encode_job(job)) == job
    with pytest.raises(ValueError, match="codec"):
        queue.decode_job(b"\x80\x04\x95")


async def test_a_redis_that_is_not_there_is_an_error_and_no_wait_without_end() -> None:
    redis = queue.connect("redis://127.0.0.1:1/0")
    async with asyncio.timeout(20):
        with pytest.raises(RedisError):
            await redis.ping()
    await redis.aclose(close_connection_pool=True)
