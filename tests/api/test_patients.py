"""`/api/v1/patients`: opening and changing files, where patients are reached, and what they allow."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub.crypto import Keys
from hub.people.contact_points import flag_contact, read_contacts
from hub.people.tables import PatientChoice
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.api.test_fuzz import EXPECTED, examples, send, spoiled
from tests.conftest import RunningHub
from tests.console.html import read
from tests.factories import Clinic, add_patient, make_key, open_clinic
from tests.visitors import browser_of, problem

PATH = "/api/v1/patients"
ALLOWS = {
    "topics": {"reminders": True, "confirmations": True, "results": True, "billing": True, "marketing": False},
    "channels": {"sms": True, "whatsapp": True, "email": True},
}


async def test_a_patient_is_added_and_shown(program: httpx.AsyncClient) -> None:
    body = {
        "name": " سارة القحطاني ",
        "language": "ar",
        "external_id": "P-1",
        "zone": "Asia/Dubai",
        "channels": ["whatsapp", "email"],
        "phone": "٠٥٠ ١٢٣ ٤٥٦٧",
        "email": "Sara@Example.ORG",
    }
    answer = await program.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    added = answer.json()
    contact = {"id": "", "flag": None, "flagged_at": None}
    assert added | {"id": "", "created_at": "", "phone": added["phone"] | {"id": ""}} | {
        "email": added["email"] | {"id": ""}
    } == {
        "id": "",
        "external_id": "P-1",
        "name": "سارة القحطاني",
        "language": "ar",
        "zone": "Asia/Dubai",
        "own_zone": "Asia/Dubai",
        "channels": ["whatsapp", "email"],
        "phone": contact | {"value": "+966501234567"},
        "email": contact | {"value": "Sara@example.org"},
        "allows": ALLOWS,
        "created_at": "",
    }
    assert (await program.get(answer.headers["location"])).json() == added


async def test_little_is_needed(program: httpx.AsyncClient) -> None:
    added = (await program.post(PATH, json={"name": "Sara Doe"})).json()
    assert (added["language"], added["zone"], added["own_zone"]) == ("en", "Asia/Riyadh", None)
    assert (added["channels"], added["phone"], added["email"]) == (["sms", "whatsapp", "email"], None, None)


async def test_the_same_request_again_opens_no_second_file(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    body = {"name": "Sara Doe", "phone": "+966501234567"}
    first, again = [await program.post(PATH, json=body, headers={"idempotency-key": "1"}) for _ in range(2)]
    assert first.json() == again.json()
    assert (await count_rows(hub.house, clinic))["patients"] == 1
    problem(await program.post(PATH, json=body | {"name": "Omar"}, headers={"idempotency-key": "1"}), 422)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "Sara\n"}, None),
        ({"name": "Sara\nDoe"}, "name"),
        ({"name": "Sara", "phone": "12"}, "phone"),
        ({"name": "Sara", "phone": "canary"}, "phone"),
        ({"name": "Sara", "email": "canary@"}, "email"),
        ({"name": "Sara", "email": "x" * 255}, "email"),
        ({"name": "Sara", "zone": "Mars/Base"}, "zone"),
        ({"name": "Sara", "language": "fr"}, "language"),
        ({"name": "Sara", "channels": []}, "channels"),
        ({"name": "Sara", "channels": ["sms", "sms"]}, "channels"),
        ({"name": "Sara", "channels": ["pigeon"]}, "channels.0"),
        ({"name": "Sara", "age": 7}, "age"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, body: dict[str, Any], field: str | None
) -> None:
    before = await count_rows(hub.house, clinic)
    answer = await program.post(PATH, json=body)
    if field is None:
        assert answer.status_code == 201
        return
    errors: Any = problem(answer, 422)["errors"]
    assert [error["field"] for error in errors] == [field]
    assert "canary" not in answer.text, "what was sent is not repeated"
    assert await count_rows(hub.house, clinic) == before


async def test_an_external_id_is_taken_once(program: httpx.AsyncClient) -> None:
    assert (await program.post(PATH, json={"name": "Sara", "external_id": "P-1"})).status_code == 201
    problem(await program.post(PATH, json={"name": "Omar", "external_id": "P-1"}), 409)


async def test_what_is_left_out_stays_and_null_takes_away(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    patient = await add_patient(hub.house, clinic, zone="Asia/Dubai")
    path = f"{PATH}/{patient.id}"
    before = (await program.get(path)).json()
    assert (await program.patch(path, json={})).json() == before
    changed = (await program.patch(path, json={"name": "Sara Roe", "phone": "+966508888888"})).json()
    assert changed["phone"]["id"] != before["phone"]["id"]
    assert changed == before | {"name": "Sara Roe", "phone": changed["phone"]}
    bare = (await program.patch(path, json={"phone": None, "email": "", "zone": None})).json()
    assert bare == changed | {"phone": None, "email": None, "zone": "Asia/Riyadh", "own_zone": None}
    for field in ("name", "language", "channels"):
        errors: Any = problem(await program.patch(path, json={field: None, "phone": "+966507777777"}), 422)["errors"]
        assert [error["field"] for error in errors] == [field]
    problem(await program.patch(path, json={"name": "Lost", "email": "no"}), 422)
    assert (await program.get(path)).json() == bare, "all of it or nothing"


async def test_patients_are_listed_found_and_come_in_pages(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    for number in range(5):
        await add_patient(hub.house, clinic, name=f"Sara {number}", phone=f"+96650123456{number}", email=None)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await program.get(PATH, params=query)).json()
        seen += [item["name"] for item in page["items"]]
        if page["after"] is None:
            break
        query["after"] = page["after"]
    assert seen == [f"Sara {number}" for number in range(5)]
    for q, names in (("sara 3", ["Sara 3"]), ("0501234562", ["Sara 2"]), ("nobody", [])):
        items = (await program.get(PATH, params={"q": q})).json()["items"]
        assert [item["name"] for item in items] == names
    for bad in ({"after": "x"}, {"limit": 0}, {"limit": 101}, {"q": "x" * 201}, {"who": "x"}, {"q": "\x00"}):
        problem(await program.get(PATH, params=bad), 422)


async def test_a_choice_says_how_it_came(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    patient = await add_patient(hub.house, clinic)
    path = f"{PATH}/{patient.id}/choices"
    assert (await program.get(path)).json() == ALLOWS | {"chosen": []}
    for _ in range(2):
        chosen = (await program.post(path, json={"topic": "marketing", "allowed": True})).json()
        assert chosen["topics"]["marketing"]
    async with browser_of(hub, clinic.desk) as desk:
        chosen = (await desk.post(path, json={"channel": "sms", "allowed": False})).json()
    assert [each | {"at": ""} for each in chosen["chosen"]] == [
        {"topic": "marketing", "channel": None, "allowed": True, "source": "api", "at": ""},
        {"topic": None, "channel": "sms", "allowed": False, "source": "desk", "at": ""},
    ]
    assert (await program.get(f"{PATH}/{patient.id}")).json()["allows"] == {
        "topics": ALLOWS["topics"] | {"marketing": True},
        "channels": ALLOWS["channels"] | {"sms": False},
    }
    for bad in ({}, {"allowed": True}, {"topic": "billing", "channel": "sms", "allowed": True}, {"topic": "billing"}):
        problem(await program.post(path, json=bad), 422)
    async with hub.house.database.of_tenant(clinic.id) as session:
        rows = (await session.execute(select(PatientChoice).order_by(PatientChoice.id))).scalars()
        assert [row.actor_kind for row in rows] == ["key", "staff"]


async def test_a_link_to_the_patients_own_page(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    patient = await add_patient(hub.house, clinic)
    answer = await program.post(f"{PATH}/{patient.id}/preference-link")
    assert answer.status_code == 201
    made = answer.json()
    life = datetime.fromisoformat(made["expires_at"]) - hub.house.clock()
    assert timedelta(days=29) < life <= timedelta(days=30)
    async with browser_of(hub, None) as phone:
        assert "Your messages" in read(await phone.get(made["url"])).words


async def test_a_flag_is_shown(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient) -> None:
    patient = await add_patient(hub.house, clinic)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        point = (await read_contacts(work.session, [patient.id]))[patient.id]["email"]
        await flag_contact(work, point.id, "complaint", None)
    email = (await program.get(f"{PATH}/{patient.id}")).json()["email"]
    assert (email["flag"], email["id"]) == ("complaint", str(point.id))
    assert email["flagged_at"]


async def test_a_number_whose_key_is_gone_is_shown_as_such(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient
) -> None:
    patient = await add_patient(hub.house, clinic, email=None)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        point = (await read_contacts(work.session, [patient.id]))[patient.id]["phone"]
        point.sealed = Keys({"gone": bytes(32)}).seal(b"x", b"y")
    assert (await program.get(f"{PATH}/{patient.id}")).json()["phone"]["value"] is None


async def test_another_clinics_patient_is_not_here(
    hub: RunningHub, other_clinic: Clinic, program: httpx.AsyncClient
) -> None:
    patient = await add_patient(hub.house, other_clinic)
    before = await count_rows(hub.house, other_clinic)
    for stranger in (patient.id, uuid.uuid4()):
        path = f"{PATH}/{stranger}"
        problem(await program.get(path), 404)
        problem(await program.patch(path, json={"phone": None}), 404)
        problem(await program.get(f"{path}/choices"), 404)
        problem(await program.post(f"{path}/choices", json={"topic": "billing", "allowed": False}), 404)
        problem(await program.post(f"{path}/preference-link"), 404)
    assert (await program.get(PATH)).json() == {"items": [], "after": None}
    assert (await program.get(PATH, params={"q": "sara@example.org"})).json()["items"] == []
    assert await count_rows(hub.house, other_clinic) == before


@pytest.fixture(scope="module")
async def fuzzed(hub: RunningHub) -> Clinic:
    return await open_clinic(hub.house)


@examples(60)
@given(data=st.data())
async def test_whatever_is_sent_gets_an_answer_that_was_thought_of(
    hub: RunningHub, fuzzed: Clinic, data: st.DataObject
) -> None:
    patient = await add_patient(hub.house, fuzzed)
    person: dict[str, Any] = {
        "name": "Sara",
        "language": "ar",
        "zone": "Asia/Dubai",
        "channels": ["sms"],
        "phone": "+966501234567",
        "email": "sara@example.org",
    }
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", PATH, person | {"external_id": "P"}),
        ("PATCH", f"{PATH}/{patient.id}", person),
        ("POST", f"{PATH}/{patient.id}/choices", {"topic": "billing", "allowed": True}),
        ("POST", f"{PATH}/{patient.id}/choices", {"channel": "sms", "allowed": False}),
    ]
    method, path, right = data.draw(st.sampled_from(ways))
    key = await make_key(hub.house, fuzzed)
    assert (await send(hub, method, path, data.draw(spoiled(right)), key, fuzzed)).status_code in EXPECTED
