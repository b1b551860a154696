"""Sending what is due: claim, make one request each, write down the answer. No transaction waits for a vendor."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.channels.limits import Limit, Limits
from hub.channels.registry import Registry
from hub.channels.vendor import Fate, Outcome
from hub.clock import Clock
from hub.crypto import Keys
from hub.db import Database
from hub.errors import Unavailable
from hub.logs import get_logger
from hub.messages.claim import START_WITHIN_S, claim
from hub.messages.parcels import Parcel
from hub.messages.receipts import store_reports
from hub.messages.settle import Answered, settle
from hub.people.tenants import CANARY
from hub.work import SYSTEM, OpenWork

log = get_logger(__name__)

AT_ONCE = 100
# Vendors' own time-outs are shorter; this one frees a worker from a vendor whose code hangs.
ANSWER_WITHIN_S = 30.0
SETTLE_EVERY_S = 0.25
# What the limits hold up for longer is given back, so that it does not hold up what else is due.
MOST_DELAY_S = 5.0
# An answer is tried to be written down for so long; without it, the vendor is asked again.
WRITTEN_WITHIN_S = 90.0

DUE = text("""
SELECT tenant.id AS tenant, lane.name AS lane FROM tenants AS tenant
CROSS JOIN (VALUES ('critical'), ('normal'), ('bulk')) AS lane(name)
WHERE tenant.id <> :canary AND EXISTS (
    SELECT 1 FROM messages
    WHERE state = 'queued' AND lane = lane.name AND tenant_id = tenant.id AND due_at <= :now
)
""")


@dataclass(frozen=True, slots=True)
class Courier:
    """What it takes to send: `tenant_per_second` is how fast one tenant may over all vendors."""

    database: Database
    open_work: OpenWork
    clock: Clock
    keys: Keys
    vendors: Registry
    limits: Limits
    public_url: str
    tenant_per_second: float


class Due(NamedTuple):
    """A lane of a tenant in which something waits."""

    tenant: uuid.UUID
    lane: str


async def read_due(watch: AsyncConnection, now: datetime) -> list[Due]:
    """Where something is due: one look at an index for each tenant and lane, however much waits there."""
    rows = await watch.execute(DUE, {"now": now, "canary": CANARY})
    return [Due(row.tenant, row.lane) for row in rows]


async def take(courier: Courier, tenant: uuid.UUID, lane: str, limit: int = AT_ONCE) -> tuple[list[Parcel], int]:
    """Claim what is due in a lane, up to `limit`: what is to be sent, and how many were dealt with.

    Fewer than `limit`, when that is all for now.
    """
    allow = partial(_delays, courier, tenant)
    async with courier.open_work(tenant, SYSTEM) as work:
        return await claim(work, lane, courier.vendors, courier.public_url, limit, allow)


async def deliver_due(courier: Courier, tenant: uuid.UUID, lane: str, limit: int = AT_ONCE) -> int:
    """Send what is due in a lane, up to `limit`; returns how many were dealt with."""
    parcels, dealt_with = await take(courier, tenant, lane, limit)
    await send(courier, tenant, parcels)
    return dealt_with


async def _delays(courier: Courier, tenant: uuid.UUID, parcels: Sequence[Parcel]) -> dict[uuid.UUID, float]:
    by_account: dict[str, list[Parcel]] = defaultdict(list)
    for parcel in parcels:
        by_account[parcel.vendor.account].append(parcel)
    delays: dict[uuid.UUID, float] = {}
    for account, theirs in by_account.items():
        limits = [Limit(account, theirs[0].vendor.per_second), Limit(f"tenant:{tenant}", courier.tenant_per_second)]
        waits = await courier.limits.reserve(limits, len(theirs), MOST_DELAY_S)
        delays |= {parcel.attempt: wait for parcel, wait in zip(theirs, waits, strict=False)}
    return delays


async def send(courier: Courier, tenant: uuid.UUID, parcels: Sequence[Parcel]) -> None:
    """Make the requests that were claimed, and write down their answers as they come."""
    requests = {asyncio.create_task(_request(courier, parcel)): parcel for parcel in parcels}
    pending, answered = set(requests), list[Answered]()
    gives_up = time.monotonic() + WRITTEN_WITHIN_S
    try:
        while (pending or answered) and time.monotonic() < gives_up:
            # What a slow vendor holds up keeps no other answer from being written.
            done = await _some_of(pending)
            pending -= done
            answered = await _settle(courier, tenant, answered + [(requests[task], task.result()) for task in done])
    finally:
        for task in requests:
            task.cancel()


async def _some_of(pending: set[asyncio.Task[Outcome | None]]) -> set[asyncio.Task[Outcome | None]]:
    if not pending:
        await asyncio.sleep(SETTLE_EVERY_S)
        return set()
    done, _ = await asyncio.wait(pending, timeout=SETTLE_EVERY_S)
    return done


async def _request(courier: Courier, parcel: Parcel) -> Outcome | None:
    await asyncio.sleep(parcel.delay)
    if _is_late(courier, parcel):
        return None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await parcel.vendor.send(parcel.outgoing)
    except Exception as error:
        log.exception("vendor raised", vendor=parcel.vendor.name, error=type(error).__name__)
        return Outcome(Fate.UNKNOWN, code=type(error).__name__)


def _is_late(courier: Courier, parcel: Parcel) -> bool:
    """Whoever was held up may have lost the lease: then another one asks the vendor, and this one keeps silent.

    By two clocks: one of them does not run while the machine sleeps, the other one can be set. What is worth nothing
    any more, though it was when it was claimed, is not asked for either.
    """
    now, until = courier.clock(), parcel.outgoing.valid_until
    held_up = max(time.monotonic() - parcel.claimed, (now - parcel.claimed_at).total_seconds())
    return held_up > START_WITHIN_S or (until is not None and until <= now)


async def _settle(courier: Courier, tenant: uuid.UUID, answered: list[Answered]) -> list[Answered]:
    """Write answers down; returns those that have to be written another time, for the database is away."""
    if not answered:
        return []
    try:
        async with courier.open_work(tenant, SYSTEM) as work:
            await settle(work, answered)
        foretold = [report for _, outcome in answered if outcome for report in outcome.foretold]
        if foretold:
            await store_reports(courier.database, courier.keys, foretold, b"", courier.clock())
    except Unavailable:
        log.warning("answers wait to be written down", count=len(answered))
        return answered
    except Exception as error:
        if len(answered) > 1:
            # One that cannot be written spoils no other.
            return [left for each in answered for left in await _settle(courier, tenant, [each])]
        attempt = str(answered[0][0].attempt)
        log.exception("an answer was not written down", attempt_id=attempt, error=type(error).__name__)
    return []
