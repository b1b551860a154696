"""What a PostgreSQL is asked, counted by itself, second by second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

# For the server's configuration.
OPTIONS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "10000"}
EVERY_S = 1.0

CALLS = "SELECT query, sum(calls)::bigint AS calls FROM pg_stat_statements GROUP BY query"


def sort_of(query: str) -> str:
    """What a statement is for (pure): cursors are the heads of inboxes and what was missed since."""
    words = query.lower()
    if any(verb in words for verb in ("insert into", "update ", "for update", "delete from")):
        return "writing"
    if "inbox_heads" in words or "notifications" in words:
        return "cursors"
    if "staff_sessions" in words or "api_keys" in words or "live_tokens" in words:
        return "sign-in"
    return "other"


@dataclass
class Count:
    """Statements of each sort in each second."""

    seconds: list[dict[str, int]] = field(default_factory=list)

    def peak(self, sort: str) -> int:
        """The most in one second."""
        return max((second.get(sort, 0) for second in self.seconds), default=0)

    def mean(self, sort: str) -> float:
        """How many a second."""
        return self.total(sort) / len(self.seconds) if self.seconds else 0.0

    def total(self, sort: str) -> int:
        """How many in all."""
        return sum(second.get(sort, 0) for second in self.seconds)


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[Count]:
    """Count while the block runs, and until the second in which it ends is over."""
    count, ended = Count(), asyncio.Event()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        sampling = asyncio.create_task(_sample(connection, count, ended))
        try:
            yield count
        finally:
            ended.set()
            await sampling
    finally:
        await connection.close()


async def _sample(connection: asyncpg.Connection, count: Count, ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    before, due = await _calls(connection), loop.time()
    while not ended.is_set():
        due += EVERY_S
        await asyncio.sleep(due - loop.time())
        now = await _calls(connection)
        second: dict[str, int] = {}
        for query, calls in now.items():
            if more := calls - before.get(query, 0):
                second[sort_of(query)] = second.get(sort_of(query), 0) + more
        count.seconds.append(second)
        before = now


async def _calls(connection: asyncpg.Connection) -> dict[str, int]:
    return {row["query"]: row["calls"] for row in await connection.fetch(CALLS)}
