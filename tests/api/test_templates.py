"""`/api/v1/templates`: drafts, versions, previews, tests and figures; who may is told by test_surface.py."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.channels.vendor import Channel
from hub.messages.tables import Message
from tests.api.rows import count_rows
from tests.api.test_fuzz import EXPECTED, examples, send, spoiled
from tests.conftest import RunningHub
from tests.factories import Clinic, add_patient, make_key, open_clinic, write_template
from tests.messages.rows import make_message, make_request
from tests.visitors import problem, program_of

PATH = "/api/v1/templates"


def words(english: str = "Hello { $patient }", arabic: str = "مرحبًا { $patient }", **changes: Any) -> dict[str, Any]:
    """A wording that passes the checks, unless spoilt."""
    variable = {"name": "patient", "type": "text", "privacy": "personal", "example": "Sara"}
    return {"bodies": {"en": english, "ar": arabic}, "variables": [variable]} | changes


def new(code: str = "greeting", **changes: Any) -> dict[str, Any]:
    """A template to make."""
    return {"code": code, "channel": "sms", "topic": "reminders"} | words(**changes)


async def test_a_template_begins_as_a_draft_and_goes_out_when_published(program: httpx.AsyncClient) -> None:
    made = await program.post(PATH, json=new(note="First words"))
    assert made.status_code == 201, made.text
    found = made.json()
    assert found["published"] is None
    assert (found["draft"]["version"], found["draft"]["note"], found["active"]) == (1, "First words", True)
    here = made.headers["location"]
    published = await program.post(f"{here}/publish")
    assert (published.json()["state"], published.json()["version"]) == ("published", 1)
    problem(await program.post(f"{here}/publish"), 409)
    shown = (await program.get(here)).json()
    assert shown["draft"] is None
    assert shown["published"]["bodies"] == words()["bodies"]
    assert [each["state"] for each in shown["versions"]] == ["published"]


async def test_each_version_says_what_it_changed(program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    shown = (await program.get(here)).json()
    assert [(each["version"], each["state"]) for each in shown["versions"]] == [
        (3, "draft"),
        (2, "published"),
        (1, "superseded"),
    ]
    assert shown["versions"][1]["changes"][0] == {
        "field": "bodies.en",
        "lines": [
            {"change": "gone", "words": "Hello { $patient }, we are open."},
            {"change": "new", "words": "Dear { $patient }, we are open."},
        ],
    }
    assert shown["versions"][2]["changes"] == []


async def test_versions_come_in_pages(program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic, greetings=('A', 'B', 'C', 'D', 'E'))}"
    first = (await program.get(here, params={"limit": 2})).json()
    rest = (await program.get(here, params={"limit": 3, "before": first["before"]})).json()
    assert [each["version"] for each in first["versions"] + rest["versions"]] == [5, 4, 3, 2, 1]
    assert first["versions"][1]["changes"], "the last of a page is compared with the first of the next"
    assert rest["before"] is None
    problem(await program.get(here, params={"before": "x"}), 422)


async def test_an_earlier_version_comes_back_and_the_draft_stays(
    program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic
) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    back = (await program.post(f"{here}/roll-back", json={"version": 1})).json()
    assert back["bodies"]["en"] == "Hello { $patient }, we are open."
    shown = (await program.get(here)).json()
    assert shown["published"]["id"] == back["id"]
    assert shown["draft"]["bodies"]["en"].startswith("Good day,")
    problem(await program.post(f"{here}/roll-back", json={"version": back["version"]}), 409)
    problem(await program.post(f"{here}/roll-back", json={"version": 99}), 404)
    problem(await program.post(f"{here}/roll-back", json={"version": "1"}), 422)


async def test_a_draft_is_written_over_and_thrown_away(program: httpx.AsyncClient) -> None:
    here = (await program.post(PATH, json=new())).headers["location"]
    problem(await program.delete(f"{here}/draft"), 409)
    await program.post(f"{here}/publish")
    first = (await program.put(f"{here}/draft", json=words("Hi { $patient }"))).json()
    second = (await program.put(f"{here}/draft", json=words("Hey { $patient }"))).json()
    assert (first["id"], second["bodies"]["en"]) == (second["id"], "Hey { $patient }")
    assert (await program.delete(f"{here}/draft")).status_code == 204
    assert (await program.get(here)).json()["draft"] is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (words("Hello { $nobody }"), {"bodies.en", "bodies.ar"}),
        (words(arabic=""), {"bodies.ar"}),
        (words(arabic="مرحبًا"), {"bodies.ar"}),
        (words("Hello { $patient"), {"bodies.en"}),
        (words("x" * 1000 + " { $patient }"), {"bodies.en"}),
        (words(subjects={"en": "Hello", "ar": "مرحبًا"}), {"subjects"}),
        (words(vendor_refs={"en": "HX1"}), {"vendor_refs"}),
        (words(bodies={"en": "Hello", "ar": "مرحبًا", "fr": "Bonjour"}, variables=[]), {"bodies.fr"}),
        (words(note="x" * 501), {"note"}),
    ],
    ids=["undeclared", "missing", "unequal", "unreadable", "long", "subject", "reference", "language", "note"],
)
async def test_what_cannot_go_out_is_not_saved(
    program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic, body: dict[str, Any], fields: set[str]
) -> None:
    here = (await program.post(PATH, json=new())).headers["location"]
    before = await count_rows(hub.house, clinic)
    for answer in (
        await program.put(f"{here}/draft", json=body),
        await program.post(PATH, json=new("another") | body),
    ):
        errors: Any = problem(answer, 422)["errors"]
        assert fields <= {error["field"] for error in errors}
    assert await count_rows(hub.house, clinic) == before


async def test_a_health_value_stands_neither_in_a_message_nor_a_personal_one_in_a_subject(
    program: httpx.AsyncClient,
) -> None:
    finding = {"name": "finding", "type": "text", "privacy": "health", "example": "x"}
    body = words("{ $finding }", "{ $finding }", variables=[finding])
    problem(await program.post(PATH, json=new() | body), 422)
    subjects = {"en": "For { $patient }", "ar": "إلى { $patient }"}
    errors: Any = problem(await program.post(PATH, json=new(subjects=subjects) | {"channel": "email"}), 422)["errors"]
    assert {error["field"] for error in errors} == {"subjects.en", "subjects.ar"}


async def test_an_occasion_has_one_template_for_a_channel(program: httpx.AsyncClient) -> None:
    assert (await program.post(PATH, json=new())).status_code == 201
    problem(await program.post(PATH, json=new()), 409)
    assert (await program.post(PATH, json=new() | {"channel": "whatsapp"})).status_code == 201


async def test_the_same_request_makes_one_template(program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic) -> None:
    answers = [await program.post(PATH, json=new(), headers={"idempotency-key": "one"}) for _ in range(2)]
    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    assert (await count_rows(hub.house, clinic))["templates"] == 1


async def test_the_list_goes_by_code_and_channel_in_pages(
    program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic, other_clinic: Clinic
) -> None:
    for code in ("b_visit", "a_visit"):
        for channel in (Channel.SMS, Channel.EMAIL):
            await write_template(hub.house, clinic, code, channel)
    foreign = await write_template(hub.house, other_clinic)
    seen: list[tuple[str, str]] = []
    after = None
    while True:
        page = (await program.get(PATH, params={"limit": 3} | ({"after": after} if after else {}))).json()
        seen += [(each["code"], each["channel"]) for each in page["items"]]
        after = page["after"]
        if after is None:
            break
    assert seen == [("a_visit", "email"), ("a_visit", "sms"), ("b_visit", "email"), ("b_visit", "sms")]
    for query, count in (
        ({"q": "A_VI"}, 2),
        ({"channel": "sms"}, 2),
        ({"active": "false"}, 0),
        ({"topic": "billing"}, 0),
    ):
        assert len((await program.get(PATH, params=query)).json()["items"]) == count, query
    problem(await program.get(f"{PATH}/{foreign}"), 404)
    problem(await program.get(PATH, params={"channel": "fax"}), 422)
    problem(await program.get(PATH, params={"after": "x"}), 422)


async def test_one_that_was_sent_stays_and_is_switched_off(
    program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic
) -> None:
    used, unused = [await write_template(hub.house, clinic, code) for code in ("used", "unused")]
    version = (await program.get(f"{PATH}/{used}")).json()["published"]["id"]
    await went_out(hub, clinic, version, "delivered")
    problem(await program.delete(f"{PATH}/{used}"), 409)
    assert (await program.delete(f"{PATH}/{unused}")).status_code == 204
    problem(await program.delete(f"{PATH}/{unused}"), 404)
    assert (await program.patch(f"{PATH}/{used}", json={"active": False})).json()["active"] is False
    problem(await program.patch(f"{PATH}/{used}", json={"code": "other"}), 422)


async def went_out(hub: RunningHub, clinic: Clinic, version: str, state: str, **changes: Any) -> None:
    """A message that went out by a version."""
    patient = await add_patient(hub.house, clinic)
    message = await make_message(hub.house, clinic, patient, state=state)
    await make_request(
        hub.house, clinic, message, state=state, template_version_id=uuid.UUID(version), cost="0.0075", **changes
    )


async def test_figures_are_of_the_days_asked_for(program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    nothing = (await program.get(f"{here}/usage")).json()
    assert (nothing["sent"], nothing["last_used_at"], nothing["costs"]) == (0, None, {})
    version = (await program.get(here)).json()["published"]["id"]
    for state in ("delivered", "read", "failed"):
        await went_out(hub, clinic, version, state)
    await went_out(hub, clinic, version, "delivered", started_at=hub.house.clock() - timedelta(days=3))
    found = (await program.get(f"{here}/usage", params={"days": 2})).json()
    assert (found["sent"], found["delivered"], found["failed"]) == (3, 2, 1)
    assert (await program.get(f"{here}/usage", params={"days": 4})).json()["sent"] == 4
    for days in ("0", "367", "x"):
        problem(await program.get(f"{here}/usage", params={"days": days}), 422)
    problem(await program.get(f"{PATH}/{uuid.uuid4()}/usage"), 404)


async def test_a_preview_shows_both_languages_and_their_parts(program: httpx.AsyncClient) -> None:
    body = {"channel": "sms"} | words("It’s { $patient }.", "مرحبًا { $patient }")
    shown = (await program.post(f"{PATH}/preview", json=body)).json()
    english, arabic = shown["languages"]["en"], shown["languages"]["ar"]
    assert english["text"] == "It’s Sara."
    assert english["segments"] == {"encoding": "ucs2", "units": 10, "parts": 1, "odd_characters": ["’"]}
    assert arabic["text"] == "مرحبًا \u2068Sara\u2069"
    assert shown["errors"] == []


async def test_a_preview_takes_values_of_its_own(program: httpx.AsyncClient) -> None:
    body = {"channel": "sms", "values": {"patient": "Noura"}} | words()
    assert (await program.post(f"{PATH}/preview", json=body)).json()["languages"]["en"]["text"] == "Hello Noura"


async def test_a_preview_says_what_is_wrong_and_shows_what_it_can(
    program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic
) -> None:
    before = await count_rows(hub.house, clinic)
    shown = (await program.post(f"{PATH}/preview", json={"channel": "sms"} | words(arabic="{ $x"))).json()
    assert shown["languages"]["en"]["text"] == "Hello Sara"
    assert shown["languages"]["ar"]["errors"][0]["field"] == "bodies.ar"
    assert "bodies.ar" in {error["field"] for error in shown["errors"]}
    assert await count_rows(hub.house, clinic) == before


async def test_an_email_is_previewed_as_html_from_right_to_left(program: httpx.AsyncClient) -> None:
    body = {"channel": "email"} | words(subjects={"en": "We are open", "ar": "نستقبلكم"})
    arabic = (await program.post(f"{PATH}/preview", json=body)).json()["languages"]["ar"]
    assert arabic["subject"] == "نستقبلكم"
    assert 'dir="rtl"' in arabic["html"]
    assert "segments" not in arabic


async def test_a_test_goes_to_ones_own_address_and_to_no_patient(
    program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic
) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    body = {"to": "٠٥٠ ١٢٣ ٤٥٦٧", "language": "ar", "version": 2}
    sent = await program.post(f"{here}/test", json=body)
    assert sent.status_code == 202, sent.text
    async with hub.house.database.of_tenant(clinic.id) as session:
        message = (await session.execute(select(Message))).scalar_one()
    assert str(message.id) == sent.json()["message_id"]
    assert (message.patient_id, message.channel, message.language) == (None, "sms", "ar")
    assert (await program.get(f"{here}/usage")).json()["sent"] == 0
    for spoilt in ({"to": "12"}, {"to": "someone@example.org"}, {"language": "fr"}, {"to": None}):
        errors: Any = problem(await program.post(f"{here}/test", json=body | spoilt), 422)["errors"]
        assert errors[0]["field"] in spoilt
    problem(await program.post(f"{here}/test", json=body | {"version": 9}), 404)


async def test_what_administrators_do_is_audited(program: httpx.AsyncClient, hub: RunningHub, clinic: Clinic) -> None:
    here = (await program.post(PATH, json=new())).headers["location"]
    await program.post(f"{here}/publish")
    await program.patch(here, json={"active": False})
    await program.delete(here)
    async with hub.house.database.of_tenant(clinic.id) as session:
        found = (await session.execute(select(AuditEntry.action).order_by(AuditEntry.number))).scalars()
        actions = [action for action in found if action.startswith("template.")]
    assert actions == ["template.added", "template.published", "template.switched", "template.deleted"]


async def test_nothing_of_another_clinic_is_touched(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    here = f"{PATH}/{await write_template(hub.house, clinic)}"
    async with program_of(hub, await make_key(hub.house, other_clinic)) as stranger:
        for method, path, body in (
            ("GET", here, None),
            ("GET", f"{here}/usage", None),
            ("PATCH", here, {"active": False}),
            ("DELETE", here, None),
            ("PUT", f"{here}/draft", words()),
            ("DELETE", f"{here}/draft", None),
            ("POST", f"{here}/publish", {}),
            ("POST", f"{here}/roll-back", {"version": 1}),
            ("POST", f"{here}/test", {"to": "+966501234567", "language": "en"}),
        ):
            problem(await stranger.request(method, path, json=body), 404)
        assert (await stranger.get(PATH)).json()["items"] == []


@pytest.mark.parametrize("nasty", ["a\x00b", "\ud800", "x" * 30_000], ids=["nul", "half", "long"])
async def test_what_no_text_may_hold_is_refused(program: httpx.AsyncClient, nasty: str) -> None:
    variable = words()["variables"][0]
    for body in (
        words(nasty),
        words(note=nasty),
        words(variables=[variable | {"example": nasty}]),
        words(variables=[variable | {"example": {"amount": nasty, "currency": "SAR"}}]),
        words(vendor_refs={"en": nasty}),
        words(bodies={nasty: "x"}),
    ):
        content = json.dumps(new() | body).encode("utf-8", "surrogatepass")
        answer = await program.post(PATH, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), answer.text


@pytest.fixture(scope="module")
async def fuzzed(hub: RunningHub) -> tuple[Clinic, str]:
    """A clinic with one template, and its address."""
    clinic = await open_clinic(hub.house)
    return clinic, f"{PATH}/{await write_template(hub.house, clinic)}"


@examples(80)
@given(data=st.data())
async def test_whatever_comes_in_is_answered_and_never_a_fault(
    hub: RunningHub, fuzzed: tuple[Clinic, str], data: st.DataObject
) -> None:
    clinic, here = fuzzed
    texts = {"bodies": {"en": "{ $a }", "ar": "{ $a }"}, "subjects": {}, "vendor_refs": {"en": "HX1"}, "note": ""}
    variable = {"name": "a", "type": "money", "privacy": "public", "example": {"amount": "1", "currency": "SAR"}}
    wording = texts | {"variables": [variable]}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", PATH, wording | {"code": "fuzzed", "channel": "whatsapp", "topic": "billing"}),
        ("PUT", f"{here}/draft", wording),
        ("POST", f"{PATH}/preview", wording | {"channel": "email", "values": {"a": 1}}),
        ("POST", f"{here}/test", {"to": "+966501234567", "language": "en", "version": 1, "values": {"patient": "x"}}),
        ("POST", f"{here}/roll-back", {"version": 1}),
        ("PATCH", here, {"active": True}),
    ]
    method, path, right = data.draw(st.sampled_from(ways))
    answer = await send(hub, method, path, data.draw(spoiled(right)), None, clinic)
    assert answer.status_code in EXPECTED | {202}, answer.text
