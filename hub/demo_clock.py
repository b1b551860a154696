"""A demo's clock, which a command can move: how far it is ahead stands in Postgres, and every process follows it.

Only a demo has one; anywhere else the clock is the system's, and nothing is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy import Interval, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from hub.clock import Clock, system_clock
from hub.db import Base, Database
from hub.errors import HubError

# So that a command that moved the clock can wait until everybody has it.
READ_EVERY_S = 0.4


class Shift(Base):
    """By how much the demo is ahead of the true time: one row, or none while it is not; belongs to no tenant."""

    __tablename__ = "demo_clock"

    id: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    shift: Mapped[timedelta] = mapped_column(Interval)


class DemoClock:
    """The system's time and the shift that was last read."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        """The moment it is in the demo, aware, in UTC."""
        return system_clock() + self.shift

    async def read(self, database: Database) -> None:
        """Take over the shift that stands in Postgres; while that cannot be asked, the one known stays."""
        try:
            async with database.watching() as watch:
                self.shift = (await watch.execute(select(Shift.shift))).scalar_one_or_none() or timedelta()
        except (HubError, DBAPIError):
            return


@asynccontextmanager
async def following(clock: Clock, database: Database) -> AsyncIterator[None]:
    """Keep a demo's clock true to its shift while the block runs; any other clock needs nothing."""
    if not isinstance(clock, DemoClock):
        yield
        return
    await clock.read(database)

    async def follow() -> None:
        while True:
            await asyncio.sleep(READ_EVERY_S)
            await clock.read(database)

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()


async def move(session: AsyncSession, by: timedelta) -> timedelta:
    """Move the demo's clock by so much; returns by how much it is ahead now."""
    row = insert(Shift).values(id=True, shift=by)
    moved = row.on_conflict_do_update(index_elements=[Shift.id], set_={"shift": Shift.shift + by})
    return (await session.execute(moved.returning(Shift.shift))).scalar_one()
