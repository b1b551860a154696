"""Looking into an inbox past the verbs, and doing what a person does with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import text

from hub.inbox import marks
from hub.inbox.feed import Head
from hub.inbox.marks import Mark
from hub.people.tables import Staff
from hub.wiring import House
from hub.work import Actor

ROWS = text("SELECT * FROM notifications WHERE person_id = :person ORDER BY number")
HEAD = text("SELECT seq, unread FROM inbox_heads WHERE person_id = :person")
UNREAD = text("SELECT count(*) FROM notifications WHERE person_id = :person AND read_at IS NULL")


async def rows_of(house: House, person: Staff) -> list[Any]:
    """The person's notifications as they are stored."""
    async with house.database.of_tenant(person.tenant_id) as session:
        return list((await session.execute(ROWS, {"person": person.id})).all())


async def head_of(house: House, person: Staff) -> tuple[int, int]:
    """The number and the count of the person's inbox; the count is checked against the rows."""
    async with house.database.of_tenant(person.tenant_id) as session:
        head = (await session.execute(HEAD, {"person": person.id})).one_or_none()
        counted = (await session.execute(UNREAD, {"person": person.id})).scalar_one()
    seq, unread = head or (0, 0)
    assert unread == counted
    return seq, unread


async def mark(house: House, person: Staff, as_: Mark, ids: Iterable[uuid.UUID]) -> Head:
    """The person marks some of their notifications."""
    async with house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        return await marks.mark(work, person.id, list(ids), as_)


async def read_all(house: House, person: Staff, upto: int) -> Head:
    """The person reads everything up to a number."""
    async with house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        return await marks.read_all(work, person.id, upto)
