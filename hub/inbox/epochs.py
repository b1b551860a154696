"""Another epoch for inboxes of which Postgres has lost commits, by a restore or to a standby that lagged behind.

Their numbers are given a second time. In another epoch nobody takes the new ones for repeats of the old.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# In order of person, like whoever else writes heads: so they never wait for each other.
BEGIN_ANEW = text("""
WITH behind AS (
    SELECT head.person_id FROM inbox_heads AS head
    JOIN unnest(CAST(:people AS uuid[]), CAST(:numbers AS bigint[]), CAST(:epochs AS uuid[]))
        AS told(person_id, seq, epoch) USING (person_id)
    WHERE head.seq < told.seq AND head.epoch = told.epoch
    ORDER BY head.person_id FOR UPDATE OF head
)
UPDATE inbox_heads SET epoch = gen_random_uuid() FROM behind WHERE inbox_heads.person_id = behind.person_id
""")


async def begin_anew(session: AsyncSession, told: Mapping[uuid.UUID, tuple[int, str]]) -> None:
    """Give those inboxes another epoch that stand below the number that was told, and still in that epoch."""
    numbers, epochs = zip(*told.values(), strict=True)
    await session.execute(
        BEGIN_ANEW, {"people": list(told), "numbers": numbers, "epochs": [uuid.UUID(epoch) for epoch in epochs]}
    )
