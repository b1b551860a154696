"""When a patient may be disturbed, by the clock on their own wall (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

# 8 to 21 at the recipient's is what the United States' rule for calls allows (47 CFR 64.1200(c)(1)); strict elsewhere.
OPENS, CLOSES = time(8), time(21)
# A zone that crosses the date line has been known to leave out a whole day.
DAYS_AHEAD = 3


def is_decent(moment: datetime, zone: ZoneInfo, opens: time = OPENS, closes: time = CLOSES) -> bool:
    """Whether it is between these hours there; the last one itself is too late."""
    return opens <= moment.astimezone(zone).time() < closes


def next_decent_moment(now: datetime, zone: ZoneInfo, opens: time = OPENS, closes: time = CLOSES) -> datetime:
    """`now` itself when it is decent, else when the hours next begin there.

    An hour that a clock change leaves out begins when the clock has jumped over it, and one that it repeats begins with
    the first one still to come. Hours that have ended do not begin anew because a clock is set back. Raises
    ValueError when the hours do not begin before they end.
    """
    if opens >= closes:
        raise ValueError("the hours must begin before they end, on one day")
    if is_decent(now, zone, opens, closes):
        return now
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD)]
    openings = [
        datetime.combine(day, opens, zone).replace(fold=fold).astimezone(UTC) for day in days for fold in (0, 1)
    ]
    return min(each for each in openings if each >= now and is_decent(each, zone, opens, closes))
