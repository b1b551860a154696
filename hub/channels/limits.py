"""How fast each vendor's account and each tenant may send, shared by all workers through Redis.

A generic cell rate algorithm: each request is given its moment, so that nobody asks twice. Without Redis every process
keeps to the limit by itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hub.logs import get_logger

log = get_logger(__name__)

# So much may go at once after a pause, in seconds of the rate.
BURST_S = 1.0
ANSWER_WITHIN_S = 1.0
SPARE_FOR_S = 2.0

# Times are Redis's own, in microseconds: workers' clocks differ.
RESERVE = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local granted, latest, delay = tonumber(ARGV[1]), tonumber(ARGV[2]), -math.huge
local at = {}
for place, key in ipairs(KEYS) do
    at[place] = math.max(tonumber(redis.call('GET', key) or '0'), now - tonumber(ARGV[2 * place + 2]))
    delay = math.max(delay, at[place] - now)
end
for place in ipairs(KEYS) do
    granted = math.min(granted, math.max(0, math.floor((latest - delay) / tonumber(ARGV[2 * place + 1])) + 1))
end
-- Each by its own time: what one limit holds up takes no time of another, which others share.
for place, key in ipairs(KEYS) do
    local gap, burst = tonumber(ARGV[2 * place + 1]), tonumber(ARGV[2 * place + 2])
    local kept_ms = math.ceil((burst + latest + gap) / 1000) + 60000
    redis.call('SET', key, string.format('%.0f', at[place] + gap * granted), 'PX', kept_ms)
end
return {granted, string.format('%.0f', delay)}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many a second under one name."""

    name: str
    per_second: float


class Limits:
    """The rates of all accounts and tenants."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=ANSWER_WITHIN_S,
            socket_connect_timeout=ANSWER_WITHIN_S,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
        )
        self._reserve = self._redis.register_script(RESERVE)
        self._own: dict[str, float] = defaultdict(float)
        self._spared_until = 0.0

    async def reserve(self, limits: Sequence[Limit], count: int, within_s: float) -> list[float]:
        """How many seconds each of `count` requests has to wait, so that all of these limits are kept.

        Those that would have to wait longer than `within_s` are left out, and not counted: they come another time.
        """
        granted, first = await self._first(limits, count, within_s)
        gap = max(1 / limit.per_second for limit in limits)
        return [max(0.0, first + place * gap) for place in range(granted)]

    async def _first(self, limits: Sequence[Limit], count: int, within_s: float) -> tuple[int, float]:
        if time.monotonic() >= self._spared_until:
            try:
                keys = [f"hub:rate:{limit.name}" for limit in limits]
                numbers = [n for limit in limits for n in (1e6 / limit.per_second, BURST_S * 1e6)]
                # Over all, for a connection is waited for in turn.
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    granted, delay = await self._reserve(keys=keys, args=[count, within_s * 1e6, *numbers])
                return int(granted), float(delay) / 1e6
            except (RedisError, OSError, TimeoutError) as error:
                self._spared_until = time.monotonic() + SPARE_FOR_S
                log.warning("limits: kept by this process alone", error=type(error).__name__)
        return self._first_by_myself(limits, count, within_s)

    def _first_by_myself(self, limits: Sequence[Limit], count: int, within_s: float) -> tuple[int, float]:
        now = time.monotonic()
        own = [max(self._own[limit.name], now - BURST_S) for limit in limits]
        delay = max(own) - now
        granted = max(0, min(count, *(math.floor((within_s - delay) * limit.per_second) + 1 for limit in limits)))
        for limit, at in zip(limits, own, strict=True):
            self._own[limit.name] = at + granted / limit.per_second
        return granted, delay

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()
