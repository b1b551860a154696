"""What Postgres holds of everybody, read past the hub, and whether their tabs agree with it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

import asyncpg

from bench.check import Stored, Truth, violations
from bench.tab import Tab

LOOK_EVERY_S = 0.1

ROWS = """
SELECT head.person_id, head.seq AS head, head.unread, n.id, n.number, n.seq, n.read_at IS NULL AS is_unread
FROM inbox_heads head LEFT JOIN notifications n USING (person_id)
WHERE head.tenant_id = $1 ORDER BY head.person_id, n.number
"""
HEADS = "SELECT person_id, seq FROM inbox_heads WHERE tenant_id = $1"

Person = uuid.UUID


async def read_truth(url: str, tenant: uuid.UUID) -> dict[Person, Truth]:
    """Everybody's inbox."""
    found: dict[Person, Truth] = {}
    stored: dict[Person, list[Stored]] = {}
    for row in await _rows(url, ROWS, tenant):
        rows = stored.setdefault(row["person_id"], [])
        if row["id"] is not None:
            rows.append(Stored(str(row["id"]), row["number"], row["seq"], row["is_unread"]))
        found[row["person_id"]] = Truth(row["head"], row["unread"], rows)
    return found


async def agree(url: str, tenant: uuid.UUID, tabs: Mapping[Person, Tab], within: float) -> None:
    """Wait until every tab is connected, lacks nothing that it knows of, and stands where its inbox does."""
    async with asyncio.timeout(within):
        while True:
            if all(tab.is_settled for tab in tabs.values()):
                heads = {row["person_id"]: row["seq"] for row in await _rows(url, HEADS, tenant)}
                if all(tab.inbox.cursor == heads[person] for person, tab in tabs.items()):
                    return
            await asyncio.sleep(LOOK_EVERY_S)


def find_violations(
    truth: Mapping[Person, Truth],
    tabs: Mapping[Person, Tab],
    answered: Callable[[Person], Collection[str]] = lambda _person: (),
) -> dict[str, list[str]]:
    """What is wrong, by person."""
    found = {str(person): violations(tab.inbox, truth[person], answered(person)) for person, tab in tabs.items()}
    return {person: wrong for person, wrong in found.items() if wrong}


async def _rows(url: str, query: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()
