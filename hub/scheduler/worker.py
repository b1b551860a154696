"""The worker process: arq's loop, built anew after every Redis error; while Redis is away it ticks by itself."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from datetime import UTC

from arq import Worker, cron
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from hub import queue
from hub.endless import end, is_told_to_stop, rest
from hub.logs import get_logger
from hub.scheduler.jobs import apply_reports, deliver, tick
from hub.scheduler.lanes import Lanes
from hub.scheduler.timetable import run_due
from hub.settings import Settings
from hub.wiring import House, build

log = get_logger(__name__)

JOB_TIMEOUT_S = 60
FINISH_WITHIN_S = 20
PAUSE_S = 5.0
# How long a job may lie in Redis before it is looked for.
POLL_S = {queue.Lane.TICKS: 0.5, queue.Lane.CRITICAL: 0.1, queue.Lane.NORMAL: 0.25, queue.Lane.BULK: 0.5}


async def run_worker(settings: Settings) -> None:
    """Run jobs until told to stop."""
    async with build(settings, "worker") as house:
        working = asyncio.ensure_future(work_forever(house))
        for stop in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(stop, working.cancel)
        with suppress(asyncio.CancelledError):
            await working


async def work_forever(house: House) -> None:
    """Run jobs until cancelled; what is to be sent is found without Redis as well."""
    lanes = Lanes(house)
    async with lanes.open():
        while True:
            try:
                await _with_redis(house, lanes)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("worker: Redis is away, ticking without it", error=type(error).__name__)
            if not is_told_to_stop():
                await run_due(house)
            await rest(PAUSE_S * random.uniform(0.5, 1))  # noqa: S311 - spreads workers, guards nothing


async def _with_redis(house: House, lanes: Lanes) -> None:
    redis = queue.connect(house.settings.redis_url.get_secret_value())
    workers = [_worker(house, lanes, lane, redis) for lane in queue.Lane]
    running = [asyncio.create_task(worker.async_run()) for worker in workers]
    try:
        # The first that fails ends the others: all are built anew.
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*ended)
    finally:
        if is_told_to_stop():
            # Before anything is waited for: what is asked for from now on is another worker's.
            lanes.stop()
        await end(running)
        for worker in workers:
            await _finish(worker)
        with suppress(RedisError, OSError, TimeoutError):
            await redis.aclose(close_connection_pool=True)


def _worker(house: House, lanes: Lanes, lane: queue.Lane, redis: ArqRedis) -> Worker:
    ticks = [cron(tick, second={0, 30}, run_at_startup=True, max_tries=3, timeout=JOB_TIMEOUT_S, keep_result=0)]
    return Worker(
        functions=[] if lane is queue.Lane.TICKS else [deliver, apply_reports],
        cron_jobs=ticks if lane is queue.Lane.TICKS else None,
        redis_pool=redis,
        queue_name=lane.queue,
        job_serializer=queue.encode_job,
        job_deserializer=queue.decode_job,
        handle_signals=False,
        ctx={"house": house, "lanes": lanes, "lane": lane.value},
        poll_delay=POLL_S[lane],
        max_jobs=20,
        job_timeout=JOB_TIMEOUT_S,
        keep_result=0,
        timezone=UTC,
    )


async def _finish(worker: Worker) -> None:
    """Let the jobs under way finish.

    arq's own `close` cancels jobs, and raises whatever Redis says: instead of the cancellation that stops this process.
    """
    jobs = list(worker.tasks.values())
    if jobs:
        await asyncio.wait(jobs, timeout=FINISH_WITHIN_S)
        await end(jobs)
