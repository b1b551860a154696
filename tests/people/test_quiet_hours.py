"""Nobody is disturbed at night, by the clock on their own wall, whatever that clock does."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.people.quiet_hours import is_decent, next_decent_moment

# Clocks that change at night, at midnight, by half an hour, by nothing, and across the date line.
ZONES = [
    ZoneInfo(name)
    for name in (
        "Asia/Riyadh",
        "America/New_York",
        "Europe/Berlin",
        "Africa/Cairo",
        "Asia/Beirut",
        "America/Santiago",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Pacific/Apia",
        "Pacific/Kiritimati",
    )
]
moments = st.datetimes(datetime(2009, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
# Hours that begin while clocks change, too.
hours = st.tuples(st.times(time(0), time(12)), st.times(time(13), time(23, 59)))


def at(zone: str, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold)  # type: ignore[arg-type,misc]


@given(moment=moments, zone=st.sampled_from(ZONES), opening=hours | st.just((time(8), time(21))))
# At midnight clocks there were set back to 23:00, when the hours had ended before.
@example(datetime(2012, 10, 27, 20, 30, tzinfo=UTC), ZoneInfo("Asia/Beirut"), (time(0, 0, 0, 1), time(23, 0, 0, 1)))
def test_the_next_moment_is_decent_and_none_before_it_is(
    moment: datetime, zone: ZoneInfo, opening: tuple[time, time]
) -> None:
    found = next_decent_moment(moment, zone, *opening)
    assert found >= moment
    assert is_decent(found, zone, *opening)
    assert found - moment <= timedelta(hours=48)
    assert (found == moment) == is_decent(moment, zone, *opening)
    # In steps shorter than any hour of opening, but for what a clock jumps over as the hours begin.
    step = timedelta(minutes=30)
    earlier = [moment + index * step for index in range(int((found - moment) / step))]
    jump = timedelta(hours=1)
    assert not [
        each
        for each in earlier
        if each < found - jump and is_decent(each, zone, *opening) and not each.astimezone(zone).fold
    ]


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (at("Asia/Riyadh", 2026, 11, 21, 7, 59), at("Asia/Riyadh", 2026, 11, 21, 8)),
        (at("Asia/Riyadh", 2026, 11, 21, 8), at("Asia/Riyadh", 2026, 11, 21, 8)),
        (at("Asia/Riyadh", 2026, 11, 21, 20, 59), at("Asia/Riyadh", 2026, 11, 21, 20, 59)),
        (at("Asia/Riyadh", 2026, 11, 21, 21), at("Asia/Riyadh", 2026, 11, 22, 8)),
        (at("Asia/Riyadh", 2026, 12, 31, 23), at("Asia/Riyadh", 2027, 1, 1, 8)),
        (at("Europe/Berlin", 2026, 3, 28, 22), at("Europe/Berlin", 2026, 3, 29, 8)),
        (at("Europe/Berlin", 2026, 10, 24, 22), at("Europe/Berlin", 2026, 10, 25, 8)),
        (at("Africa/Cairo", 2026, 4, 23, 23, 30), at("Africa/Cairo", 2026, 4, 24, 8)),
    ],
)
def test_the_hours_are_those_of_the_wall(now: datetime, then: datetime) -> None:
    assert isinstance(now.tzinfo, ZoneInfo)
    assert next_decent_moment(now.astimezone(UTC), now.tzinfo) == then.astimezone(UTC)


def test_a_night_of_clock_change_is_an_hour_shorter_or_longer() -> None:
    zone = ZoneInfo("America/New_York")
    for day, night in (((2026, 3, 7), 10), ((2026, 3, 8), 11), ((2026, 10, 31), 12)):
        evening = datetime(*day, 21, tzinfo=zone).astimezone(UTC)
        assert next_decent_moment(evening, zone) - evening == timedelta(hours=night)


def test_an_hour_that_comes_twice_is_not_one_that_has_passed() -> None:
    zone, opens = "America/New_York", time(1, 30)
    now = at(zone, 2026, 11, 1, 1, 10, fold=1)
    assert next_decent_moment(now, ZoneInfo(zone), opens) == at(zone, 2026, 11, 1, 1, 30, fold=1).astimezone(UTC)


def test_an_hour_that_is_left_out_begins_behind_the_jump() -> None:
    zone = "America/New_York"
    found = next_decent_moment(at(zone, 2026, 3, 8, 1), ZoneInfo(zone), time(2, 30))
    assert found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == datetime(2026, 3, 8, 3, 30)  # noqa: DTZ001


def test_a_day_that_was_left_out_is_passed_over() -> None:
    zone = "Pacific/Apia"
    assert next_decent_moment(at(zone, 2011, 12, 29, 22), ZoneInfo(zone)) == at(zone, 2011, 12, 31, 8)


def test_hours_that_never_begin_are_a_mistake() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for opens, closes in ((time(8), time(8)), (time(21), time(8))):
        with pytest.raises(ValueError, match="begin before they end"):
            next_decent_moment(now, ZoneInfo("UTC"), opens, closes)
