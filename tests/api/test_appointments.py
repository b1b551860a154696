"""`/api/v1/appointments`: booking, listing, arriving."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.api.requests import booking
from tests.api.rows import count_rows
from tests.conftest import MovableClock, RunningHub
from tests.factories import Clinic, book_visit, make_key, open_clinic
from tests.live_client import cookies_of, open_live
from tests.visitors import browser_of, problem, program_of

PATH = "/api/v1/appointments"


async def test_a_visit_is_booked_and_shown(clinic: Clinic, program: httpx.AsyncClient) -> None:
    body = booking(
        clinic,
        patient={"name": " سارة القحطاني ", "external_id": "P-1", "language": "ar"},
        external_id="E-1",
        minutes=45,
        clearance="cleared",
        consent="signed",
        starts_at="2026-11-21T09:30:00+03:00",
    )
    answer = await program.post(PATH, json=body)
    assert answer.status_code == 201
    booked = answer.json()
    assert booked | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "number": "2026-000001",
        "external_id": "E-1",
        "state": "booked",
        "starts_at": "2026-11-21T06:30:00+00:00",
        "minutes": 45,
        "patient": {"id": booked["patient"]["id"], "name": "سارة القحطاني"},
        "clinician": {"id": str(clinic.omar.id), "name": "Dr. Omar Farouk"},
        "clearance": "cleared",
        "consent": "signed",
        "arrived_at": None,
        "created_at": "",
        "updated_at": "",
    }
    shown = await program.get(answer.headers["location"])
    assert shown.json() == booked
    assert (await program.head(answer.headers["location"])).status_code == 200


async def test_an_external_id_again_is_the_same_visit_or_a_conflict(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    body = booking(clinic, external_id="E-1")
    first = (await program.post(PATH, json=body)).json()
    before = await count_rows(hub.house, clinic)
    assert (await program.post(PATH, json=body)).json() == first
    problem(await program.post(PATH, json=body | {"minutes": 60}), 409)
    problem(await program.post(PATH, json=body | {"patient": {"name": "Omar Roe"}}), 409)
    assert await count_rows(hub.house, clinic) == before


async def test_a_hundred_bookings_in_parallel_have_a_hundred_numbers(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(*(program.post(PATH, json=booking(clinic)) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["number"] for answer in answers) == [f"2026-{n:06}" for n in range(1, 101)]


async def test_arrival_rings_the_bell_of_an_open_tab_and_answers_with_the_visit(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic, clinic.huda, patient="Sara Doe")
    async with browser_of(hub, clinic.huda) as client, open_live(hub.live_url, cookies_of(client)) as live:
        await live.hear_until("snap")
        answer = await program.post(f"{PATH}/{visit.id}/arrive", json={"clearance": "issue", "consent": "expired"})
        await live.hear_until("ev")
        (row,) = live.inbox.rows.values()
    assert answer.status_code == 200
    arrived = answer.json()
    assert (arrived["state"], arrived["clearance"], arrived["consent"]) == ("arrived", "issue", "expired")
    assert arrived["arrived_at"]
    assert row["facts"]["patient"] == "Sara Doe"
    assert row["related"] == {
        "type": "appointment",
        "id": str(visit.id),
        "link": f"/console/appointments/{visit.id}",
    }


async def test_an_arrival_needs_no_body(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    visit = await book_visit(hub.house, clinic)
    answer = await program.post(f"{PATH}/{visit.id}/arrive")
    assert (answer.status_code, answer.json()["clearance"]) == (200, "pending")


async def test_a_second_arrival_is_a_conflict_and_changes_nothing(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    visit = await book_visit(hub.house, clinic)
    first = (await program.post(f"{PATH}/{visit.id}/arrive")).json()
    before = await count_rows(hub.house, clinic)
    found = problem(await program.post(f"{PATH}/{visit.id}/arrive", json={"clearance": "cleared"}), 409)
    assert "Possible from here: none" in str(found["detail"])
    assert (await program.get(f"{PATH}/{visit.id}")).json() == first
    assert await count_rows(hub.house, clinic) == before


async def test_two_programs_at_once_arrive_once(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    visit = await book_visit(hub.house, clinic)
    answers = await asyncio.gather(*(program.post(f"{PATH}/{visit.id}/arrive") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert (await count_rows(hub.house, clinic))["notifications"] == 1


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


@pytest.mark.parametrize("way", ["list", "one"])
async def test_a_clinician_sees_their_own_visits_only(hub: RunningHub, clinic: Clinic, way: str) -> None:
    at = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    mine = await book_visit(hub.house, clinic, clinic.omar, at=at)
    theirs = await book_visit(hub.house, clinic, clinic.huda, at=at)
    async with browser_of(hub, clinic.omar) as client:
        if way == "one":
            assert (await client.get(f"{PATH}/{mine.id}")).status_code == 200
            problem(await client.get(f"{PATH}/{theirs.id}"), 404)
        else:
            for query in ("", f"&clinician_id={clinic.huda.id}"):
                items = (await client.get(f"{PATH}?day=2026-11-21{query}")).json()["items"]
                assert [each["id"] for each in items] == [str(mine.id)]


async def test_the_office_may_ask_for_one_clinician(
    clinic: Clinic, hub: RunningHub, program: httpx.AsyncClient
) -> None:
    at = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    await book_visit(hub.house, clinic, clinic.omar, at=at)
    theirs = await book_visit(hub.house, clinic, clinic.huda, at=at)
    items = (await program.get(f"{PATH}?day=2026-11-21&clinician_id={clinic.huda.id}")).json()["items"]
    assert [each["id"] for each in items] == [str(theirs.id)]
