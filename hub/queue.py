"""The job queues: how this house talks to arq. Jobs carry ids as JSON; what they mean stands in Postgres.

There is one queue a lane, so that what is urgent never stands behind what is not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from hub.logs import get_logger

log = get_logger(__name__)

# After a failure nobody waits for Redis again for so long; the sweeps find what is due meanwhile.
SPARE_FOR_S = 2.0
ASK_WITHIN_S = 1.0
LONGEST_IN_QUEUE_MS = 3600 * 1000


class Lane(StrEnum):
    """How urgent: each lane has its own queue and its own workers' time. `ticks` is the timetable's own."""

    TICKS = "jobs"
    CRITICAL = "critical"
    NORMAL = "normal"
    BULK = "bulk"

    @property
    def queue(self) -> str:
        """The queue's name in Redis."""
        return f"hub:{self.value}"


class Poke(Protocol):
    """What the queue needs to know of a job."""

    @property
    def name(self) -> str:
        """Which function of the worker."""
        ...

    @property
    def lane(self) -> str:
        """How urgent."""
        ...

    @property
    def args(self) -> tuple[str, ...]:
        """Ids."""
        ...


def encode_job(job: dict[str, Any]) -> bytes:
    """A job as JSON; pickle would run whatever somebody writes to Redis."""
    return json.dumps(job).encode()


def decode_job(data: bytes) -> dict[str, Any]:
    """What `encode_job` wrote."""
    job: dict[str, Any] = json.loads(data)
    return job


def connect(url: str, *, patient: bool = True) -> ArqRedis:
    """Redis as arq needs it: a frozen server ends in an error, not in a worker that hangs.

    Whoever only asks for a job is not `patient`: a sweep finds the work anyway.
    """
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=10 if patient else 1,
        socket_connect_timeout=2 if patient else 1,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), 5) if patient else Retry(NoBackoff(), 0),
        retry_on_error=[RedisConnectionError, RedisTimeoutError] if patient else [],
    )
    return ArqRedis(
        pool_or_conn=pool,
        default_queue_name=Lane.TICKS.queue,
        job_serializer=encode_job,
        job_deserializer=decode_job,
        expires_extra_ms=LONGEST_IN_QUEUE_MS,
    )


class Queue:
    """Asks workers for jobs. Whatever it cannot ask for is found by a sweep, a few seconds later."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url, patient=False)
        self._spared_until = 0.0

    async def ask_for(self, jobs: Sequence[Poke]) -> None:
        """Put jobs into their lanes; a failure is only logged."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._spared_until:
            return
        try:
            # Over all, for a connection is waited for in turn: a frozen server would hold up each one after the other.
            async with asyncio.timeout(ASK_WITHIN_S):
                for job in jobs:
                    await self._redis.enqueue_job(job.name, *job.args, _queue_name=Lane(job.lane).queue)
        except (RedisError, OSError, TimeoutError) as error:
            self._spared_until = loop.time() + SPARE_FOR_S
            log.warning("queue: not asked", error=type(error).__name__, jobs=len(jobs))

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose(close_connection_pool=True)
