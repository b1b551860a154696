"""Notices of money, results and news over the API: one call each, what it takes, and what it refuses."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from hub.messages.deliver import deliver_due
from hub.people.choices import Topic, choose
from hub.people.roles import Permission
from hub.people.tables import Patient
from hub.templates.defaults import install_defaults
from hub.work import SYSTEM
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient, make_key
from tests.visitors import problem, program_of

PATH = "/api/v1/notices"
AMOUNT = {"amount": "350.00", "currency": "SAR"}
LINK = "https://pay.example.org/42"
DUE: dict[str, Any] = {"invoice": "INV-42", "amount": AMOUNT, "due_on": "2026-12-01", "link": LINK}
PAID: dict[str, Any] = {"invoice": "INV-42", "amount": AMOUNT, "link": LINK}
# What each kind says beside whom it is for, its topic, and its reference.
KINDS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("invoice_issued", DUE, "billing", "invoice/INV-42/issued"),
    ("payment_reminder", DUE, "billing", None),
    ("payment_received", PAID | {"receipt": "R-7"}, "billing", "invoice/INV-42/received/R-7"),
    ("results_ready", {"link": LINK, "document": "lab-9"}, "results", "results/lab-9/ready"),
    ("announcement", {"announcement": "We open on Saturdays.", "link": LINK}, "marketing", None),
]

# What spoils a kind of notice, and the field that the refusal names.
SPOILED: list[tuple[str, dict[str, Any], str]] = [
    ("invoice_issued", {"amount": {"amount": 350.0, "currency": "SAR"}}, "amount.amount"),
    ("invoice_issued", {"amount": {"amount": "-1", "currency": "SAR"}}, "amount.amount"),
    ("invoice_issued", {"amount": {"amount": "0.00", "currency": "SAR"}}, "amount"),
    ("invoice_issued", {"amount": {"amount": "1.005", "currency": "SAR"}}, "amount"),
    ("invoice_issued", {"amount": {"amount": "1", "currency": "XYZ"}}, "amount"),
    ("invoice_issued", {"amount": {"amount": "1", "currency": "sar"}}, "amount"),
    ("invoice_issued", {"due_on": "soon"}, "due_on"),
    ("invoice_issued", {"invoice": ""}, "invoice"),
    ("invoice_issued", {"link": "javascript:alert(1)"}, "variables.link"),
    ("invoice_issued", {"link": "https://e.org/" + "x" * 2000}, "link"),
    ("invoice_issued", {"typo": 1}, "typo"),
    ("invoice_issued", {"channels": []}, "channels"),
    ("invoice_issued", {"send_at": "2031-03-01T09:00:00"}, "send_at"),
    ("invoice_issued", {"patient": {"id": str(uuid.UUID(int=7))}}, "patient.id"),
    ("invoice_issued", {"patient": {"external_id": "nobody"}}, "patient.external_id"),
    ("announcement", {"announcement": "x" * 1001}, "announcement"),
    ("announcement", {"announcement": ""}, "announcement"),
    ("results_ready", {"invoice": "INV-42"}, "invoice"),
]


@pytest.fixture
async def sara(hub: RunningHub, clinic: Clinic) -> Patient:
    """A patient of the practice system's, and the hub's own templates."""
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await install_defaults(work)
    patient = await add_patient(hub.house, clinic)
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        (await work.session.get_one(Patient, patient.id)).external_id = "P-7"
    return patient


@pytest.mark.parametrize(("kind", "said", "topic", "reference"), KINDS, ids=[kind for kind, *_ in KINDS])
async def test_each_kind_is_one_call_and_one_message_however_often_it_is_made(
    program: httpx.AsyncClient, sara: Patient, kind: str, said: dict[str, Any], topic: str, reference: str | None
) -> None:
    key = {"Idempotency-Key": "once"}
    answer = await program.post(f"{PATH}/{kind}", json={"patient": {"id": str(sara.id)}} | said, headers=key)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert answer.headers["location"] == f"/api/v1/messages/{found['id']}"
    assert (found["code"], found["topic"], found["state"]) == (kind, topic, "queued")
    assert found["patient"] == {"id": str(sara.id), "name": "Sara Doe"}
    assert reference is None or found["reference"] == reference
    again = await program.post(f"{PATH}/{kind}", json={"patient": {"id": str(sara.id)}} | said, headers=key)
    assert again.json()["id"] == found["id"]
    if found["reference"]:
        by_name = await program.post(f"{PATH}/{kind}", json={"patient": {"external_id": "P-7"}} | said)
        assert by_name.json()["id"] == found["id"], "whoever forgets the key sends it once as well"
    story = (await program.get(answer.headers["location"])).json()
    assert story["asked"]["values"]["link"] == LINK


async def test_how_it_is_sent_may_be_said(program: httpx.AsyncClient, sara: Patient) -> None:
    how = {"channels": ["email"], "send_at": "2031-03-01T09:00:00+03:00", "reference": "R-1", "department": "Billing"}
    body = {"patient": {"external_id": "P-7"}} | DUE | how
    found = (await program.post(f"{PATH}/invoice_issued", json=body)).json()
    assert (found["channels"], found["reference"], found["department"]) == (["email"], "R-1", "Billing")
    assert found["send_at"] == "2031-03-01T06:00:00+00:00"


async def test_news_go_to_whom_asked_for_them_and_who_did_not_is_seen(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    body = {"patient": {"id": str(sara.id)}, "announcement": "We open on Saturdays.", "link": LINK}
    ids = [(await program.post(f"{PATH}/announcement", json=body)).json()["id"]]
    await deliver_due(hub.house.courier, clinic.id, "bulk")
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await choose(work, sara.id, topic=Topic.MARKETING, allowed=True, source="api")
    ids.append((await program.post(f"{PATH}/announcement", json=body)).json()["id"])
    ended = [(await program.get(f"/api/v1/messages/{each}")).json() for each in ids]
    assert [(each["state"], each["reason"]) for each in ended] == [("skipped", "no_opt_in"), ("queued", None)]


async def test_an_invoice_that_was_told_to_somebody_else_is_refused(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, sara: Patient
) -> None:
    other = await add_patient(hub.house, clinic)
    await program.post(f"{PATH}/invoice_issued", json={"patient": {"id": str(sara.id)}} | DUE)
    problem(await program.post(f"{PATH}/invoice_issued", json={"patient": {"id": str(other.id)}} | DUE), 409)


async def test_what_does_not_fit_is_refused_by_its_name(program: httpx.AsyncClient, sara: Patient) -> None:
    for kind, spoiled, field in SPOILED:
        whole = {"patient": {"id": str(sara.id)}} | next(said for name, said, *_ in KINDS if name == kind)
        errors: Any = problem(await program.post(f"{PATH}/{kind}", json=whole | spoiled), 422)["errors"]
        assert field in [error["field"] for error in errors], spoiled


async def test_money_of_three_decimal_places_keeps_them(program: httpx.AsyncClient, sara: Patient) -> None:
    dinars = {"amount": {"amount": "12.345", "currency": "KWD"}}
    body = {"patient": {"id": str(sara.id)}} | DUE | dinars
    found = (await program.post(f"{PATH}/invoice_issued", json=body)).json()
    story = (await program.get(f"/api/v1/messages/{found['id']}")).json()
    assert story["asked"]["values"]["amount"] == dinars["amount"]


async def test_an_unknown_kind_is_not_there_and_says_what_is(program: httpx.AsyncClient, sara: Patient) -> None:
    refused = problem(await program.post(f"{PATH}/birthday", json={"patient": {"id": str(sara.id)}}), 404)
    assert "payment_reminder" in str(refused["detail"])


async def test_a_clinic_without_words_for_it_is_told_so(hub: RunningHub, other_clinic: Clinic) -> None:
    patient = await add_patient(hub.house, other_clinic)
    async with program_of(hub, await make_key(hub.house, other_clinic)) as theirs:
        problem(
            await theirs.post(f"{PATH}/results_ready", json={"patient": {"id": str(patient.id)}, "link": LINK}), 422
        )


async def test_who_only_reads_sends_none(hub: RunningHub, clinic: Clinic, sara: Patient) -> None:
    key = await make_key(hub.house, clinic, frozenset({Permission.MESSAGES_READ}))
    async with program_of(hub, key) as reader:
        body = {"patient": {"id": str(sara.id)}} | DUE
        problem(await reader.post(f"{PATH}/invoice_issued", json=body), 403)
