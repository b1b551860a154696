"""When each reminder of a visit is due, and what is still worth sending of those that are (pure).

Days ahead go by the clock on the clinic's wall, hours and minutes by what passes: the day before a change of clocks the
reminder comes at the same hour, and two hours are two hours. Which moment is right is decided here alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.errors import FieldError, Invalid

MOST_REMINDERS = 5
LONGEST_AHEAD = timedelta(days=60)

_ISO = re.compile(r"P(?:(?P<days>[1-9]\d?)D|T(?:(?P<hours>[1-9]\d{0,3})H|(?P<minutes>[1-9]\d{0,4})M))")


@dataclass(frozen=True, slots=True)
class Ahead:
    """How long before the start a reminder is due: whole days on the wall, or minutes that pass."""

    days: int = 0
    minutes: int = 0

    def __str__(self) -> str:
        """As an ISO 8601 duration; each length has one spelling."""
        if self.days:
            return f"P{self.days}D"
        return f"PT{self.minutes // 60}H" if self.minutes % 60 == 0 else f"PT{self.minutes}M"

    @property
    def length(self) -> timedelta:
        """About how long it is: a day on the wall has 24 hours but for twice a year."""
        return timedelta(days=self.days, minutes=self.minutes)


# SPEC A4.
USUAL = (Ahead(days=1), Ahead(minutes=120))


def read_ahead(text: str) -> Ahead:
    """Reads `P1D`, `PT2H`, `PT90M`. Raises Invalid for anything else, and for what is longer than 60 days."""
    found = _ISO.fullmatch(text.strip().upper())
    ahead = None
    if found is not None:
        minutes = int(found["hours"] or 0) * 60 + int(found["minutes"] or 0)
        ahead = Ahead(days=int(found["days"] or 0), minutes=minutes)
    if ahead is None or ahead.length > LONGEST_AHEAD:
        raise Invalid(
            "This is no time ahead of a visit.",
            [FieldError("reminders", f"{text[:20]!r}", ["P1D for the day before", "PT2H", "PT90M", "at most P60D"])],
        )
    return ahead


def due_at(starts_at: datetime, ahead: Ahead, zone: ZoneInfo) -> datetime:
    """When a reminder is due, in UTC. A time on the wall that a change of clocks leaves out is the one after it."""
    if ahead.days:
        wall = starts_at.astimezone(zone).replace(tzinfo=None, fold=0) - timedelta(days=ahead.days)
        return wall.replace(tzinfo=zone).astimezone(UTC)
    return starts_at.astimezone(UTC) - timedelta(minutes=ahead.minutes)


@dataclass(frozen=True, slots=True)
class Planned:
    """One reminder of one time of a visit; without a `reason` it will be sent when it is due."""

    ahead: Ahead
    due_at: datetime
    reason: str | None = None


BOOKED_TOO_LATE = "booked_too_late"
SUPERSEDED = "superseded"
TOO_LATE = "too_late"


def plan(starts_at: datetime, aheads: tuple[Ahead, ...], zone: ZoneInfo, now: datetime) -> list[Planned]:
    """The reminders of a visit booked or moved `now`, by when they are due; those whose time is past say so."""
    moments = [(ahead, due_at(starts_at, ahead, zone)) for ahead in aheads]
    return [
        Planned(ahead, due, None if due > now else BOOKED_TOO_LATE)
        for ahead, due in sorted(moments, key=lambda moment: moment[1])
    ]


def settle_due(due: list[datetime], starts_at: datetime, now: datetime) -> list[str | None]:
    """What becomes of the reminders of one visit that are due, by when they were: None for the one to be sent.

    The latest says all that the earlier ones would have; none is worth anything once the visit has begun.
    """
    if starts_at <= now:
        return [TOO_LATE] * len(due)
    latest = max(range(len(due)), key=lambda place: due[place], default=None)
    return [None if place == latest else SUPERSEDED for place in range(len(due))]
