"""The rates of vendors' accounts and of tenants: kept by all workers together, and by each alone without Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.channels import limits as limits_room
from hub.channels.limits import BURST_S, Limit, Limits
from tests.servers import own_valkey

NOWHERE = "redis://127.0.0.1:1/0"
# What a look at the time may differ from Redis's own.
SLACK_S = 0.25

counts = st.lists(st.integers(1, 60), min_size=1, max_size=12)
rates = st.floats(0.5, 400)
waits = st.floats(0, 10)


def account(per_second: float) -> Limit:
    return Limit(f"account-{uuid.uuid4().hex}", per_second)


@pytest.fixture
async def both(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Limits, Limits]]:
    """Those of two workers; a busy machine is no Redis that is away."""
    monkeypatch.setattr(limits_room, "ANSWER_WITHIN_S", 30.0)
    one, other = Limits(redis_url), Limits(redis_url)
    yield one, other
    await one.close()
    await other.close()


@pytest.fixture
async def alone() -> AsyncIterator[Limits]:
    """Those of a worker that has no Redis."""
    limits = Limits(NOWHERE)
    yield limits
    await limits.close()


def most_within(moments: Sequence[float], window: float) -> int:
    """The most of these moments that any window of this many seconds holds."""
    ordered = sorted(moments)
    return max((bisect_right(ordered, begin + window) - place for place, begin in enumerate(ordered)), default=0)


def check_rate(moments: Sequence[float], per_second: float, slack: float = 0.0) -> None:
    """A rate is kept when no window holds more than its seconds' worth, and what may go after a pause."""
    for window in (0.1, 1.0, 3.0):
        assert most_within(moments, window) <= (window + BURST_S + slack) * per_second + 1 + 1e-6


async def moments_of(limits: Limits, limit: Limit, count: int, within_s: float) -> list[float]:
    """When so many requests may be made."""
    found = await limits.reserve([limit], count, within_s)
    now = time.monotonic()
    return [now + wait for wait in found]


async def test_after_a_pause_a_seconds_worth_goes_at_once_and_the_rest_one_by_one(both: tuple[Limits, Limits]) -> None:
    waits = await both[0].reserve([account(10)], 20, 60)
    assert len(waits) == 20
    assert waits[:11] == [0] * 11
    assert [round(after - before, 3) for before, after in pairwise(waits[11:])] == [0.1] * 8


async def test_two_workers_share_one_rate(both: tuple[Limits, Limits]) -> None:
    limit = account(10)
    assert len(await both[0].reserve([limit], 100, 0)) == 11
    first, *_ = await both[1].reserve([limit], 5, 60)
    assert first > 0


async def test_what_would_wait_too_long_is_left_out_and_not_counted(both: tuple[Limits, Limits]) -> None:
    limit = account(10)
    assert len(await both[0].reserve([limit], 100, 2)) == 31
    before = await both[0].reserve([limit], 1, 60)
    assert await both[1].reserve([limit], 50, 1) == []
    after = await both[0].reserve([limit], 1, 60)
    assert after[0] - before[0] <= 0.1 + 1e-6


async def test_the_slower_limit_counts_and_takes_no_time_of_the_other(both: tuple[Limits, Limits]) -> None:
    busy, free = account(1), account(1_000)
    waits = await both[0].reserve([busy, free], 100, 5)
    assert 6 <= len(waits) <= 7
    assert max(waits) <= 5
    assert await both[0].reserve([busy, free], 100, 0) == []
    assert (await both[0].reserve([account(1_000), free], 100, 5))[:100] == [0] * 100


async def test_one_that_is_used_up_lets_nothing_through_however_free_the_other_is(both: tuple[Limits, Limits]) -> None:
    of_account, of_tenant = account(5), account(5)
    await both[0].reserve([of_account], 30, 60)
    assert await both[1].reserve([of_account, of_tenant], 3, 1) == []
    assert len(await both[1].reserve([of_tenant], 3, 0)) == 3


async def test_many_at_once_never_exceed_the_rate(both: tuple[Limits, Limits]) -> None:
    limit = account(50)
    asked = [moments_of(both[number % 2], limit, 1 + number % 17, 3) for number in range(120)]
    moments = [moment for found in await asyncio.gather(*asked) for moment in found]
    assert len(moments) > 150
    check_rate(moments, limit.per_second, SLACK_S)


@given(counts, rates, waits)
async def test_no_number_of_requests_exceeds_a_rate(
    redis_url: str, asked: list[int], per_second: float, within_s: float
) -> None:
    one, other = Limits(redis_url), Limits(redis_url)
    try:
        limit, began = account(per_second), time.monotonic()
        found = await asyncio.gather(
            *(moments_of((one, other)[place % 2], limit, count, within_s) for place, count in enumerate(asked))
        )
        took = time.monotonic() - began
        check_rate([moment for moments in found for moment in moments], per_second, SLACK_S + took)
        for count, moments in zip(asked, found, strict=True):
            assert len(moments) <= count
            assert moments == sorted(moments)
            assert all(moment <= time.monotonic() + within_s + SLACK_S for moment in moments)
    finally:
        await one.close()
        await other.close()


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 60)), min_size=1, max_size=12), rates, waits)
async def test_a_worker_alone_keeps_to_the_rate_by_itself(
    asked: list[tuple[float, int]], per_second: float, within_s: float
) -> None:
    limits, limit, moments, now = Limits(NOWHERE), Limit("account", per_second), list[float](), 1_000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits_room, "time", SimpleNamespace(monotonic=lambda: now))
        limits._spared_until = float("inf")
        for pause, count in asked:
            now += pause
            found = await limits.reserve([limit], count, within_s)
            assert all(wait <= within_s + 1e-6 for wait in found)
            moments += [now + wait for wait in found]
    check_rate(moments, per_second)


async def test_without_redis_nobody_waits_for_it(alone: Limits) -> None:
    limit = account(10)
    began = time.monotonic()
    assert len(await alone.reserve([limit], 100, 0)) == 11
    assert await alone.reserve([limit], 100, 0) == []
    assert time.monotonic() - began < 1


async def test_a_redis_that_hangs_costs_one_answers_time_and_is_used_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits_room, "ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr(limits_room, "SPARE_FOR_S", 0.5)
    with own_valkey() as valkey:
        limits, other = Limits(valkey.url()), Limits(valkey.url())
        limit = account(10)
        await limits.reserve([limit], 1, 0)
        os.kill(valkey.pid, signal.SIGSTOP)
        began = time.monotonic()
        await asyncio.gather(*(limits.reserve([limit], 1, 60) for _ in range(20)))
        assert time.monotonic() - began < 3
        os.kill(valkey.pid, signal.SIGCONT)
        await asyncio.sleep(0.6)
        await limits.reserve([limit], 100, 60)
        assert await other.reserve([limit], 1, 0) == []
        await limits.close()
        await other.close()
