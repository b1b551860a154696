"""What vendors report is stored before they are answered: many requests' reports under one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hub.channels.vendor import Report
from hub.clock import Clock
from hub.crypto import Keys
from hub.db import Database
from hub.errors import HubError
from hub.messages.receipts import APPLY, Row, insert_rows, rows_of
from hub.work import Enqueue

# So many rows at most in one statement.
AT_ONCE = 500
# Workers are poked once for all that came in so long; they take as much as they find.
POKE_AFTER_S = 0.2


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request's reports, and who waits for them to be stored."""

    rows: list[Row]
    stored: asyncio.Future[int]


class Intake:
    """One process's way from vendors' requests to the table of their reports."""

    def __init__(self, database: Database, keys: Keys, clock: Clock, enqueue: Enqueue) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._enqueue = enqueue
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None
        self._poking: asyncio.Task[None] | None = None

    async def take(self, reports: Sequence[Report], raw: bytes) -> int:
        """Store what one request reports, once; returns how many were new. Raises Unavailable: then nothing is stored.

        It returns when they are committed. `raw` is the request's body.
        """
        rows = rows_of(self._keys, reports, raw, self._clock())
        waiting = _Waiting(rows, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None:
            self._storing = asyncio.create_task(self._store())
        return await waiting.stored

    async def close(self) -> None:
        """Wait for what is being stored; workers are not poked any more."""
        if self._poking is not None:
            self._poking.cancel()
        if self._storing is not None:
            await self._storing

    async def _store(self) -> None:
        # One statement at a time: what comes in meanwhile goes together in the next.
        try:
            while self._waiting:
                batch = self._next_batch()
                if not await self._store_together(batch):
                    for waiting in batch:
                        await self._store_together([waiting])
        finally:
            self._storing = None

    def _next_batch(self) -> list[_Waiting]:
        count = rows = 0
        while count < len(self._waiting) and (not count or rows + len(self._waiting[count].rows) <= AT_ONCE):
            rows += len(self._waiting[count].rows)
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _store_together(self, batch: list[_Waiting]) -> bool:
        """Store these under one commit; False when they are to be tried one by one, so that one spoils no other."""
        try:
            async with self._database.of_nobody() as session:
                new = await insert_rows(session, [row for waiting in batch for row in waiting.rows])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, HubError):
                return False
            for waiting in batch:
                if not waiting.stored.done():
                    waiting.stored.set_exception(error)
            return True
        for waiting in batch:
            if not waiting.stored.done():
                waiting.stored.set_result(sum(row.id in new for row in waiting.rows))
        if new and (self._poking is None or self._poking.done()):
            self._poking = asyncio.create_task(self._poke())
        return True

    async def _poke(self) -> None:
        await asyncio.sleep(POKE_AFTER_S)
        # Whatever is stored from here on pokes again.
        self._poking = None
        await self._enqueue([APPLY])
