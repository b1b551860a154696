"""Asking for jobs: a Redis that is away, or frozen, holds up nobody who has something to do."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from arq.jobs import deserialize_job_raw
from redis.asyncio import Redis

from hub.local.valkey import Valkey
from hub.queue import Lane, Queue, decode_job
from hub.work import Job
from tests.servers import own_valkey


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """One to kill and to freeze."""
    with own_valkey() as server:
        yield server


@pytest.fixture
async def queue(valkey: Valkey) -> AsyncIterator[Queue]:
    """A process's way to the workers."""
    made = Queue(valkey.url())
    yield made
    await made.close()


def poke(lane: str = "critical") -> Job:
    return Job("deliver", lane, (str(uuid.uuid4()),))


async def waiting(valkey: Valkey, lane: Lane) -> list[tuple[str, tuple[str, ...]]]:
    """The jobs that wait in a lane: what, and with which ids."""
    async with Redis.from_url(valkey.url()) as redis:
        names = await redis.zrange(lane.queue, 0, -1)
        raw = [await redis.get(b"arq:job:" + name) for name in names]
    jobs = [deserialize_job_raw(each, deserializer=decode_job) for each in raw]
    return [(function, tuple(args)) for function, args, *_ in jobs]


async def test_a_job_stands_in_its_own_lane(queue: Queue, valkey: Valkey) -> None:
    urgent, slow = poke(), poke("bulk")
    await queue.ask_for([urgent, slow])
    assert await waiting(valkey, Lane.CRITICAL) == [("deliver", urgent.args)]
    assert await waiting(valkey, Lane.BULK) == [("deliver", slow.args)]
    assert await waiting(valkey, Lane.NORMAL) == []


async def test_without_redis_nobody_waits(queue: Queue, valkey: Valkey) -> None:
    await asyncio.to_thread(valkey.kill)
    began = time.monotonic()
    for _ in range(50):
        await queue.ask_for([poke()])
    assert time.monotonic() - began < 5


async def test_a_frozen_redis_costs_one_short_wait_and_then_none(queue: Queue, valkey: Valkey) -> None:
    await queue.ask_for([poke()])
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        await queue.ask_for([poke(), poke(), poke()])
        first = time.monotonic() - began
        for _ in range(50):
            await queue.ask_for([poke()])
        assert first < 3
        assert time.monotonic() - began < first + 5
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


async def test_many_at_once_wait_for_a_frozen_redis_together(queue: Queue, valkey: Valkey) -> None:
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        await asyncio.gather(*(queue.ask_for([poke()]) for _ in range(40)))
        assert time.monotonic() - began < 5
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


async def test_it_is_asked_again_once_it_is_back(queue: Queue, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.queue.SPARE_FOR_S", 0.0)
    await asyncio.to_thread(valkey.kill)
    await queue.ask_for([poke()])
    valkey.start()
    job = poke()
    await queue.ask_for([job])
    assert ("deliver", job.args) in await waiting(valkey, Lane.CRITICAL)
