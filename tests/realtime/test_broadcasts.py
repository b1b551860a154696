"""Several broadcasts at once: each person hears them in their order, and what one socket gets of them goes together."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime import broadcasts
from hub.realtime.broadcasts import TOLD_AT_ONCE, Broadcasts, Part
from hub.realtime.pushes import STANDING, Rang, rang
from tests.realtime.books import OTHER_TENANT, TENANT

CROWD = range(1_000)


def to(people: Sequence[int], name: int, tenant: uuid.UUID = TENANT) -> Rang:
    """A broadcast to these people, which is known by its name."""
    ids = [uuid.UUID(int=each) for each in people]
    push = rang(tenant, [(each, 1, 1, each) for each in ids], {}, urgent=False, at=name)
    assert isinstance(push, Rang)
    return push


@dataclass
class Told:
    """What was written, turn by turn."""

    turns: list[list[tuple[float, list[int]]]] = field(default_factory=lambda: [[]])

    def tell(self, part: Part) -> None:
        for push, standings in part:
            people = [uuid.UUID(bytes=person).int for person, *_ in STANDING.iter_unpack(standings)]
            self.turns[-1].append((push.rang_at, people))

    @property
    def by_person(self) -> dict[int, list[float]]:
        heard = defaultdict[int, list[float]](list)
        for turn in self.turns:
            for name, people in turn:
                for person in people:
                    heard[person].append(name)
        return heard


async def tell_all(arriving: Sequence[Sequence[Rang]]) -> Told:
    """Add what arrives in each turn of the loop, and see everything told."""
    told = Told()
    board = Broadcasts(told.tell)
    for pushes in arriving:
        for push in pushes:
            board.add(push)
        told.turns.append([])
        await asyncio.sleep(0)
    while board.is_told_meanwhile(TENANT.bytes):
        told.turns.append([])
        await asyncio.sleep(0)
    return told


async def test_those_that_wait_are_told_to_each_person_in_one_turn() -> None:
    told = await tell_all([[to(CROWD, name) for name in (1, 2, 3)]])
    alone = [turn for turn in told.turns if [name for name, _ in turn] == [1]]
    together = [turn for turn in told.turns if [name for name, _ in turn] == [2, 3]]
    assert len(alone) == 3, "nothing else had come when it began"
    assert sum(len(turn[0][1]) for turn in together) == len(CROWD)
    assert all(second == third for (_, second), (_, third) in together)
    assert set(map(tuple, told.by_person.values())) == {(1, 2, 3)}


@pytest.mark.parametrize("other", [to(CROWD[::-1], 2), to(CROWD, 2, OTHER_TENANT)])
async def test_one_to_others_waits_until_it_is_its_turn_and_so_do_those_behind_it(other: Rang) -> None:
    told = await tell_all([[to(CROWD, 0)], [to(CROWD, 1), other, to(CROWD, 3)]])
    assert [name for name, _ in groupby(name for turn in told.turns for name, _ in turn)] == [0, 1, 2, 3]


async def test_however_many_there_are_a_turn_stays_as_short() -> None:
    told = await tell_all([[to(CROWD, name) for name in range(40)]])
    assert max(sum(len(people) for _, people in turn) for turn in told.turns) <= TOLD_AT_ONCE
    assert set(map(tuple, told.by_person.values())) == {tuple(range(40))}


AT_ONCE, SIDE_BY_SIDE = 8, 3
audiences = st.lists(st.integers(0, 29), min_size=AT_ONCE + 1, unique=True) | st.just(list(range(30)))


@given(st.lists(st.lists(audiences, max_size=4), max_size=6))
def test_whoever_is_in_several_hears_each_once_and_in_their_order(arriving: list[list[list[int]]]) -> None:
    names = iter(range(100))
    pushes = [[to(people, next(names)) for people in turn] for turn in arriving]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broadcasts, "TOLD_AT_ONCE", AT_ONCE)
        patch.setattr(broadcasts, "MOST_SIDE_BY_SIDE", SIDE_BY_SIDE)
        told = asyncio.run(tell_all(pushes))
    expected = defaultdict[int, list[float]](list)
    for push in (push for turn in pushes for push in turn):
        for person, *_ in STANDING.iter_unpack(push.standings):
            expected[uuid.UUID(bytes=person).int].append(push.rang_at)
    assert told.by_person == expected
