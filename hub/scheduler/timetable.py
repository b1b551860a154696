"""Everything that happens by itself, on one page; Postgres says what is due, so a missed tick is only a late one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub import idempotency
from hub.logs import get_logger
from hub.messages import reconcile
from hub.people import live_tokens, sessions, sign_in
from hub.people.tenants import all_tenants
from hub.scheduler.tables import Sweep
from hub.wiring import House
from hub.work import SYSTEM

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recurring:
    """Something done again and again."""

    name: str
    every: timedelta
    run: Callable[[House], Awaitable[None]]


async def forget_old_proofs(house: House) -> None:
    """Sessions and revoked tokens that are long over, old answers to requests, wrong guesses that no longer count."""
    async with house.database.watching() as watch:
        tenants = await all_tenants(watch)
    for tenant in tenants:
        async with house.open_work(tenant, SYSTEM) as work:
            await sessions.forget_old(work)
            await live_tokens.forget_revoked(work)
            await idempotency.forget_old(work)
    async with house.database.of_nobody() as session:
        await sign_in.forget_old_failures(session, house.clock())


async def ask_about_silent_messages(house: House) -> None:
    """Messages that a vendor took and never reported on."""
    async with house.database.watching() as watch:
        tenants = await all_tenants(watch)
    for tenant in tenants:
        await reconcile.ask_about_silent(house.courier, tenant)


TIMETABLE = (
    Recurring("forget_old_proofs", timedelta(minutes=10), forget_old_proofs),
    Recurring("ask_about_silent_messages", timedelta(minutes=5), ask_about_silent_messages),
)


async def run_due(house: House, timetable: tuple[Recurring, ...] = TIMETABLE) -> list[str]:
    """Run what is due; each is claimed first, so that two workers never do the same turn. Returns their names.

    One that fails keeps no other one from running, and is tried again at its next turn.
    """
    return [recurring.name for recurring in timetable if await _run_safely(house, recurring)]


async def _run_safely(house: House, recurring: Recurring) -> bool:
    try:
        return await _run_if_due(house, recurring)
    except Exception:
        log.warning("sweep failed", sweep=recurring.name, exc_info=True)
        return False


async def _run_if_due(house: House, recurring: Recurring) -> bool:
    now = house.clock()
    async with house.database.of_nobody() as session:
        await session.execute(insert(Sweep).values(name=recurring.name, due_at=now).on_conflict_do_nothing())
        due = select(Sweep).where(Sweep.name == recurring.name, Sweep.due_at <= now).with_for_update(skip_locked=True)
        sweep = (await session.execute(due)).scalar_one_or_none()
        if sweep is None:
            return False
        sweep.due_at = now + recurring.every
    await recurring.run(house)
    return True
