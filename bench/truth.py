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


async def agree(
    url: str, tenant: uuid.UUID, tabs: Mapping[Person, Tab], within: float
) -> tuple[dict[Person, Truth], bool]:
    """Wait until every tab is connected, lacks nothing that it knows of, and stands where its inbox does.

    Returns what Postgres held at that moment, or in the end, and whether they agreed. To be compared with the tabs
    before anything is awaited: a mark may still be under way.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        truth = await read_truth(url, tenant)
        agreed = all(tab.is_settled and tab.inbox.cursor == truth[person].seq for person, tab in tabs.items())
        if agreed or loop.time() > until:
            return truth, agreed
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
