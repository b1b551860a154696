"""`/api/v1/appointments`: booking, showing, arriving."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.api.requests import booking
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient, book_visit
from tests.live_client import cookies_of, open_live
from tests.visitors import browser_of, problem

PATH = "/api/v1/appointments"


async def test_a_visit_is_booked_and_shown(clinic: Clinic, program: httpx.AsyncClient) -> None:
    body = booking(
        clinic,
        patient={
            "name": " سارة القحطاني ",
            "external_id": "P-1",
            "language": "ar",
            "phone": "050 123 4567",
            "email": "Sara@Example.org",
        },
        external_id="E-1",
        version=3,
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
        "version": 3,
        "state": "booked",
        "starts_at": "2026-11-21T06:30:00+00:00",
        "minutes": 45,
        "patient": {"id": booked["patient"]["id"], "name": "سارة القحطاني"},
        "clinician": {"id": str(clinic.omar.id), "name": "Dr. Omar Farouk"},
        "clearance": "cleared",
        "consent": "signed",
        "wish": None,
        "confirmed_at": None,
        "arrived_at": None,
        "started_at": None,
        "ended_at": None,
        "created_at": "",
        "updated_at": "",
    }
    shown = await program.get(answer.headers["location"])
    assert {name: shown.json()[name] for name in booked} == booked
    patient = (await program.get(f"/api/v1/patients/{booked['patient']['id']}")).json()
    assert (patient["phone"]["value"], patient["email"]["value"]) == ("+966501234567", "Sara@example.org")
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


async def test_a_patient_who_is_known_is_named_by_their_id(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, program: httpx.AsyncClient
) -> None:
    known = await add_patient(hub.house, clinic, name="Sara Doe")
    theirs = await add_patient(hub.house, other_clinic)
    answer = await program.post(PATH, json=booking(clinic, patient={"id": str(known.id), "phone": "+966509999999"}))
    assert answer.json()["patient"] == {"id": str(known.id), "name": "Sara Doe"}
    patient = (await program.get(f"/api/v1/patients/{known.id}")).json()
    assert (patient["phone"]["value"], patient["email"]["value"]) == ("+966509999999", "sara@example.org")
    found = problem(await program.post(PATH, json=booking(clinic, patient={"id": str(theirs.id)})), 422)
    assert found["errors"] == [{"field": "patient.id", "detail": "nobody has this id here"}]


async def test_a_visit_shows_what_is_planned_and_what_was_told_and_never_a_word_of_it(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
        starts_at = work.now + timedelta(days=3)
    body = booking(clinic, patient={"name": "Sara Doe", "phone": "+966501234567"}, starts_at=starts_at.isoformat())
    address = (await program.post(PATH, json=body)).headers["location"]
    booked = (await program.get(address)).json()
    assert [(each["kind"], each["ahead"], each["state"], each["told"]) for each in booked["planned"]] == [
        ("reminder", "P1D", "planned", []),
        ("reminder", "PT2H", "planned", []),
    ]
    (first,) = booked["told"]
    assert (first["event"], first["by"]["kind"], first["undone_at"]) == ("booked", "key", None)
    told = {(each["to"], each["over"]): each for each in first["told"]}
    assert set(told) == {("clinician", "in_app"), ("clinician", "email")}
    assert told["clinician", "in_app"]["state"] == "unread"
    assert told["clinician", "email"]["message"]["code"] == "staff_appointment_booked"
    await program.post(f"{address}/cancel", json={"reason": "The reason of a secret"})
    answer = await program.get(address)
    assert {each["state"] for each in answer.json()["planned"]} == {"cancelled"}
    assert {each["reason"] for each in answer.json()["planned"]} == {"cancelled"}
    (text,) = [each for each in answer.json()["told"][-1]["told"] if (each["to"], each["over"]) == ("patient", "text")]
    assert (text["message"]["code"], text["message"]["channel"]) == ("appointment_cancelled", "sms")
    assert "secret" not in answer.text


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
    assert "Possible from here: cancelled, completed, in_progress." in str(found["detail"])
    shown = (await program.get(f"{PATH}/{visit.id}")).json()
    assert {name: shown[name] for name in first} == first
    assert await count_rows(hub.house, clinic) == before


async def test_two_programs_at_once_arrive_once(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    visit = await book_visit(hub.house, clinic)
    answers = await asyncio.gather(*(program.post(f"{PATH}/{visit.id}/arrive") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert (await count_rows(hub.house, clinic))["notifications"] == 1


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


IN_THE_PATIENT: list[tuple[dict[str, Any], str]] = [
    ({"name": "Sara", "phone": "12"}, "patient.phone"),
    ({"name": "Sara", "phone": "call me"}, "patient.phone"),
    ({"name": "Sara", "phone": ""}, "patient.phone"),
    ({"name": "Sara", "phone": "5" * 255}, "patient.phone"),
    ({"name": "Sara", "email": "sara@"}, "patient.email"),
    ({"name": "Sara", "email": "sara example.org"}, "patient.email"),
    ({"name": "Sara", "email": None, "phone": 966501234567}, "patient.phone"),
    ({"id": "P-1"}, "patient.id"),
    ({"id": "7d97be40-4231-46e6-8494-6aa323d8f595"}, "patient.id"),
    ({"id": "7d97be40-4231-46e6-8494-6aa323d8f595", "name": "Sara"}, "patient"),
    ({"id": "7d97be40-4231-46e6-8494-6aa323d8f595", "external_id": "P-1"}, "patient"),
    ({"id": "7d97be40-4231-46e6-8494-6aa323d8f595", "language": "ar"}, "patient"),
    ({"external_id": "P-1"}, "patient"),
]


@pytest.mark.parametrize(("patient", "field"), IN_THE_PATIENT, ids=lambda each: str(each)[:70])
async def test_a_patient_who_cannot_be_is_named_and_has_no_file_and_no_visit(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, patient: dict[str, Any], field: str
) -> None:
    before = await count_rows(hub.house, clinic)
    found = problem(await program.post(PATH, json=booking(clinic, patient=patient)), 422)
    assert [error["field"] for error in found["errors"]] == [field]  # type: ignore[attr-defined]
    assert await count_rows(hub.house, clinic) == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": -1, "external_id": "E"}, "version"),
        ({"version": 2**63, "external_id": "E"}, "version"),
        ({"version": 1.5, "external_id": "E"}, "version"),
        ({"version": 1}, "body"),
        ({"tell": 1}, "tell"),
        ({"occurrence": 2}, "occurrence"),
    ],
    ids=str,
)
async def test_what_a_practice_system_says_of_a_visit_is_checked(
    clinic: Clinic, program: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    found = problem(await program.post(PATH, json=booking(clinic, **change)), 422)
    assert [error["field"] for error in found["errors"]] == [field]  # type: ignore[attr-defined]
