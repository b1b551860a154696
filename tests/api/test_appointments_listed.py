"""`GET /api/v1/appointments`: which visits, of whom, of which days at the clinic; and what cannot be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.appointments.lifecycle import Booking, arrive, book, cancel
from hub.people.patients import Arriving
from hub.work import SYSTEM
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, book_visit, make_key, open_clinic
from tests.visitors import browser_of, problem, program_of

PATH = "/api/v1/appointments"


async def test_a_day_is_listed_in_pages_at_the_clinics_own_midnight(hub: RunningHub) -> None:
    clinic = await open_clinic(hub.house, zone="America/Chicago")
    # 2026-11-01 has 25 hours in Chicago: from 05:00 to 06:00 UTC of the next day.
    midnight = datetime(2026, 11, 1, 5, tzinfo=UTC)
    for hours in (-0.01, 0, 12, 13, 24.99, 25):
        await book_visit(hub.house, clinic, at=midnight + timedelta(hours=hours))
    async with program_of(hub, await make_key(hub.house, clinic)) as client:
        seen: list[dict[str, Any]] = []
        query = {"day": "2026-11-01", "limit": "2"}
        while True:
            page = (await client.get(PATH, params=query)).json()
            seen += page["items"]
            if page["after"] is None:
                break
            query["after"] = page["after"]
    assert [each["number"] for each in seen] == [f"2026-{number:06}" for number in (2, 3, 4, 5)]


async def test_without_a_day_it_is_today_at_the_clinic(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, clock: MovableClock
) -> None:
    await book_visit(hub.house, clinic, at=datetime(2026, 11, 21, 22, 0, tzinfo=UTC))
    for now, count in ((datetime(2026, 11, 21, 20, 59, tzinfo=UTC), 0), (datetime(2026, 11, 21, 21, tzinfo=UTC), 1)):
        clock.stop(now)
        assert len((await program.get(PATH)).json()["items"]) == count


@pytest.mark.parametrize(
    ("zone", "day", "midnight", "hours"),
    [
        ("Asia/Riyadh", "2026-11-01", "2026-10-31T21:00:00Z", 24),
        ("America/Chicago", "2026-03-08", "2026-03-08T06:00:00Z", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25),
        # Their clocks change at midnight: the first day begins at one, the others have their last or first hour twice.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z", 23),
        ("Africa/Cairo", "2026-10-29", "2026-10-28T21:00:00Z", 25),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", 25),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", 24.5),
    ],
    ids=lambda each: each if isinstance(each, str) and "/" in each else "",
)
async def test_a_day_is_the_clinics_own_where_clocks_change(
    hub: RunningHub, zone: str, day: str, midnight: str, hours: float
) -> None:
    clinic = await open_clinic(hub.house, zone=zone)
    start, end = datetime.fromisoformat(midnight), datetime.fromisoformat(midnight) + timedelta(hours=hours)
    minute = timedelta(minutes=1)
    for at in (start - minute, start, end - minute, end):
        await book_visit(hub.house, clinic, at=at)
    async with program_of(hub, await make_key(hub.house, clinic)) as client:
        for query in (f"day={day}", f"since={day}&until={day}"):
            items = (await client.get(f"{PATH}?{query}")).json()["items"]
            assert [each["starts_at"] for each in items] == [start.isoformat(), (end - minute).isoformat()], query


@pytest.fixture
async def filled(hub: RunningHub, clinic: Clinic) -> dict[str, str]:
    """Visits over a month, by what they are called here."""
    day = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    ids = {}
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        for name, person, days in (
            ("first", clinic.omar, 0),
            ("second", clinic.huda, 1),
            ("third", clinic.omar, 1),
            ("last", clinic.omar, 30),
            ("behind", clinic.omar, 31),
        ):
            who, at = Arriving(f"Patient {name}"), day + timedelta(days=days)
            visit = await book(work, Booking(who, person.id, at, external_id=f"E-{name}", tell=False))
            ids[name] = str(visit.id)
            if name == "second":
                await arrive(work, visit.id)
            if name == "third":
                await cancel(work, visit.id)
    return ids


ASKED: dict[str, set[str]] = {
    "since=2026-11-01&until=2026-12-01": {"first", "second", "third", "last"},
    "since=2026-11-02&until=2026-11-02": {"second", "third"},
    "day=2026-11-02": {"second", "third"},
    "day=2026-11-02&state=arrived": {"second"},
    "day=2026-11-02&state=arrived,cancelled": {"second", "third"},
    "day=2026-11-02&state=booked,confirmed,rescheduled": set(),
    "since=2026-11-01&until=2026-11-30&q=patient": {"first", "second", "third"},
    "since=2026-11-01&until=2026-11-30&q=PATIENT%20f": {"first"},
    "since=2026-11-01&until=2026-11-30&q=000002": {"second"},
    "since=2026-11-01&until=2026-11-30&q=E-third": {"third"},
    "since=2026-11-01&until=2026-11-30&q=E-third&state=booked": set(),
    "since=2026-11-01&until=2026-11-30&q=%25": set(),
    "external_id=E-behind": {"behind"},
    "external_id=E-behind&limit=1": {"behind"},
    "external_id=E": set(),
}


async def test_visits_are_asked_for_by_day_state_words_and_the_practice_systems_id(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, program: httpx.AsyncClient, filled: dict[str, str]
) -> None:
    for query, names in ASKED.items():
        page = (await program.get(f"{PATH}?{query}")).json()
        assert {each["id"] for each in page["items"]} == {filled[name] for name in names}, query
        assert page["after"] is None
    both = f"since=2026-11-01&until=2026-12-01&clinician_id={clinic.huda.id}"
    (only,) = (await program.get(f"{PATH}?{both}")).json()["items"]
    assert only["id"] == filled["second"]
    async with browser_of(hub, clinic.huda) as huda:
        for query in ("since=2026-11-01&until=2026-12-01", f"{both[:-36]}{clinic.omar.id}", "external_id=E-second"):
            assert [each["id"] for each in (await huda.get(f"{PATH}?{query}")).json()["items"]] == [filled["second"]]
        assert (await huda.get(f"{PATH}?external_id=E-first")).json()["items"] == []
    async with program_of(hub, await make_key(hub.house, other_clinic)) as stranger:
        for query in ASKED:
            assert (await stranger.get(f"{PATH}?{query}")).json()["items"] == [], query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=2026-11-01", "body"),
        ("until=2026-11-01", "body"),
        ("since=2026-11-02&until=2026-11-01", "body"),
        ("since=2026-11-01&until=2026-12-02", "body"),
        ("since=2026-11-01&until=2026-11-02&day=2026-11-01", "body"),
        ("since=2026-11-01T00:00:01Z&until=2026-11-02", "since"),
        ("since=1999-12-31&until=2000-01-01", "since"),
        ("state=lost", "state.0"),
        ("state=booked,", "state.1"),
        ("state=", "state.0"),
        ("state=" + ",".join(["booked"] * 9), "state"),
        ("q=" + "x" * 201, "q"),
        ("q=%00", "q"),
        ("external_id=", "external_id"),
        ("external_id=" + "x" * 129, "external_id"),
        ("external_id=E&day=2026-11-01", "body"),
        ("external_id=E&state=booked", "body"),
        ("clinician_id=omar", "clinician_id"),
        ("limit=101", "limit"),
        ("after=x", "cursor"),
        ("surprise=1", "surprise"),
    ],
    ids=lambda each: each[:50],
)
async def test_what_cannot_be_asked_is_named(program: httpx.AsyncClient, query: str, field: str) -> None:
    found = problem(await program.get(f"{PATH}?{query}"), 422)
    assert field in {error["field"] for error in found["errors"]}  # type: ignore[attr-defined]
