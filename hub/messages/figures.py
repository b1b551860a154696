"""Figures of messages over days: how many, over which channel, what became of them, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Date, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.errors import FieldError, Invalid
from hub.messages.states import State
from hub.messages.tables import Attempt, Message

WENT_OUT = (State.SENT, State.DELIVERED, State.READ)
WENT_WRONG = (State.FAILED, State.BOUNCED)
MOST_DAYS = 366


@dataclass(slots=True)
class Tally:
    """Messages counted: all of them, those that a vendor took and nobody reported lost, and those that went wrong."""

    total: int = 0
    went_out: int = 0
    went_wrong: int = 0

    @property
    def success_rate(self) -> float | None:
        """From 0 to 1, of those that were tried and are not tried again; None before there are any."""
        tried = self.went_out + self.went_wrong
        return self.went_out / tried if tried else None

    def add(self, state: str, count: int) -> None:
        """Count so many messages more in this state."""
        self.total += count
        self.went_out += count * (state in WENT_OUT)
        self.went_wrong += count * (state in WENT_WRONG)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was asked for from one day to another, both included, by what became of it so far.

    Mail to staff costs and fails like any other, and is counted; tests are not.
    """

    since: date
    until: date
    all: Tally = field(default_factory=Tally)
    by_channel: dict[str, Tally] = field(default_factory=dict)
    by_state: dict[str, int] = field(default_factory=dict)
    per_day: dict[date, Tally] = field(default_factory=dict)
    costs: dict[str, Decimal] = field(default_factory=dict)
    parts: int = 0


async def statistics(session: AsyncSession, since: date, until: date, zone: ZoneInfo) -> Statistics:
    """Figures of the days from `since` to `until` in this zone; raises Invalid for none, or more than a year."""
    days = (until - since).days + 1
    if not 0 < days <= MOST_DAYS:
        detail = f"a span of 1 to {MOST_DAYS} days, the earlier day first"
        raise Invalid("These days cannot be counted together.", [FieldError("since", detail)])
    start, end = _first_moment(since, zone), _first_moment(until + timedelta(days=1), zone)
    is_no_test = or_(Message.patient_id.is_not(None), Message.staff_id.is_not(None))
    these = (Message.created_at >= start, Message.created_at < end, is_no_test)
    on = cast(func.timezone(zone.key, Message.created_at), Date)
    counted = select(on.label("day"), Message.channel, Message.state, func.count()).where(*these)
    tallies: dict[str, Tally] = defaultdict(Tally)
    states: dict[str, int] = defaultdict(int)
    everything = Tally()
    per_day = {since + timedelta(days=number): Tally() for number in range(days)}
    for day, channel, state, count in await session.execute(counted.group_by("day", Message.channel, Message.state)):
        states[state] += count
        for tally in (everything, tallies[channel], per_day[day]):
            tally.add(state, count)
    parts = func.coalesce(Attempt.segments_billed, Attempt.segments_estimated, 0)
    paid = (
        select(Attempt.currency, func.sum(Attempt.cost), func.sum(parts))
        .join(Message, Message.id == Attempt.message_id)
        .where(*these)
        .group_by(Attempt.currency)
    )
    rows = (await session.execute(paid)).all()
    return Statistics(
        since,
        until,
        everything,
        dict(sorted(tallies.items())),
        {state.value: states[state] for state in State if states[state]},
        per_day,
        {currency: cost for currency, cost, _ in rows if currency is not None and cost is not None},
        sum(number for _, _, number in rows),
    )


def _first_moment(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
