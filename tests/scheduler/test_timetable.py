"""Sweeps: due when Postgres says so, done once however many workers there are, and never only because of a tick."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from hub.db import Base
from hub.idempotency import IdempotencyKey, IdempotentRequest, recall
from hub.people import sessions
from hub.people.tables import SignInFailure, StaffSession
from hub.scheduler.jobs import tick
from hub.scheduler.tables import Sweep
from hub.scheduler.timetable import TIMETABLE, Recurring, forget_old_proofs, run_due
from hub.settings import Settings
from hub.wiring import House, build
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import open_clinic
from tests.servers import fresh_database

EVERY = timedelta(minutes=10)


@pytest.fixture
async def alone(settings: Settings, the_clock: MovableClock) -> AsyncIterator[House]:
    """A house whose database holds no other test's clinics: a sweep visits them all."""
    async with fresh_database() as url:
        own = settings.model_copy(update={"database_url": SecretStr(url)})
        async with build(own, "test sweeps", the_clock) as built:
            yield built


def counting(name: str | None = None) -> tuple[Recurring, list[House]]:
    """A sweep of its own, and where it ran."""
    ran: list[House] = []

    async def run(house: House) -> None:
        ran.append(house)

    return recurring(run, name), ran


def recurring(run: Callable[[House], Awaitable[None]], name: str | None = None) -> Recurring:
    return Recurring(name or secrets.token_hex(8), EVERY, run)


async def test_a_sweep_runs_when_it_is_due_and_not_before(house: House, clock: MovableClock) -> None:
    sweep, ran = counting()
    clock.stop(clock())
    assert await run_due(house, (sweep,)) == [sweep.name], "the first time it is due at once"
    assert await run_due(house, (sweep,)) == []
    clock.move(EVERY - timedelta(seconds=1))
    assert await run_due(house, (sweep,)) == []
    clock.move(timedelta(seconds=1))
    assert await run_due(house, (sweep,)) == [sweep.name]
    assert len(ran) == 2


async def test_a_tick_that_was_missed_is_only_a_late_one(house: House, clock: MovableClock) -> None:
    sweep, ran = counting()
    await run_due(house, (sweep,))
    clock.move(50 * EVERY)
    assert await run_due(house, (sweep,)) == [sweep.name]
    assert await run_due(house, (sweep,)) == [], "once is enough, however long nobody came"
    assert len(ran) == 2


async def test_many_workers_at_once_run_it_once(house: House, settings: Settings, the_clock: MovableClock) -> None:
    sweep, ran = counting()
    async with build(settings, "another worker", the_clock) as other:
        turns = [run_due(worker, (sweep,)) for worker in (house, other) * 5]
        found = await asyncio.gather(*turns)
    assert sorted(map(len, found)) == [0] * 9 + [1]
    assert len(ran) == 1


async def test_a_sweep_that_fails_keeps_no_other_from_running_and_has_its_next_turn(
    house: House, clock: MovableClock
) -> None:
    tries = []

    async def fail(_house: House) -> None:
        tries.append(1)
        raise RuntimeError("nothing works")

    failing, (other, ran) = recurring(fail), counting()
    assert await run_due(house, (failing, other)) == [other.name]
    clock.move(EVERY)
    await run_due(house, (failing, other))
    assert (len(tries), len(ran)) == (2, 2)


async def test_when_it_is_due_stands_in_postgres(house: House, clock: MovableClock) -> None:
    sweep, _ = counting()
    clock.stop(clock())
    await run_due(house, (sweep,))
    async with house.database.of_nobody() as session:
        due = select(Sweep.due_at).where(Sweep.name == sweep.name)
        assert (await session.execute(due)).scalar_one() == clock() + EVERY


async def test_old_proofs_are_forgotten_at_every_clinic(alone: House, clock: MovableClock) -> None:
    clinics = [await open_clinic(alone) for _ in range(2)]
    for each in clinics:
        async with alone.open_work(each.id, SYSTEM) as work:
            await sessions.start(work, each.omar.id, "test")
            await recall(work, IdempotentRequest.of("a", "POST /", b""))
    async with alone.database.of_nobody() as session:
        session.add(SignInFailure(key=b"x", at=clock()))

    async def left(table: type[Base], tenant: uuid.UUID) -> int:
        async with alone.database.of_tenant(tenant) as session:
            return (await session.execute(select(func.count()).select_from(table))).scalar_one()

    async def all_left() -> list[int]:
        tenants = [clinic.id for clinic in clinics]
        of_tenants = [await left(table, tenant) for table in (StaffSession, IdempotencyKey) for tenant in tenants]
        async with alone.database.of_nobody() as session:
            ours = select(func.count()).where(SignInFailure.key == b"x")
            return [*of_tenants, (await session.execute(ours)).scalar_one()]

    await forget_old_proofs(alone)
    assert await all_left() == [1, 1, 1, 1, 1]
    clock.move(timedelta(days=2))
    await forget_old_proofs(alone)
    assert await all_left() == [1, 1, 0, 0, 0]
    clock.move(timedelta(days=40))
    await forget_old_proofs(alone)
    assert await all_left() == [0, 0, 0, 0, 0]


async def test_a_tick_runs_the_whole_timetable(alone: House, clock: MovableClock) -> None:
    clock.stop(clock())
    await tick({"house": alone})
    async with alone.database.of_nobody() as session:
        rows = (await session.execute(select(Sweep.name, Sweep.due_at))).all()
    due = {row.name: row.due_at for row in rows}
    assert due == {each.name: clock() + each.every for each in TIMETABLE}
