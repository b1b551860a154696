"""What was planned ahead of visits is told by the sweep: without Redis, once, and whatever else is under way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from hub.appointments import due as plans
from hub.appointments.lifecycle import Booking, book
from hub.appointments.tables import PlannedNotice
from hub.local.valkey import Valkey
from hub.people.patients import Arriving
from hub.scheduler.lanes import Lanes
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.messages.post import NOON
from tests.scheduler.office import WITHIN_S, Office, gate, working

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


async def book_visits(office: Office, count: int) -> None:
    """Visits in the evening: they are reminded of in the afternoon, minute by minute."""
    async with office.house.open_work(office.clinic.id, SYSTEM) as work:
        await install_defaults(work)
        for number in range(count):
            start = NOON + 5 * HOUR + number * MINUTE
            await book(work, Booking(Arriving(id=office.patient.id), office.clinic.omar.id, start, tell=False))


async def states(office: Office) -> list[str]:
    async with office.house.database.of_tenant(office.clinic.id) as session:
        query = select(PlannedNotice.state).where(PlannedNotice.ahead == "PT2H")
        return list((await session.execute(query)).scalars())


async def sent(office: Office, count: int) -> None:
    """Wait until so many have left."""
    async with asyncio.timeout(WITHIN_S):
        while len(office.vendor.sent) < count:
            await asyncio.sleep(0.02)


async def test_without_redis_a_reminder_leaves_when_it_is_due(
    office: Office, valkey: Valkey, quick_sweeps: None
) -> None:
    await book_visits(office, 1)
    await asyncio.to_thread(valkey.stop)
    async with working(office.house):
        await asyncio.sleep(0.2)
        assert office.vendor.sent == []
        office.clock.move(3 * HOUR)
        await sent(office, 1)


async def test_two_workers_and_a_redis_that_forgets_everything_send_each_reminder_once(
    office: Office, valkey: Valkey, quick_sweeps: None
) -> None:
    await book_visits(office, 40)
    async with working(office.house), working(office.house):
        office.clock.move(4 * HOUR)
        async with Redis.from_url(valkey.url()) as redis:
            await redis.flushall()
        await sent(office, 40)
        await asyncio.sleep(0.2)
    assert len(office.vendor.sent) == 40
    assert await states(office) == ["told"] * 40


async def test_one_look_tells_all_that_is_due_batch_by_batch(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "AT_ONCE", 10)
    await book_visits(office, 25)
    office.clock.move(4 * HOUR)
    await Lanes(office.house).sweep()
    async with asyncio.timeout(WITHIN_S):
        while "planned" in await states(office):
            await asyncio.sleep(0.02)


async def test_a_vendor_that_hangs_does_not_hold_up_what_was_planned(office: Office, quick_sweeps: None) -> None:
    office.vendor.before = door = gate()
    await office.queue(words="slow")
    await book_visits(office, 1)
    async with working(office.house):
        await asyncio.wait_for(door.begun.wait(), WITHIN_S)
        office.clock.move(3 * HOUR)
        await sent(office, 2)
        door.opened.set()
