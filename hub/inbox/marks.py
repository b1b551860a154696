"""Marking notifications read, unread or archived; each change takes the next number of the person's inbox."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import DateTime, Executable, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from hub.errors import NotFound
from hub.inbox.feed import NO_HEAD, Head, read_head, row_of
from hub.work import Work

Mark = Literal["read", "unread", "archive"]

MOST_MARKED = 100

# The head is locked by a statement of its own: the next one then sees every change made before the lock was had.
LOCK = text("SELECT seq FROM inbox_heads WHERE person_id = :person FOR UPDATE")

CHANGE = """
WITH changed AS (
    UPDATE notifications SET {change}, seq = :seq, updated_at = :now
    WHERE person_id = :person AND {which}
    RETURNING *
), moved AS (
    UPDATE inbox_heads SET seq = :seq, unread = (
        SELECT inbox_heads.unread + count(*) FILTER (WHERE changed.read_at IS NULL)
            - (SELECT count(*) FROM notifications was JOIN changed USING (id) WHERE was.read_at IS NULL)
        FROM changed)
    WHERE person_id = :person AND EXISTS (SELECT FROM changed)
    RETURNING unread
)
SELECT changed.*, moved.unread FROM changed, moved ORDER BY number
"""

NOW = bindparam("now", type_=DateTime(timezone=True))


def _change(change: str, unless: str) -> Executable:
    return (
        text(CHANGE.format(change=change, which=f"id = ANY(:ids) AND NOT ({unless})"))
        .bindparams(NOW)
        .columns(facts=JSONB)
    )


MARKS: dict[Mark, Executable] = {
    "read": _change("read_at = :now", unless="read_at IS NOT NULL"),
    "unread": _change("read_at = NULL, archived_at = NULL", unless="read_at IS NULL AND archived_at IS NULL"),
    "archive": _change("read_at = coalesce(read_at, :now), archived_at = :now", unless="archived_at IS NOT NULL"),
}

READ_ALL = text("""
WITH changed AS (
    UPDATE notifications SET read_at = :now, seq = :seq, updated_at = :now
    WHERE person_id = :person AND seq <= :upto AND read_at IS NULL
    RETURNING id
), moved AS (
    UPDATE inbox_heads SET seq = :seq, unread = unread - (SELECT count(*) FROM changed)
    WHERE person_id = :person AND EXISTS (SELECT FROM changed)
    RETURNING unread
)
SELECT unread FROM moved
""").bindparams(NOW)

KNOWN = text("SELECT count(*) FROM notifications WHERE person_id = :person AND id = ANY(:ids)")


async def mark(work: Work, person: uuid.UUID, ids: Sequence[uuid.UUID], as_: Mark) -> Head:
    """Mark these notifications of the person; those already so stay untouched. An archived one counts as read.

    Raises NotFound, and marks nothing, when one of them is not in the person's inbox.
    """
    wanted = list(dict.fromkeys(ids))
    known = (await work.session.execute(KNOWN, {"person": person, "ids": wanted})).scalar_one()
    if known != len(wanted):
        raise NotFound("Some of these notifications are not in your inbox; nothing was changed.")
    seq = await _next_number(work, person)
    if seq is None:
        return NO_HEAD
    values = {"person": person, "ids": wanted, "seq": seq, "now": work.now}
    changed = (await work.session.execute(MARKS[as_], values)).all()
    if changed:
        work.inbox_moved(person, seq, changed[0].unread, [row_of(row) for row in changed])
    return await read_head(work.session, person)


async def read_all(work: Work, person: uuid.UUID, upto: int) -> Head:
    """Mark as read every notification that last changed at number `upto` or before: what the person has seen."""
    seq = await _next_number(work, person)
    if seq is None:
        return NO_HEAD
    values = {"person": person, "upto": upto, "seq": seq, "now": work.now}
    unread = (await work.session.execute(READ_ALL, values)).scalar_one_or_none()
    if unread is not None:
        work.inbox_read(person, seq, unread, upto)
    return await read_head(work.session, person)


async def _next_number(work: Work, person: uuid.UUID) -> int | None:
    seq: int | None = (await work.session.execute(LOCK, {"person": person})).scalar_one_or_none()
    return None if seq is None else seq + 1
