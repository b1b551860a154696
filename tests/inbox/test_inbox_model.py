"""Thousands of random lives of one inbox, each against a small reference: state and badge must agree at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub.inbox import feed
from hub.people.tables import Staff
from hub.realtime import backlog, connection
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import add_clinicians, open_clinic
from tests.inbox.world import Dice, World

LIVES = 500

# How often each thing happens in each weather, against the others.
CALM = {"create": 6, "read": 3, "unread": 2, "archive": 2, "read_all": 2, "hear_all": 6, "connect": 3, "receive_all": 6}
WEATHERS = {
    "fair": CALM | {"read_slowly": 2, "disconnect": 2, "begin_anew": 1, "look": 2, "send": 2, "receive": 2},
    "rumours": CALM | {"hear_all": 1, "hear": 6, "hear_twice": 3, "miss": 3, "look": 2, "read_slowly": 3},
    "bad lines": CALM | {"send": 5, "receive": 6, "receive_twice": 3, "lose": 3, "receive_all": 1, "beat": 3},
    "comings and goings": CALM
    | {"connect": 8, "disconnect": 6, "begin_anew": 3, "read_slowly": 4, "send": 4, "lose": 2},
}
TABLES = {
    weather: [what for what, times in happens.items() for _ in range(times)] for weather, happens in WEATHERS.items()
}

steps = st.tuples(st.integers(0, 999), st.builds(Dice, st.integers(0, 1), st.integers(0, 7), st.integers(0, 7)))


class Crowd:
    """People with an empty inbox, one for each life."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._people: list[Staff] = []

    async def next(self) -> Staff:
        if not self._people:
            clinic = await open_clinic(self._house, slug="crowd")
            self._people = await add_clinicians(self._house, clinic, LIVES)
            async with self._house.open_work(clinic.id, SYSTEM) as work:
                await work.session.execute(OPEN_INBOXES)
        return self._people.pop()


OPEN_INBOXES = text("INSERT INTO inbox_heads (tenant_id, person_id) SELECT tenant_id, id FROM staff")


@pytest.fixture(scope="module")
async def crowd(house: House) -> AsyncIterator[Crowd]:
    yield Crowd(house)


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Iterator[None]:
    """So small that a short life reaches them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "MOST_MISSED", 6)
        patch.setattr(feed, "SNAPSHOT", 4)
        for bounded in (backlog, connection):
            patch.setattr(bounded, "MOST_FRAMES", 6)
        yield


@pytest.mark.parametrize("weather", TABLES)
@settings(
    max_examples=LIVES,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(life=st.lists(steps, min_size=3, max_size=40))
async def test_every_life_ends_with_all_in_agreement(
    house: House, crowd: Crowd, weather: str, life: list[tuple[int, Dice]]
) -> None:
    world = World(house, await crowd.next())
    for which, dice in life:
        what = TABLES[weather][which % len(TABLES[weather])]
        note(f"{what} {dice}")
        await world.happens(what, dice)
    await world.come_to_rest()
    await world.check_end()
