"""Sending messages over the API, following them, and counting them."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hub.messages.compose import MOST_FILE_BYTES
from hub.messages.log import read_story
from hub.people.roles import Permission
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient, make_key
from tests.messages.rows import PHONE, make_message, make_request
from tests.visitors import browser_of, problem, program_of

PATH = "/api/v1/messages"
PDF = base64.b64encode(b"%PDF-1.7 a leaflet").decode()


@pytest.fixture
async def sara(hub: RunningHub, clinic: Clinic) -> Patient:
    return await add_patient(hub.house, clinic)


def own_words(patient: Patient, **changes: Any) -> dict[str, Any]:
    return {"patient": {"id": str(patient.id)}, "text": "See you at nine.", "topic": "reminders"} | changes


def file(**changes: Any) -> dict[str, Any]:
    return {"name": "leaflet.pdf", "content_type": "application/pdf", "content": PDF} | changes


async def test_words_of_ones_own_are_queued(program: httpx.AsyncClient, sara: Patient) -> None:
    answer = await program.post(PATH, json=own_words(sara, channels=["email", "sms"], department="Dental"))
    assert answer.status_code == 201
    found = answer.json()
    assert answer.headers["location"] == f"{PATH}/{found['id']}"
    assert (found["state"], found["channel"], found["channels"]) == ("queued", "email", ["email", "sms"])
    assert found["patient"] == {"id": str(sara.id), "name": "Sara Doe"}
    assert (found["department"], found["lane"], found["due_at"]) == ("Dental", "normal", found["created_at"])
    assert "text" not in answer.text, "lists and receipts have no words in them"
    story = (await program.get(answer.headers["location"])).json()
    assert story["asked"]["text"] == "See you at nine."
    assert [step["state"] for step in story["steps"]] == ["queued"]


async def test_a_template_is_sent_with_its_values(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    due = {"amount": {"amount": "350.00", "currency": "SAR"}, "due_on": "2026-12-01", "invoice": "INV-1"}
    body = {
        "patient": {"id": str(sara.id)},
        "code": "invoice_issued",
        "variables": due | {"link": "https://example.org/pay"},
    }
    found = (await program.post(PATH, json=body)).json()
    assert (found["code"], found["topic"]) == ("invoice_issued", "billing")
    story = (await program.get(f"{PATH}/{found['id']}")).json()
    assert story["asked"]["values"]["invoice"] == "INV-1"
    refused = problem(await program.post(PATH, json=body | {"variables": due | {"due_on": "soon"}}), 422)
    assert "variables.due_on" in [error["field"] for error in refused["errors"]]  # type: ignore[attr-defined]
    problem(await program.post(PATH, json=body | {"code": "no_such_template"}), 422)


async def test_a_patient_is_named_by_the_practice_systems_own_id(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        (await work.session.get_one(Patient, sara.id)).external_id = "P-7"
    found = (await program.post(PATH, json=own_words(sara) | {"patient": {"external_id": "P-7"}})).json()
    assert found["patient"]["id"] == str(sara.id)


async def test_the_same_request_again_sends_nothing_more(program: httpx.AsyncClient, sara: Patient) -> None:
    key = {"Idempotency-Key": "once"}
    first, again = [(await program.post(PATH, json=own_words(sara), headers=key)).json() for _ in range(2)]
    assert first["id"] == again["id"]
    problem(await program.post(PATH, json=own_words(sara, text="Other"), headers=key), 422)
    by_reference = [(await program.post(PATH, json=own_words(sara, reference="R-1"))).json()["id"] for _ in range(2)]
    assert by_reference[0] == by_reference[1] != first["id"]
    assert len((await program.get(PATH)).json()["items"]) == 2


async def test_a_file_is_kept_and_told_of_without_its_words(program: httpx.AsyncClient, sara: Patient) -> None:
    sent = (await program.post(PATH, json=own_words(sara, attachments=[file()]))).json()
    story = (await program.get(f"{PATH}/{sent['id']}")).json()
    assert story["attachments"] == [{"content_type": "application/pdf", "size": 18}]


async def test_files_of_up_to_ten_megabytes_pass(program: httpx.AsyncClient, sara: Patient) -> None:
    whole = b"%PDF-" + bytes(MOST_FILE_BYTES - 5)
    largest = file(content=base64.b64encode(whole).decode())
    assert (await program.post(PATH, json=own_words(sara, attachments=[largest]))).status_code == 201
    one_more = file(name="note.txt", content_type="text/plain", content=base64.b64encode(b"x").decode())
    problem(await program.post(PATH, json=own_words(sara, attachments=[largest, one_more])), 422)
    problem(await program.post(PATH, content=bytes(15 * 1024 * 1024)), 413)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"patient": {}},
        {"patient": {"id": str(uuid.uuid4())}},
        {"patient": {"external_id": "nobody"}},
        {"patient": {"id": str(uuid.uuid4()), "external_id": "both"}},
        {"text": None},
        {"text": ""},
        {"text": "x" * 4001},
        {"code": "invoice_issued"},
        {"topic": None},
        {"topic": "gossip"},
        {"variables": {"a": 1}},
        {"channels": []},
        {"channels": ["pigeon"]},
        {"lane": "bulk"},
        {"send_at": "tomorrow"},
        {"send_at": "2026-11-22T09:00:00+03:00", "expires_at": "2026-11-22T09:00:00+03:00"},
        {"related": {"type": "visit"}},
        {"attachments": [file(content="%%%%")]},
        {"attachments": [file(content=base64.b64encode(b"MZ a program").decode())]},
        {"attachments": [file(content_type="application/zip")]},
        {"attachments": [file(name="../x.pdf")]},
        {"attachments": [file(name="a\nb.pdf")]},
        {"attachments": [file()] * 11},
        {"surprise": 1},
    ],
    ids=",".join,
)
async def test_what_cannot_be_sent_is_refused_and_nothing_is_queued(
    program: httpx.AsyncClient, sara: Patient, spoiled: dict[str, Any]
) -> None:
    document = problem(await program.post(PATH, json=own_words(sara) | spoiled), 422)
    assert document["errors"]
    assert (await program.get(PATH)).json()["items"] == []


async def test_a_refusal_never_repeats_what_was_to_be_said(program: httpx.AsyncClient, sara: Patient) -> None:
    answer = await program.post(PATH, json=own_words(sara, text="CANARY" * 1000, subject="CANARY\n"))
    assert "CANARY" not in answer.text


async def test_lists_are_filtered_and_paged_both_ways(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    made = [
        str(await make_message(hub.house, clinic, sara, state="failed", ago=timedelta(minutes=n))) for n in range(5)
    ]
    await make_message(hub.house, clinic, None, state="sent")
    first = (await program.get(PATH, params={"state": "failed", "limit": 2, "q": PHONE})).json()
    assert ([each["id"] for each in first["items"]], first["newer"]) == (made[:2], None)
    second = (await program.get(PATH, params={"state": "attention", "limit": 2, "before": first["older"]})).json()
    assert [each["id"] for each in second["items"]] == made[2:4]
    back = (await program.get(PATH, params={"state": "failed", "limit": 2, "after": second["newer"]})).json()
    assert back == first
    day = hub.house.clock().date().isoformat()
    assert (await program.get(PATH, params={"until": "2020-01-01"})).json()["items"] == []
    assert (await program.get(PATH, params={"since": day, "state": "sent"})).json()["items"][0]["patient"] is None


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "channel=pigeon",
        "topic=gossip",
        "code=A%20b",
        "patient_id=x",
        "since=soon",
        "until=0001-01-01",
        "limit=101",
        "q=%00",
        "before=x",
        "after=WyJ4IiwgInkiXQ",
        "surprise=1",
    ],
)
async def test_a_filter_that_there_is_not_is_refused(program: httpx.AsyncClient, query: str) -> None:
    problem(await program.get(f"{PATH}?{query}"), 422)


async def test_the_story_opens_what_went_out(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    message = await make_message(hub.house, clinic, sara, state="sent")
    await make_request(hub.house, clinic, message, cost="0.0075", segments_billed=2)
    story = (await program.get(f"{PATH}/{message}")).json()
    (request,) = story["requests"]
    assert (request["out"]["to"], request["answer"], request["cost"]) == (PHONE, {"status": "queued"}, "0.007500")
    assert (story["costs"], story["parts"], story["asked_by"]) == ({"USD": "0.007500"}, 2, clinic.desk.name)


async def test_only_what_is_over_is_sent_again_and_only_what_waits_is_cancelled(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    failed = await make_message(hub.house, clinic, sara, state="failed", channel="email", tries=4)
    again = (await program.post(f"{PATH}/{failed}/retry")).json()
    assert (again["state"], again["channel"]) == ("queued", "sms")
    problem(await program.post(f"{PATH}/{failed}/retry"), 409)
    assert (await program.post(f"{PATH}/{failed}/cancel")).json()["state"] == "cancelled"
    problem(await program.post(f"{PATH}/{failed}/cancel"), 409)
    async with hub.house.database.of_tenant(clinic.id) as session:
        steps = (await read_story(session, hub.house.keys, failed)).steps
    assert [step.state for step in steps] == ["failed", "queued", "cancelled"]


async def test_a_state_is_set_only_where_the_states_allow_it(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    message = await make_message(hub.house, clinic, sara, state="sent")
    read = {"state": "read", "reason": "Told by phone"}
    answer = (await program.patch(f"{PATH}/{message}/status", json=read)).json()
    assert (answer["state"], answer["reason"]) == ("read", "Told by phone")
    problem(await program.patch(f"{PATH}/{message}/status", json=read | {"state": "queued"}), 409)
    for wrong in ({"state": "read"}, {"state": "lost", "reason": "x"}, {"state": "read", "reason": "x" * 201}):
        problem(await program.patch(f"{PATH}/{message}/status", json=wrong), 422)
    async with browser_of(hub, clinic.desk) as desk:
        problem(await desk.patch(f"{PATH}/{message}/status", json=read), 403)


async def test_figures_over_days(hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient) -> None:
    for state in ("delivered", "failed", "queued"):
        await make_message(hub.house, clinic, sara, state=state)
    figures = (await program.get(f"{PATH}/statistics")).json()
    assert (figures["total"], figures["success_rate"], len(figures["per_day"])) == (3, 0.5, 30)
    assert figures["by_channel"]["sms"]["total"] == 3
    assert figures["by_state"] == {"queued": 1, "delivered": 1, "failed": 1}
    one_day = (await program.get(f"{PATH}/statistics", params={"since": "2026-01-01", "until": "2026-01-01"})).json()
    assert (one_day["total"], one_day["success_rate"]) == (0, None)
    problem(await program.get(f"{PATH}/statistics?since=2026-01-02&until=2026-01-01"), 422)


async def test_another_clinics_messages_are_not_there(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic, program: httpx.AsyncClient
) -> None:
    theirs = await add_patient(hub.house, other_clinic)
    message = await make_message(hub.house, other_clinic, theirs, state="failed")
    for method, path, body in (
        ("GET", f"{PATH}/{message}", None),
        ("POST", f"{PATH}/{message}/retry", None),
        ("POST", f"{PATH}/{message}/cancel", None),
        ("PATCH", f"{PATH}/{message}/status", {"state": "read", "reason": "x"}),
    ):
        problem(await program.request(method, path, json=body), 404)
    problem(await program.post(PATH, json=own_words(theirs)), 422)
    assert (await program.get(PATH, params={"q": PHONE})).json()["items"] == []


async def test_who_may_read_may_not_send(hub: RunningHub, clinic: Clinic, sara: Patient) -> None:
    async with program_of(hub, await make_key(hub.house, clinic, frozenset({Permission.MESSAGES_READ}))) as reader:
        assert (await reader.get(PATH)).status_code == 200
        problem(await reader.post(PATH, json=own_words(sara)), 403)
