"""A clinic's calendar: its day begins when its own clocks say so, also on the days they change."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.people.tenants import Clinic

ZONES = ("Asia/Riyadh", "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu")


def clinic_in(zone: str) -> Clinic:
    return Clinic(uuid.UUID(int=0), "Somewhere", ZoneInfo(zone), ("en",))


def hours_of(zone: str, day: date) -> float:
    start, end = clinic_in(zone).bounds_of(day)
    return (end.astimezone(UTC) - start.astimezone(UTC)) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Chicago", date(2026, 3, 8), 23),
        ("America/Chicago", date(2026, 11, 1), 25),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Asia/Riyadh", date(2026, 3, 29), 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        # Midnight itself is skipped: the day begins at one.
        ("America/Havana", date(2026, 3, 8), 23),
    ],
)
def test_a_day_of_clock_change_is_shorter_or_longer(zone: str, day: date, hours: float) -> None:
    assert hours_of(zone, day) == hours


@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 2), date(2199, 12, 30)))
def test_days_follow_each_other_without_gap_or_overlap(zone: str, day: date) -> None:
    clinic = clinic_in(zone)
    start, end = clinic.bounds_of(day)
    assert clinic.bounds_of(day + timedelta(days=1))[0].astimezone(UTC) == end.astimezone(UTC)
    assert start.astimezone(UTC) < end.astimezone(UTC)


@given(st.sampled_from(ZONES), st.integers(946_771_200, 7_258_032_000))
def test_every_moment_is_within_its_own_day(zone: str, seconds: int) -> None:
    clinic, now = clinic_in(zone), datetime.fromtimestamp(seconds, UTC)
    start, end = clinic.bounds_of(clinic.today(now))
    assert start.astimezone(UTC) <= now < end.astimezone(UTC)


def test_today_is_the_clinics_own() -> None:
    late_in_london = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
    assert clinic_in("Asia/Riyadh").today(late_in_london) == date(2026, 11, 22)
    assert clinic_in("America/Chicago").today(late_in_london) == date(2026, 11, 21)
