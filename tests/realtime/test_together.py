"""Questions asked at the same time are answered by one query, and never by one that began before they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from hub.realtime.together import Together


class Oracle:
    """Answers with how often it was asked, and remembers what."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, keys: Collection[int]) -> int:
        """The number of this query."""
        self.asked.append(set(keys))
        number = len(self.asked)
        await self.open.wait()
        if 13 in keys:
            raise ValueError("unlucky")
        return number


async def test_a_thousand_questions_are_one_query() -> None:
    oracle = Oracle()
    together = Together(oracle)
    assert set(await asyncio.gather(*(together.ask(key) for key in range(14, 1014)))) == {1}
    assert oracle.asked == [set(range(14, 1014))]


async def test_a_question_asked_during_a_query_waits_for_the_next() -> None:
    oracle = Oracle()
    together = Together(oracle)
    oracle.open.clear()
    first = asyncio.create_task(together.ask(1))
    while not oracle.asked:
        await asyncio.sleep(0.001)
    second = asyncio.create_task(together.ask(1))
    oracle.open.set()
    assert (await first, await second) == (1, 2)


async def test_whoever_gives_up_leaves_the_others_their_answer_and_a_failure_is_for_those_who_asked() -> None:
    oracle = Oracle()
    together = Together(oracle)
    leaving, staying = asyncio.create_task(together.ask(1)), asyncio.create_task(together.ask(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 1
    with pytest.raises(ValueError, match="unlucky"):
        await together.ask(13)
    assert await together.ask(3) == 3
