"""Taking back what has not left: a message that became untrue before its moment, or while its vendor was asked."""

from __future__ import annotations

import uuid

from hub.db import fetch_directly
from hub.messages.decide import WITHDRAWN
from hub.messages.queueing import DELIVER
from hub.messages.states import State
from hub.messages.steps import add_steps, step
from hub.work import Job, Work

RESTORED = "restored"

# Whom a worker has locked is waited for, and is then one whose vendor is asked. In order of id, as everybody locks
# them. What has left is marked as well: a report of its failure would have the next channel tell it. So is what failed
# or was skipped, which somebody might send again by hand.
WITHDRAW = """
WITH these AS (
    SELECT id FROM messages
    WHERE tenant_id = $1 AND related_id = $2 AND withdrawn_by IS NULL AND ($4::text IS NULL OR reference LIKE $4)
        AND state NOT IN ('read', 'cancelled')
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE messages AS message SET withdrawn_by = $3, updated_at = $5,
    state = CASE WHEN message.state IN ('queued', 'held') THEN 'cancelled' ELSE message.state END,
    reason = CASE WHEN message.state IN ('queued', 'held') THEN 'withdrawn' ELSE message.reason END
FROM these WHERE message.id = these.id RETURNING message.id, message.state, message.channel
"""
RESTORE = """
WITH these AS (
    SELECT id, state = 'cancelled' AND reason IS NOT DISTINCT FROM 'withdrawn' AS is_back FROM messages
    WHERE tenant_id = $1 AND related_id = $2 AND withdrawn_by = $3 ORDER BY id FOR NO KEY UPDATE
)
UPDATE messages AS message SET withdrawn_by = NULL, updated_at = $4,
    state = CASE WHEN these.is_back THEN 'queued' ELSE message.state END,
    reason = CASE WHEN these.is_back THEN NULL ELSE message.reason END,
    due_at = CASE WHEN these.is_back THEN greatest(message.due_at, $4) ELSE message.due_at END
FROM these WHERE message.id = these.id
RETURNING message.id, message.lane, message.channel, message.due_at, these.is_back
"""


async def withdraw(work: Work, *, about: uuid.UUID, by: int, prefix: str | None = None) -> int:
    """Take back the messages about an object, or those whose reference begins with `prefix`; returns how many it could.

    What is queued or held is cancelled, and counts. What a worker or a vendor has, or had, is marked: should it not
    have arrived, nothing is sent again. `by` names what made them untrue, for `restore`; what was untrue before stays
    as it is.
    """
    begins = None if prefix is None else _escaped(prefix) + "%"
    rows = await fetch_directly(work.session, WITHDRAW, work.tenant, about, by, begins, work.now)
    cancelled = [row for row in rows if row["state"] == State.CANCELLED]
    await add_steps(
        work,
        [step(work, row["id"], State.CANCELLED, channel=row["channel"], reason=WITHDRAWN) for row in cancelled],
    )
    return len(cancelled)


async def restore(work: Work, *, about: uuid.UUID, withdrawn_by: int) -> int:
    """Queue again what was withdrawn for a reason that turned out wrong; returns how many.

    What a worker or a vendor had goes its usual way again.
    """
    rows = await fetch_directly(work.session, RESTORE, work.tenant, about, withdrawn_by, work.now)
    back = [row for row in rows if row["is_back"]]
    await add_steps(
        work, [step(work, row["id"], State.QUEUED, channel=row["channel"], reason=RESTORED) for row in back]
    )
    for lane in sorted({row["lane"] for row in back if row["due_at"] <= work.now}):
        work.later(Job(DELIVER, lane, (str(work.tenant),)))
    return len(back)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
