"""Moves a demo's clock: ahead, so that nobody has to wait for what comes later, and back to the true time."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta

from sqlalchemy import Interval, bindparam, select, text, update

from hub.demo_clock import READ_EVERY_S, Shift, move
from hub.errors import Invalid
from hub.people.tables import StaffSession
from hub.people.tenants import all_tenants
from hub.wiring import House

FARTHEST = timedelta(days=366)
SPANS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
# What the house set ahead for itself while the clock was ahead: on the way back it would stand still until then.
# Other rooms' tables, and none of their business: only a demo ever turns time back.
AHEAD = (
    "UPDATE sweeps SET due_at = due_at + :by WHERE due_at > :now",
    "UPDATE circuits SET open_until = open_until + :by WHERE open_until > :now",
    "UPDATE vendor_events SET due_at = due_at + :by WHERE due_at > :now",
)


def read_span(words: str) -> timedelta:
    """How long `90s`, `2m`, `1h30m` or `3d` is (pure). Raises Invalid."""
    found = re.fullmatch(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?", words.strip().lower())
    parts = {SPANS[name]: int(number[:9]) for name, number in (found.groupdict() if found else {}).items() if number}
    try:
        span = timedelta(**parts)
    except OverflowError:
        span = FARTHEST * 2
    if not timedelta() < span <= FARTHEST:
        raise Invalid(f"Say how far to travel as 90s, 2m, 1h30m or 3d, up to {FARTHEST.days} days; not {words!r}.")
    return span


async def travel(house: House, by: timedelta | None) -> timedelta:
    """Move the clock of a demo ahead by so much, or, by None, back to the true time; returns how far it is ahead.

    Sign-ins stay valid: at no moment is one over that was not. When this returns, every process has the new time.
    """
    if not house.settings.demo:
        raise Invalid("Only a demo travels in time: this hub runs without DEMO=true.")
    if by is not None:
        await _take_sessions_along(house, by, house.clock() + by)
    async with house.database.of_nobody() as session:
        back = -((await session.execute(select(Shift.shift).with_for_update())).scalar_one_or_none() or timedelta())
        ahead = await move(session, back if by is None else by)
    await asyncio.sleep(2 * READ_EVERY_S)
    if by is None:
        await _take_sessions_along(house, back, house.clock())
        async with house.database.of_nobody() as session:
            for along in AHEAD:
                known = text(along).bindparams(bindparam("by", type_=Interval))
                await session.execute(known, {"by": back, "now": house.clock()})
    return ahead


async def _take_sessions_along(house: House, by: timedelta, now: datetime) -> None:
    """Last used as long ago as before, and over in as long. On the way back, only those from the time ahead."""
    async with house.database.watching() as watch:
        tenants = await all_tenants(watch)
    along = update(StaffSession).values(
        last_used_at=StaffSession.last_used_at + by, expires_at=StaffSession.expires_at + by
    )
    if by < timedelta():
        along = along.where(StaffSession.last_used_at > now)
    for tenant in tenants:
        async with house.database.of_tenant(tenant) as session:
            await session.execute(along)
