"""What happened to one object, told from the audit log, with the names of who did it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.audit import AuditEntry
from hub.people.tables import ApiKey, Staff

MOST_TOLD = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened; `who` is a person's or key's name, or None for the hub itself."""

    at: datetime
    action: str
    who: str | None


async def read_story(session: AsyncSession, object_type: str, object_id: uuid.UUID) -> list[Told]:
    """What happened to an object, oldest first."""
    query = (
        select(AuditEntry.at, AuditEntry.action, func.coalesce(Staff.name, ApiKey.name))
        .outerjoin(Staff, Staff.id == AuditEntry.actor_id)
        .outerjoin(ApiKey, ApiKey.id == AuditEntry.actor_id)
        .where(AuditEntry.object_type == object_type, AuditEntry.object_id == object_id)
        .order_by(AuditEntry.number)
        .limit(MOST_TOLD)
    )
    return [Told(*row) for row in (await session.execute(query)).all()]


async def names_of(session: AsyncSession, actors: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these people and keys are called; who is neither is left out."""
    staff = select(Staff.id, Staff.name).where(Staff.id.in_(actors))
    keys = select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(actors))
    return {row[0]: row[1] for row in await session.execute(staff.union_all(keys))}
