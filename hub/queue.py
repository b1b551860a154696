"""The job queue: how this house talks to arq. Jobs carry ids as JSON; what they mean stands in Postgres."""

from __future__ import annotations

import json
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

QUEUE = "hub:jobs"


def encode_job(job: dict[str, Any]) -> bytes:
    """A job as JSON; pickle would run whatever somebody writes to Redis."""
    return json.dumps(job).encode()


def decode_job(data: bytes) -> dict[str, Any]:
    """What `encode_job` wrote."""
    job: dict[str, Any] = json.loads(data)
    return job


def connect(url: str) -> ArqRedis:
    """Redis as arq needs it: a frozen server ends in an error, not in a worker that hangs."""
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=10,
        socket_connect_timeout=2,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), 5),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    return ArqRedis(
        pool_or_conn=pool,
        default_queue_name=QUEUE,
        job_serializer=encode_job,
        job_deserializer=decode_job,
    )
