"""Sparing a vendor's account that takes nothing: a circuit that opens for a while, seen by every worker."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import DateTime, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hub.channels.vendor import Fate, Outcome
from hub.messages.tables import Circuit

# An account that is refused stays so until somebody mends it; one that does not answer may be back any moment.
OPEN_AFTER_REFUSAL = timedelta(minutes=5)
OPEN_AFTER_FAILURES = timedelta(seconds=30)
MOST_FAILURES = 10


async def read_open(session: AsyncSession, now: datetime) -> dict[str, datetime]:
    """The accounts that are spared, and until when."""
    query = select(Circuit.account, Circuit.open_until).where(Circuit.open_until > now)
    return {row.account: row.open_until for row in (await session.execute(query)).all()}


async def note_outcomes(session: AsyncSession, account: str, outcomes: Collection[Outcome], now: datetime) -> None:
    """Open the account's circuit when it refuses us, or fails again and again; close it when it takes something."""
    fates = [outcome.fate for outcome in outcomes]
    refusal = next((outcome for outcome in outcomes if outcome.fate is Fate.OPERATOR), None)
    failures = sum(fate in (Fate.PASSING, Fate.UNKNOWN) for fate in fates)
    if refusal is not None:
        await _write(session, account, MOST_FAILURES, now + OPEN_AFTER_REFUSAL, refusal.code or "refused", now)
    elif Fate.ACCEPTED in fates:
        closed = {"failures": 0, "open_until": None, "reason": None, "changed_at": now}
        await session.execute(update(Circuit).where(Circuit.account == account, Circuit.failures > 0).values(**closed))
    elif failures:
        await _count(session, account, failures, now)


async def _count(session: AsyncSession, account: str, failures: int, now: datetime) -> None:
    until = now + OPEN_AFTER_FAILURES
    counted = Circuit.failures + failures
    # Never sooner again than it is already: it may be open for a refusal.
    longest = func.greatest(Circuit.open_until, literal(until, DateTime(timezone=True)))
    opens = case((counted >= MOST_FAILURES, longest))
    values = {"failures": failures, "reason": "no_answer", "changed_at": now}
    add = insert(Circuit).values(account=account, open_until=until if failures >= MOST_FAILURES else None, **values)
    again = values | {"failures": counted, "open_until": opens}
    await session.execute(add.on_conflict_do_update(index_elements=["account"], set_=again))


async def _write(
    session: AsyncSession, account: str, failures: int, until: datetime, reason: str, now: datetime
) -> None:
    values = {"failures": failures, "open_until": until, "reason": reason, "changed_at": now}
    add = insert(Circuit).values(account=account, **values)
    await session.execute(add.on_conflict_do_update(index_elements=["account"], set_=values))
