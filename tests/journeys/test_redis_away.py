"""Redis is gone for ten minutes by the clock: what is critical comes within three seconds, and nothing comes twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from hub.inbox.kinds import Priority
from hub.wiring import build
from tests.conftest import MovableClock, run_hub
from tests.factories import open_clinic, tell
from tests.inbox.conftest import head_of, rows_of
from tests.journeys.processes import settings_for
from tests.live_client import LiveClient
from tests.realtime.conftest import eventually, open_tab
from tests.servers import fresh_database, own_valkey

AWAY = timedelta(minutes=10)
TURNS = 4
WITHIN_S = 3.0
# What comes sooner did not wait for a look at Postgres.
OVER_REDIS_S = 0.3
TRIES = 15


async def test_what_is_critical_comes_in_time_without_redis_and_nothing_comes_twice() -> None:
    clock = MovableClock()
    with own_valkey() as valkey:
        async with fresh_database() as database_url:
            settings = settings_for(database_url, valkey.url())
            async with build(settings, "elsewhere", clock) as house, run_hub(settings, clock) as hub:
                clinic = await open_clinic(house)
                async with open_tab(hub, clinic.omar) as live:

                    async def ring(title: str) -> float:
                        await tell(house, clinic, clinic.omar, title=title, priority=Priority.CRITICAL)
                        committed = time.monotonic()
                        await live.hear_everything((await head_of(house, clinic.omar))[0])
                        return time.monotonic() - committed

                    await ring("Before")
                    valkey.stop()
                    took = []
                    for turn in range(TURNS):
                        clock.move(AWAY / TURNS)
                        took.append(await ring(f"Without Redis, {turn}"))
                    assert max(took) < WITHIN_S
                    valkey.start()
                    await eventually(lambda: hub.house.bus.is_listening, within=15)
                    await _until_over_redis(ring)
                    assert live.inbox.shown == [str(row.id) for row in await rows_of(house, clinic.omar)]
                    assert _sent_twice(live) == []
                    assert (live.inbox.cursor, live.inbox.unread) == await head_of(house, clinic.omar)


async def _until_over_redis(ring: Callable[[str], Awaitable[float]]) -> None:
    for turn in range(TRIES):
        if await ring(f"After, {turn}") < OVER_REDIS_S:
            return
    raise AssertionError("nothing is heard over Redis any more")


def _sent_twice(live: LiveClient) -> list[str]:
    """What came twice; once ahead of its turn and once in its place is as it should be."""
    sent = Counter((frame["t"] == "ahead", item["id"]) for frame in live.frames for item in frame.get("items", ()))
    return [id_ for (_, id_), times in sent.items() if times > 1]
