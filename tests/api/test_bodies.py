"""Bodies: what is not JSON, not of the right types, too large; each refused by name, and nothing half-written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hub.guards import LARGEST_BODY
from tests.api.requests import NOTICE, booking
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic
from tests.visitors import problem

# Written out: every worker of a run has to give the same names to the same tests.
NOBODY = "7d97be40-4231-46e6-8494-6aa323d8f595"

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"{'title': 'x'}",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"title": "half a \\ud800 pair"}',
        b'{"title": "\\x"}',
        b'{"title": "raw \x01 control"}',
        b"{} {}",
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b"1" * 5000,
    ],
    ids=lambda body: repr(body[:16]),
)
async def test_what_is_not_json_is_malformed(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, body: bytes
) -> None:
    before = await count_rows(hub.house, clinic)
    found = problem(await program.post("/api/v1/notifications", content=body, headers=JSON), 400)
    assert found["type"] == "urn:hub:problem:malformed"
    assert await count_rows(hub.house, clinic) == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
async def test_another_content_type_is_refused(program: httpx.AsyncClient, kind: str) -> None:
    body = json.dumps(NOTICE)
    headers = {"content-type": kind} if kind else {}
    found = problem(await program.post("/api/v1/notifications", content=body, headers=headers), 400)
    assert "application/json" in str(found["detail"])


async def test_a_content_type_may_name_its_charset_and_be_in_capitals(program: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    answer = await program.post("/api/v1/notifications", content=json.dumps(NOTICE), headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize("body", [[], "text", 1, None, True, [NOTICE]], ids=repr)
async def test_a_body_is_an_object(program: httpx.AsyncClient, body: Any) -> None:
    problem(await program.post("/api/v1/notifications", json=body), 422)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("title", {"title": None}),
        ("title", {"title": 5}),
        ("title", {"title": ""}),
        ("title", {"title": " \t"}),
        ("title", {"title": "x" * 201}),
        ("title", {"title": ["x"]}),
        ("title", {"title": "two\nlines"}),
        ("title", {"title": "a \x00 inside"}),
        ("title", {"title": "a \x1b[31m inside"}),
        ("body", {"body": "x" * 4001}),
        ("body", {"body": "\x00"}),
        ("kind", {"kind": "gossip"}),
        ("kind", {"kind": 1}),
        ("level", {"level": "loud"}),
        ("priority", {"priority": "urgent"}),
        ("to", {"to": {}}),
        ("to", {"to": None}),
        ("to", {"to": {"role": "provider", "people": [NOBODY]}}),
        ("to.role", {"to": {"role": "patient"}}),
        ("to.people", {"to": {"people": []}}),
        ("to.people.0", {"to": {"people": ["nobody"]}}),
        ("to.people.0", {"to": {"people": [7]}}),
        ("to", {"to": {"role": "provider", "everybody": True}}),
        ("to.everyone", {"to": {"role": "provider", "everyone": True}}),
        ("to.people", {"to": {"people": [NOBODY]}}),
        ("related.id", {"related": {"type": "appointment", "id": "x"}}),
        ("related.type", {"related": {"type": "", "id": NOBODY}}),
        ("related.link", {"related": {"type": "a", "id": NOBODY, "link": "https://elsewhere.example"}}),
        ("related.link", {"related": {"type": "a", "id": NOBODY, "link": "//elsewhere.example"}}),
        ("related.link", {"related": {"type": "a", "id": NOBODY, "link": "/\\elsewhere.example"}}),
        ("related.link", {"related": {"type": "a", "id": NOBODY, "link": "javascript:alert(1)"}}),
        ("related.link", {"related": {"type": "a", "id": NOBODY, "link": "/a\nb"}}),
        ("facts", {"facts": {f"f{index}": 1 for index in range(21)}}),
        ("facts", {"facts": []}),
        ("facts", {"facts": {"clearance": "perhaps"}}),
        ("facts", {"facts": {"consent": True}}),
        ("surprise", {"surprise": 1}),
    ],
    ids=lambda each: json.dumps(each)[:50] if isinstance(each, dict) else each,
)
async def test_a_field_that_cannot_be_accepted_is_named(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, field: str, change: dict[str, Any]
) -> None:
    before = await count_rows(hub.house, clinic)
    found = problem(await program.post("/api/v1/notifications", json=NOTICE | change), 422)
    assert field in {error["field"] for error in found["errors"]}  # type: ignore[attr-defined]
    assert await count_rows(hub.house, clinic) == before


@pytest.mark.parametrize(
    "facts", [{"a": "\x00"}, {"a": "x" * 501}, {"a": 1.5}, {"a": []}, {"a": {}}, {"\x00": 1}, {"": 1}]
)
async def test_facts_are_short_and_plain(program: httpx.AsyncClient, facts: dict[str, Any]) -> None:
    problem(await program.post("/api/v1/notifications", json=NOTICE | {"facts": facts}), 422)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("patient", {"patient": None}),
        ("patient", {"patient": {}}),
        ("patient.name", {"patient": {"name": "Sara\x00"}}),
        ("patient.name", {"patient": {"name": "Sara\tDoe"}}),
        ("patient.name", {"patient": {"name": 5}}),
        ("patient.language", {"patient": {"name": "Sara", "language": "fr"}}),
        ("patient.external_id", {"patient": {"name": "Sara", "external_id": ""}}),
        ("patient.external_id", {"patient": {"name": "Sara", "external_id": "x" * 129}}),
        ("patient.born", {"patient": {"name": "Sara", "born": "1990-01-01"}}),
        ("clinician_id", {"clinician_id": "nobody"}),
        ("clinician_id", {"clinician_id": NOBODY}),
        ("starts_at", {"starts_at": "tomorrow"}),
        ("starts_at", {"starts_at": "2026-11-21T06:30:00"}),
        ("starts_at", {"starts_at": 1_800_000_000}),
        ("starts_at", {"starts_at": "0001-01-01T00:00:00+14:00"}),
        ("starts_at", {"starts_at": "9999-12-31T23:59:59-14:00"}),
        ("starts_at", {"starts_at": "1999-12-31T23:59:59Z"}),
        ("minutes", {"minutes": 0}),
        ("minutes", {"minutes": -5}),
        ("minutes", {"minutes": 1441}),
        ("minutes", {"minutes": "30"}),
        ("minutes", {"minutes": 30.5}),
        ("minutes", {"minutes": True}),
        ("minutes", {"minutes": 10**30}),
        ("clearance", {"clearance": "maybe"}),
        ("consent", {"consent": None}),
        ("state", {"state": "arrived"}),
    ],
    ids=lambda each: json.dumps(each)[:50] if isinstance(each, dict) else each,
)
async def test_a_booking_that_cannot_be_accepted_books_nothing(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, field: str, change: dict[str, Any]
) -> None:
    before = await count_rows(hub.house, clinic)
    found = problem(await program.post("/api/v1/appointments", json=booking(clinic, **change)), 422)
    assert field in {error["field"] for error in found["errors"]}  # type: ignore[attr-defined]
    assert await count_rows(hub.house, clinic) == before


async def test_a_refusal_names_what_is_accepted_and_never_repeats_what_came(program: httpx.AsyncClient) -> None:
    answer = await program.post("/api/v1/notifications", json=NOTICE | {"level": "Sara Doe", "title": "Sara Doe" * 99})
    found = problem(answer, 422)
    assert "Sara" not in answer.text
    accepted = {error["field"]: error.get("accepted") for error in found["errors"]}  # type: ignore[attr-defined]
    assert "info" in accepted["level"][0]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("path", ["/api/v1/notifications", "/api/v1/appointments", "/sign-in"])
async def test_a_body_that_is_too_large_is_refused(
    hub: RunningHub, clinic: Clinic, program: httpx.AsyncClient, declared: bool, path: str
) -> None:
    before = await count_rows(hub.house, clinic)
    body = b'{"title":"' + b"x" * LARGEST_BODY + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    kind = {"content-type": "application/x-www-form-urlencoded"} if path == "/sign-in" else JSON
    answer = await program.post(path, content=body if declared else chunks(), headers=kind)
    if path == "/sign-in":
        assert answer.status_code == 413
        assert answer.headers["content-type"].startswith("text/html")
    else:
        assert problem(answer, 413)["type"] == "urn:hub:problem:too-large"
    assert await count_rows(hub.house, clinic) == before


async def test_a_body_of_exactly_the_largest_size_is_read(program: httpx.AsyncClient) -> None:
    body = json.dumps(NOTICE).encode()
    answer = await program.post("/api/v1/notifications", content=body.ljust(LARGEST_BODY), headers=JSON)
    assert answer.status_code == 201
