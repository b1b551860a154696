"""The arrivals board, and arrival by a plain form: no script needed."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.console.html import Html, breaches, read
from tests.factories import Clinic, book_visit, open_clinic
from tests.visitors import browser_of

PATH = "/console/arrivals"
BOARD = {"X-Fragment": "board"}
NOON = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def rows(page: Html) -> list[tuple[str, str]]:
    """Every visit on the board, and its state."""
    return [(tag.attributes["data-row"], tag.attributes["data-state"]) for tag in page.with_attribute("data-row")]


async def arrive(client: httpx.AsyncClient, visit: object, **form: str) -> httpx.Response:
    return await client.post(f"{PATH}/{visit}/arrive", data=form)


async def test_the_board_shows_todays_visits_by_clinician(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    huda = await book_visit(hub.house, clinic, clinic.huda, patient="Late", at=NOON - timedelta(minutes=20))
    omar = await book_visit(hub.house, clinic, clinic.omar, patient="Soon", at=NOON + timedelta(minutes=20))
    await book_visit(hub.house, clinic, clinic.omar, patient="Tomorrow", at=NOON + timedelta(days=1))
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(PATH))
    assert rows(page) == [(str(omar.id), "booked"), (str(huda.id), "booked")]
    assert "20 min late" in page.words
    assert "Tomorrow" not in page.words
    assert [tag.attributes["datetime"] for tag in page.all("time")][:1] == ["2026-11-21T09:20:00+00:00"]


async def test_arrival_by_a_plain_form_leads_back_to_the_visit(
    hub: RunningHub, clinic: Clinic, clock: MovableClock
) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk) as client:
        answer = await arrive(client, visit.id, clearance="cleared", consent="signed", next="https://elsewhere.example")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?day=2026-11-21#row-{visit.id}")
        page = read(await client.get(answer.headers["location"].partition("#")[0]))
        assert rows(page) == [(str(visit.id), "arrived")]
        found = (await client.get(f"/api/v1/appointments/{visit.id}")).json()
    assert (found["clearance"], found["consent"]) == ("cleared", "signed")


async def test_a_script_gets_the_board_itself(hub: RunningHub, clinic: Clinic, clock: MovableClock) -> None:
    clock.stop(NOON)
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk) as client:
        whole = read(await client.get(PATH))
        part = read(await client.get(PATH, headers=BOARD))
        assert part.all("html") == []
        assert breaches(part) == []
        assert rows(part) == rows(whole)
        (before,) = part.with_attribute("data-board")
        answer = await client.post(f"{PATH}/{visit.id}/arrive", data={}, headers=BOARD)
        part = read(answer)
        (after,) = part.with_attribute("data-board")
    assert part.all("html") == []
    assert rows(part) == [(str(visit.id), "arrived")]
    assert int(after.attributes["data-version"]) == int(before.attributes["data-version"]) + 1


@pytest.mark.parametrize("headers", [{}, BOARD], ids=["form", "script"])
async def test_two_desks_at_once_are_one_arrival_and_one_refusal(
    hub: RunningHub, clinic: Clinic, headers: dict[str, str]
) -> None:
    visit = await book_visit(hub.house, clinic, at=NOON)
    async with browser_of(hub, clinic.desk, **headers) as one, browser_of(hub, clinic.admin, **headers) as two:
        answers = await asyncio.gather(arrive(one, visit.id), arrive(two, visit.id))
    assert sorted(answer.status_code for answer in answers) == [200 if headers else 303, 409]
    (refused,) = (answer for answer in answers if answer.status_code == 409)
    page = read(refused, 409)
    assert "This patient has been marked as arrived already." in page.words
    assert rows(page) == [(str(visit.id), "arrived")], "the board of the visit's own day, as it is now"
    assert (await count_rows(hub.house, clinic))["notifications"] == 1


async def test_a_status_that_there_is_not_marks_nothing(hub: RunningHub, clinic: Clinic) -> None:
    visit = await book_visit(hub.house, clinic)
    before = await count_rows(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        for form in ({"clearance": "perhaps"}, {"consent": "<script>"}):
            read(await arrive(client, visit.id, **form), 422)
    assert (await count_rows(hub.house, clinic))["notifications"] == before["notifications"] == 0


async def test_another_clinics_visit_is_not_there(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    visit = await book_visit(hub.house, other_clinic)
    async with browser_of(hub, clinic.desk) as client:
        read(await arrive(client, visit.id), 404)
        read(await client.get(f"/console/appointments/{visit.id}"), 404)


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "2026-11-21T00:00", "%00", "1"])
async def test_a_day_that_there_is_not_is_refused(hub: RunningHub, clinic: Clinic, day: str) -> None:
    async with browser_of(hub, clinic.desk) as client:
        read(await client.get(f"{PATH}?day={day}"), 422)


@pytest.mark.parametrize(
    ("zone", "day", "midnight", "hours"),
    [
        ("America/Chicago", date(2026, 3, 8), datetime(2026, 3, 8, 6, tzinfo=UTC), 23),
        ("America/Chicago", date(2026, 11, 1), datetime(2026, 11, 1, 5, tzinfo=UTC), 25),
        ("Asia/Riyadh", date(2026, 11, 21), datetime(2026, 11, 20, 21, tzinfo=UTC), 24),
    ],
)
async def test_the_days_before_and_after_are_the_clinics_also_when_clocks_change(
    hub: RunningHub, clock: MovableClock, zone: str, day: date, midnight: datetime, hours: int
) -> None:
    clinic = await open_clinic(hub.house, zone=zone)
    at = [midnight - timedelta(minutes=1), midnight, midnight + timedelta(hours=hours, minutes=-1)]
    visits = [await book_visit(hub.house, clinic, at=moment) for moment in (*at, midnight + timedelta(hours=hours))]
    clock.stop(midnight + timedelta(hours=hours, minutes=-1))
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(PATH))
        assert [row for row, _ in rows(page)] == [str(visits[1].id), str(visits[2].id)]
        steps = [link for link in page.links if "day=" in link]
        assert steps == [f"{PATH}?day={day - timedelta(days=1)}", f"{PATH}?day={day + timedelta(days=1)}"]
        for step, visit in zip(steps, (visits[0], visits[3]), strict=True):
            assert [row for row, _ in rows(read(await client.get(step)))] == [str(visit.id)]


async def test_a_visit_has_a_page_with_its_story(hub: RunningHub, clinic: Clinic) -> None:
    visit = await book_visit(hub.house, clinic, clinic.omar, patient="Sara Doe")
    async with browser_of(hub, clinic.desk) as client:
        page = read(await client.get(f"/console/appointments/{visit.id}"))
        assert f"{PATH}/{visit.id}/arrive" in [tag.attributes.get("action") for tag in page.all("form")]
        await arrive(client, visit.id)
        page = read(await client.get(f"/console/appointments/{visit.id}"))
    assert f"{PATH}/{visit.id}/arrive" not in [tag.attributes.get("action") for tag in page.all("form")]
    for words in ("Sara Doe", visit.number, "Dr. Omar Farouk", "Booked", "Arrived", "Layla Haddad"):
        assert words in page.words


async def test_a_clinician_sees_their_own_visits_and_marks_none(hub: RunningHub, clinic: Clinic) -> None:
    mine, theirs = await book_visit(hub.house, clinic, clinic.omar), await book_visit(hub.house, clinic, clinic.huda)
    async with browser_of(hub, clinic.omar) as client:
        page = read(await client.get(f"/console/appointments/{mine.id}"))
        assert not any("arrive" in tag.attributes.get("action", "") for tag in page.all("form"))
        read(await client.get(f"/console/appointments/{theirs.id}"), 404)
        read(await arrive(client, mine.id), 403)
        read(await client.get(PATH), 403)


async def test_a_board_whose_session_has_ended_says_so_to_a_script(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        read(await client.get(PATH, headers=BOARD), 401)
