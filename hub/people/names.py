"""Names of whoever did something, for the stories that pages tell."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.people.tables import ApiKey, Staff


async def names_of(session: AsyncSession, actors: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these people and keys are called; who is neither, as a patient, is left out."""
    staff = select(Staff.id, Staff.name).where(Staff.id.in_(actors))
    keys = select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(actors))
    return {row[0]: row[1] for row in await session.execute(staff.union_all(keys))}
