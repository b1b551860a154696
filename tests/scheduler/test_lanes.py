"""Lanes: woken by a job or by the sweep, once at a time, none behind another, and what is under way finishes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.channels.vendor import Channel, Report, ReportKind
from hub.local.valkey import Valkey
from hub.messages.deliver import AT_ONCE, Due
from hub.messages.parcels import Parcel
from hub.messages.receipts import store_reports
from hub.messages.states import State
from hub.messages.tables import Attempt
from hub.scheduler import lanes as lanes_room
from hub.scheduler import worker
from hub.scheduler.lanes import Lanes
from tests.messages.post import NOON
from tests.messages.vendors import BUSY, SILENT
from tests.scheduler.office import WITHIN_S, Office, gate, working


def count_serving(monkeypatch: pytest.MonkeyPatch, do: Callable[[int], Any]) -> list[int]:
    """Have `do` stand in for one look at a lane; returns the list of what was looked at so far."""
    looks: list[int] = []

    async def look(*_values: Any) -> tuple[list[Parcel], int]:
        looks.append(len(looks) + 1)
        return [], int(await do(looks[-1]) or 0)

    monkeypatch.setattr(lanes_room, "take", look)
    return looks


@pytest.mark.parametrize("lane", ["critical", "normal", "bulk"])
async def test_a_job_in_redis_wakes_its_lane(office: Office, no_sweeps: None, lane: str) -> None:
    async with working(office.house):
        message = await office.queue(lane)
        await office.becomes(message, State.SENT)
    assert len(office.vendor.sent) == 1


async def test_without_redis_the_sweep_finds_what_is_due(office: Office, valkey: Valkey, quick_sweeps: None) -> None:
    await asyncio.to_thread(valkey.stop)
    async with working(office.house):
        message = await office.queue()
        await office.becomes(message, State.SENT)


async def test_what_becomes_due_later_is_found(office: Office, quick_sweeps: None) -> None:
    office.vendor.answers.append(BUSY)
    first = await office.queue()
    planned = await office.queue(at=NOON + timedelta(seconds=50))
    async with Lanes(office.house).open():
        async with asyncio.timeout(WITHIN_S):
            while not office.vendor.sent:
                await asyncio.sleep(0.02)
        assert await office.state(planned) == State.QUEUED
        office.clock.move(timedelta(seconds=61))
        await office.becomes(first, State.SENT)
        await office.becomes(planned, State.SENT)


async def test_what_is_in_doubt_is_asked_about(office: Office, quick_sweeps: None) -> None:
    office.vendor.answers.append(SILENT)
    message = await office.queue()
    async with Lanes(office.house).open():
        await office.becomes(message, State.UNKNOWN)
        office.vendor.asked = BUSY
        office.clock.move(timedelta(seconds=61))
        await office.becomes(message, State.SENT)


async def test_whoever_is_asked_while_serving_looks_once_more(
    office: Office, no_sweeps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def look(_number: int) -> None:
        begun.set()
        await go_on.wait()

    looks = count_serving(monkeypatch, look)
    lanes, due = Lanes(office.house), Due(office.clinic.id, "normal")
    async with lanes.open():
        lanes.wake(due)
        await begun.wait()
        for _ in range(10):
            lanes.wake(due)
        go_on.set()
        async with asyncio.timeout(WITHIN_S):
            while len(looks) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert looks == [1, 2]
        lanes.wake(due)
        await asyncio.sleep(0.05)
        assert looks == [1, 2, 3]


async def test_a_fault_ends_one_turn_and_not_the_lane(
    office: Office, no_sweeps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(number: int) -> None:
        if number == 1:
            raise ValueError("a fault")

    looks = count_serving(monkeypatch, look)
    lanes, due = Lanes(office.house), Due(office.clinic.id, "normal")
    async with lanes.open():
        lanes.wake(due)
        await asyncio.sleep(0.05)
        lanes.wake(due)
        await asyncio.sleep(0.05)
    assert looks == [1, 2]


async def test_a_full_lane_gives_way_to_the_next_tenant_and_comes_back(
    office: Office, no_sweeps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_room, "TENANTS_AT_ONCE", 1)
    served: list[uuid.UUID] = []

    async def look(_courier: object, tenant: uuid.UUID, _lane: str) -> tuple[list[Parcel], int]:
        served.append(tenant)
        await asyncio.sleep(0.005)
        return [], AT_ONCE if served.count(tenant) < 3 else 0

    monkeypatch.setattr(lanes_room, "take", look)
    busy, other = uuid.uuid4(), uuid.uuid4()
    lanes = Lanes(office.house)
    async with lanes.open():
        lanes.wake(Due(busy, "bulk"))
        lanes.wake(Due(other, "bulk"))
        async with asyncio.timeout(WITHIN_S):
            while served.count(other) < 3:
                await asyncio.sleep(0.01)
    assert served == [busy, other] * 3


async def test_a_slow_lane_does_not_hold_up_what_is_critical(office: Office) -> None:
    office.vendor.before = door = gate()
    slow = [await office.queue(lane, "slow") for lane in ("normal", "bulk")]
    async with working(office.house):
        await asyncio.wait_for(door.begun.wait(), WITHIN_S)
        urgent = await office.queue("critical", "urgent")
        await office.becomes(urgent, State.SENT)
        assert {await office.state(each) for each in slow} == {State.SENDING}
        door.opened.set()
    assert {await office.state(each) for each in slow} == {State.SENT}


async def test_a_batch_that_hangs_does_not_hold_up_what_its_own_tenant_queues_after_it(office: Office) -> None:
    office.vendor.before = door = gate()
    slow = await office.queue("critical", "slow")
    async with working(office.house):
        await asyncio.wait_for(door.begun.wait(), WITHIN_S)
        after = await office.queue("critical", "after")
        await office.becomes(after, State.SENT)
        assert await office.state(slow) == State.SENDING
        door.opened.set()


async def test_the_quick_of_one_batch_do_not_wait_for_the_slow(office: Office) -> None:
    office.vendor.before = door = gate()
    slow, quick = await office.queue(words="slow"), await office.queue(words="quick")
    async with Lanes(office.house).open():
        await asyncio.wait_for(door.begun.wait(), WITHIN_S)
        await office.becomes(quick, State.SENT)
        assert await office.state(slow) == State.SENDING
        door.opened.set()


async def test_whoever_is_told_to_stop_finishes_what_is_under_way_and_begins_nothing(
    office: Office, quick_sweeps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = Lanes(office.house)
    monkeypatch.setattr(worker, "Lanes", lambda _house: lanes)
    office.vendor.before = door = gate()
    message = await office.queue(words="slow")
    task = asyncio.create_task(worker.work_forever(office.house))
    await asyncio.wait_for(door.begun.wait(), WITHIN_S)
    task.cancel()
    async with asyncio.timeout(WITHIN_S):
        # Somebody may just be looking for what is due.
        while lanes._awake:
            await asyncio.sleep(0.01)
    later = await office.queue(words="later")
    await asyncio.sleep(0.2)
    assert not task.done()
    door.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, WITHIN_S)
    assert (await office.state(message), await office.state(later)) == (State.SENT, State.QUEUED)
    assert [each.text for each in office.vendor.sent] == ["slow"]


async def test_a_vendor_that_never_ends_does_not_keep_a_worker_from_stopping(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_room, "FINISH_WITHIN_S", 0.2)
    office.vendor.before = door = gate()
    message = await office.queue(words="slow")
    async with asyncio.timeout(WITHIN_S):
        async with Lanes(office.house).open():
            await door.begun.wait()
    assert await office.state(message) == State.SENDING, "its vendor is asked when the lease is over"


async def test_what_vendors_report_is_applied(office: Office, quick_sweeps: None) -> None:
    message = await office.queue()
    async with working(office.house):
        await office.becomes(message, State.SENT)
        async with office.house.database.of_tenant(office.clinic.id) as session:
            attempt = (await session.execute(select(Attempt).where(Attempt.message_id == message))).scalar_one()
        key = uuid.uuid4().hex
        report = Report(
            vendor=attempt.vendor,
            transport_id=key,
            semantic_key=key,
            kind=ReportKind.DELIVERED,
            occurred_at=office.clock(),
            channel=Channel.SMS,
            vendor_id=attempt.vendor_id,
        )
        await store_reports(office.house.database, office.house.keys, [report], b"", office.clock())
        await office.becomes(message, State.DELIVERED)


async def test_two_workers_send_each_message_once(office: Office) -> None:
    messages = [await office.queue(words=f"number {number}") for number in range(60)]
    async with working(office.house), working(office.house):
        for each in messages:
            await office.becomes(each, State.SENT)
    assert sorted(each.text for each in office.vendor.sent) == sorted(f"number {number}" for number in range(60))
