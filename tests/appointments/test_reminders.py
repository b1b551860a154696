"""When a reminder is due: days by the clock on the wall, hours by what passes, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from hub.appointments.reminders import (
    BOOKED_TOO_LATE,
    LONGEST_AHEAD,
    SUPERSEDED,
    TOO_LATE,
    USUAL,
    Ahead,
    due_at,
    plan,
    read_ahead,
    settle_due,
)
from hub.errors import Invalid

# Clocks that stay, that move by an hour, by half of one, in either half of the year, at midnight, and in Ramadan.
ZONES = [
    "Asia/Riyadh",
    "Asia/Dubai",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Gaza",
    "Asia/Beirut",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
]
DAY = timedelta(days=1)
FIRST, YEARS = datetime(2024, 1, 1, tzinfo=UTC), 6


@cache
def changes(zone: ZoneInfo) -> tuple[datetime, ...]:
    """The hours with which the clocks of a zone change, over six years."""
    days = [FIRST + number * DAY for number in range(YEARS * 365)]
    moved = [day for day in days if offset(day, zone) != offset(day + DAY, zone)]
    hours = [day + timedelta(hours=hour) for day in moved for hour in range(1, 25)]
    return tuple(hour for hour in hours if offset(hour, zone) != offset(hour - timedelta(hours=1), zone))


@st.composite
def times(draw: st.DrawFn) -> datetime:
    """A start in its zone, mostly a day or two after the clocks changed there."""
    zone, minutes = draw(zones), timedelta(minutes=draw(st.integers(-90, 90)))
    mostly = draw(st.integers(0, 4)) > 0
    if changes(zone) and mostly:
        return (draw(st.sampled_from(changes(zone))) + draw(st.integers(1, 2)) * DAY + minutes).astimezone(zone)
    return (FIRST + draw(st.integers(0, YEARS * 365)) * DAY + 8 * minutes).astimezone(zone)


zones = st.sampled_from([ZoneInfo(name) for name in ZONES])
days_ahead = st.one_of(st.integers(1, 2), st.integers(1, 60)).map(lambda days: Ahead(days=days))
minutes_ahead = st.integers(1, 60 * 24 * 60).map(lambda minutes: Ahead(minutes=minutes))
aheads = days_ahead | minutes_ahead


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def zone_of(start: datetime) -> ZoneInfo:
    assert isinstance(start.tzinfo, ZoneInfo)
    return start.tzinfo


def offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


@settings(max_examples=800, derandomize=True, database=None)
@given(start=times(), ahead=days_ahead)
def test_days_ahead_are_the_same_time_on_the_wall_or_the_one_that_a_gap_leaves(start: datetime, ahead: Ahead) -> None:
    zone = zone_of(start)
    due = due_at(start, ahead, zone)
    late = wall(due, zone) - (wall(start, zone) - ahead.days * DAY)
    assert due.utcoffset() == timedelta(0)
    event("a gap" if late else "a time on the wall")
    if late:
        # The clocks were put forward over the time that was wanted, and the reminder comes as much later.
        assert late == offset(due, zone) - offset(due - late, zone) > timedelta(0)
    else:
        assert due.astimezone(zone).fold == 0, "of a time that comes twice it is the first"


@settings(max_examples=200, derandomize=True, database=None)
@given(start=times(), ahead=minutes_ahead)
def test_hours_and_minutes_ahead_are_what_passes(start: datetime, ahead: Ahead) -> None:
    passing = start.astimezone(UTC) - due_at(start, ahead, zone_of(start))
    assert passing == timedelta(minutes=ahead.minutes)


@settings(max_examples=400, derandomize=True, database=None)
@given(start=times(), ahead=aheads)
def test_nothing_is_due_once_the_visit_has_begun(start: datetime, ahead: Ahead) -> None:
    assert due_at(start, ahead, zone_of(start)) < start.astimezone(UTC)


@settings(max_examples=100, derandomize=True, database=None)
@given(start=times(), ahead=aheads, told_in=zones)
def test_the_zone_in_which_a_start_is_written_changes_nothing(start: datetime, ahead: Ahead, told_in: ZoneInfo) -> None:
    zone = zone_of(start)
    assert due_at(start.astimezone(told_in), ahead, zone) == due_at(start, ahead, zone)


@pytest.mark.parametrize(
    ("zone", "start", "due"),
    [
        ("Asia/Riyadh", "2026-11-22T10:00", "2026-11-21T10:00+03:00"),
        # The clocks go forward in the night between: 23 hours; and back: 25.
        ("Europe/London", "2026-03-29T10:00", "2026-03-28T10:00+00:00"),
        ("Europe/London", "2026-10-25T10:00", "2026-10-24T10:00+01:00"),
        # There was no half past one that night.
        ("Europe/London", "2026-03-30T01:30", "2026-03-29T02:30+01:00"),
        # There were two of them: the first.
        ("Europe/London", "2026-10-26T01:30", "2026-10-25T01:30+01:00"),
        # A day that begins at one o'clock.
        ("Africa/Cairo", "2026-04-25T00:30", "2026-04-24T01:30+03:00"),
        ("Asia/Gaza", "2026-03-29T02:30", "2026-03-28T03:30+03:00"),
        # Half an hour.
        ("Australia/Lord_Howe", "2026-10-05T02:15", "2026-10-04T02:45+11:00"),
    ],
    ids=lambda value: value if "/" not in value else value.split("/")[1],
)
def test_the_day_before_a_change_of_clocks(zone: str, start: str, due: str) -> None:
    starts_at = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    assert due_at(starts_at, Ahead(days=1), ZoneInfo(zone)) == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("text", "ahead", "spelled"),
    [
        ("P1D", Ahead(days=1), "P1D"),
        ("p60d", Ahead(days=60), "P60D"),
        (" PT2H ", Ahead(minutes=120), "PT2H"),
        ("PT90M", Ahead(minutes=90), "PT90M"),
        ("PT120M", Ahead(minutes=120), "PT2H"),
        ("PT24H", Ahead(minutes=1440), "PT24H"),
        ("PT1440H", Ahead(minutes=86_400), "PT1440H"),
    ],
)
def test_each_length_has_one_spelling(text: str, ahead: Ahead, spelled: str) -> None:
    assert read_ahead(text) == ahead
    assert str(ahead) == spelled
    assert read_ahead(spelled) == ahead


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "1D", "P0D", "PT0H", "P61D", "PT1441H", "-P1D", "P1DT2H", "P1W", "PT1.5H", "P1D ٢", "P٢D"]
)
def test_what_is_no_length_is_refused_with_what_is_taken(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_ahead(text)
    (error,) = refusal.value.errors
    assert error.field == "reminders"
    assert error.accepted


@settings(max_examples=100, derandomize=True, database=None)
@given(ahead=aheads)
def test_what_is_written_is_read(ahead: Ahead) -> None:
    assert read_ahead(str(ahead)) == ahead
    assert ahead.length <= LONGEST_AHEAD


RIYADH = ZoneInfo("Asia/Riyadh")
START = datetime(2026, 11, 22, 10, tzinfo=RIYADH)


@pytest.mark.parametrize(
    ("before", "reasons"),
    [
        (timedelta(hours=25), [None, None]),
        (timedelta(hours=24), [BOOKED_TOO_LATE, None]),
        (timedelta(hours=3), [BOOKED_TOO_LATE, None]),
        (timedelta(hours=2), [BOOKED_TOO_LATE, BOOKED_TOO_LATE]),
        (timedelta(minutes=-1), [BOOKED_TOO_LATE, BOOKED_TOO_LATE]),
    ],
    ids=["in time", "at the moment of the first", "between", "at the moment of the last", "after the start"],
)
def test_what_is_booked_too_late_is_skipped(before: timedelta, reasons: list[str | None]) -> None:
    found = plan(START, USUAL, RIYADH, START - before)
    assert [str(each.ahead) for each in found] == ["P1D", "PT2H"]
    assert [each.reason for each in found] == reasons


@settings(max_examples=100, derandomize=True, database=None)
@given(start=times(), chosen=st.lists(aheads, max_size=5, unique=True), before=st.integers(-1, 70 * 24))
def test_a_plan_has_every_reminder_by_when_it_is_due(start: datetime, chosen: list[Ahead], before: int) -> None:
    now = start.astimezone(UTC) - timedelta(hours=before)
    found = plan(start, tuple(chosen), zone_of(start), now)
    assert {each.ahead for each in found} == set(chosen)
    assert len(found) == len(chosen)
    assert [each.due_at for each in found] == sorted(each.due_at for each in found)
    assert all((each.reason is None) == (each.due_at > now) for each in found)


def test_the_latest_that_is_due_speaks_for_those_before_it() -> None:
    due = [START - timedelta(hours=hours) for hours in (24, 2, 5)]
    assert settle_due(due, START, START - timedelta(hours=1)) == [SUPERSEDED, None, SUPERSEDED]
    assert settle_due(due[:1], START, START - timedelta(hours=1)) == [None]
    assert settle_due([], START, START - timedelta(hours=1)) == []


@pytest.mark.parametrize("after", [timedelta(0), timedelta(hours=3)], ids=["as it begins", "hours after"])
def test_once_the_visit_has_begun_all_are_too_late(after: timedelta) -> None:
    due = [START - timedelta(hours=hours) for hours in (24, 2)]
    assert settle_due(due, START, START + after) == [TOO_LATE, TOO_LATE]


@settings(max_examples=100, derandomize=True, database=None)
@given(before=st.lists(st.integers(1, 5000), min_size=1, max_size=5), now=st.integers(-100, 5000))
def test_at_most_one_of_those_due_is_told(before: list[int], now: int) -> None:
    due = [START - timedelta(minutes=minutes) for minutes in before]
    reasons = settle_due(due, START, START - timedelta(minutes=now))
    assert reasons.count(None) == (1 if now > 0 else 0)
    if now > 0:
        assert due[reasons.index(None)] == max(due)
