"""Many who ask the same kind of question at once, answered by one query."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")

GATHERED_FOR_S = 0.02


class Together(Generic[Key, Answer]):
    """Gathers questions for a moment; each is answered by a query that began after it was asked."""

    def __init__(self, query: Callable[[Collection[Key]], Awaitable[Answer]]) -> None:
        self._query = query
        self._asked: set[Key] = set()
        self._next: asyncio.Task[Answer] | None = None

    async def ask(self, key: Key) -> Answer:
        """The answer to all that was asked together with this; raises what the query raises."""
        self._asked.add(key)
        if self._next is None:
            self._next = asyncio.create_task(self._answer())
        return await asyncio.shield(self._next)

    async def _answer(self) -> Answer:
        await asyncio.sleep(GATHERED_FOR_S)
        asked, self._asked, self._next = self._asked, set(), None
        return await self._query(asked)
