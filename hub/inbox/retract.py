"""Taking notifications back: what nobody has read yet goes; who has read it is named, to be told otherwise."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from hub.inbox.marks import mark
from hub.work import Work

# In order of person, like whoever else writes heads; once they are had, nobody can read what was unread.
LOCK = text("""
SELECT person_id FROM inbox_heads WHERE person_id IN (
    SELECT person_id FROM notifications WHERE related_id = :about AND facts @> CAST(:facts AS jsonb)
)
ORDER BY person_id FOR UPDATE
""")
STANDING = text("""
SELECT id, person_id, read_at FROM notifications WHERE related_id = :about AND facts @> CAST(:facts AS jsonb)
ORDER BY person_id, number
""")


async def retract(work: Work, about: uuid.UUID, facts: Mapping[str, Any]) -> list[uuid.UUID]:
    """Archive the unread notifications about an object that have these facts; returns who has read theirs."""
    values = {"about": about, "facts": json.dumps(facts)}
    await work.session.execute(LOCK, values)
    unread: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    readers: dict[uuid.UUID, None] = {}
    for row in (await work.session.execute(STANDING, values)).all():
        if row.read_at is None:
            unread[row.person_id].append(row.id)
        else:
            readers[row.person_id] = None
    for person, ids in unread.items():
        await mark(work, person, ids, "archive")
    return list(readers)
