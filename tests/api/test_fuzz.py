"""Whatever comes in as a body: an answer that was thought of, never a fault."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.requests import NOTICE, booking
from tests.conftest import RunningHub
from tests.factories import Clinic, book_visit, make_key, open_clinic
from tests.visitors import browser_of, program_of

EXPECTED = {200, 201, 204, 400, 404, 409, 413, 422}

# Texts that break something somewhere: NUL and half surrogates are nothing that Postgres takes.
nasty = st.sampled_from(
    ["", "\x00", "\ud800", "a\x00b", "٣", "\u202e", "é" * 300, "' OR 1=1 --", "%", "🩺", "2026-02-30"]
)
text = nasty | st.text(st.characters(), max_size=40)
scalar = st.none() | st.booleans() | st.integers() | st.floats() | text | st.integers(10**18, 10**40)
anything = st.recursive(scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4))


def spoiled(right: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Something right with a few fields changed, taken away or added, at any depth."""

    def change(fields: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        kept = {
            name: st.just(value) | (change(value) if isinstance(value, dict) else anything) | anything
            for name, value in fields.items()
        }
        whole = st.fixed_dictionaries({}, optional=kept)
        return st.tuples(whole, st.dictionaries(text, anything, max_size=1)).map(lambda both: {**both[0], **both[1]})

    return change(right) | anything


@pytest.fixture(scope="module")
async def fuzzed(hub: RunningHub) -> Clinic:
    return await open_clinic(hub.house)


def encoded(body: Any) -> bytes:
    """JSON as a sloppy program writes it: half surrogates, NaN and all."""
    return json.dumps(body).encode("utf-8", "surrogatepass")


async def send(hub: RunningHub, method: str, path: str, body: Any, key: str | None, clinic: Clinic) -> httpx.Response:
    headers = {"content-type": "application/json"}
    async with program_of(hub, key) if key else browser_of(hub, clinic.admin) as client:
        return await client.request(method, path, content=encoded(body), headers=headers)


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@examples(60)
@given(data=st.data())
async def test_a_booking(hub: RunningHub, fuzzed: Clinic, data: st.DataObject) -> None:
    right = booking(fuzzed, minutes=30, external_id="E", clearance="cleared", consent="signed")
    patient = {"name": "Sara", "external_id": "P", "language": "ar", "phone": "+966501234567", "email": "a@example.org"}
    body = data.draw(spoiled(right | {"patient": patient, "version": 1, "tell": False}))
    key = await make_key(hub.house, fuzzed)
    assert (await send(hub, "POST", "/api/v1/appointments", body, key, fuzzed)).status_code in EXPECTED


@examples(60)
@given(data=st.data())
async def test_a_notice(hub: RunningHub, fuzzed: Clinic, data: st.DataObject) -> None:
    related = {"type": "x", "id": str(fuzzed.id), "link": "/x"}
    right = NOTICE | {"body": "", "kind": "system", "level": "info", "related": related, "facts": {"a": 1}}
    body = data.draw(spoiled(right))
    key = await make_key(hub.house, fuzzed)
    assert (await send(hub, "POST", "/api/v1/notifications", body, key, fuzzed)).status_code in EXPECTED


@examples(60)
@given(data=st.data())
async def test_a_step_of_a_visit(hub: RunningHub, fuzzed: Clinic, data: st.DataObject) -> None:
    steps: dict[str, dict[str, Any]] = {
        "arrive": {"clearance": "cleared", "consent": "signed", "version": 1},
        "move": {"starts_at": "2031-03-01T07:00:00Z", "minutes": 5, "clinician_id": str(fuzzed.huda.id), "reason": "x"},
        "complete": {"next_steps": "Rest.", "version": 1},
        "cancel": {"reason": "Ill", "version": 1},
        "undo": {},
    }
    step = data.draw(st.sampled_from(sorted(steps)))
    body = data.draw(spoiled(steps[step]))
    visit = await book_visit(hub.house, fuzzed)
    path = f"/api/v1/appointments/{visit.id}/{step}"
    assert (await send(hub, "POST", path, body, None, fuzzed)).status_code in EXPECTED


@examples(40)
@given(data=st.data())
async def test_people_keys_tokens_and_marks(hub: RunningHub, fuzzed: Clinic, data: st.DataObject) -> None:
    person = {"email": "a@example.org", "name": "A", "role": "provider", "language": "en", "password": "short"}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/api/v1/staff", person),
        ("PATCH", f"/api/v1/staff/{fuzzed.huda.id}", {"role": "provider", "active": True, "language": "en"}),
        ("POST", "/api/v1/keys", {"name": "A", "scopes": ["staff:read"]}),
        ("POST", "/api/v1/notifications/read", {"ids": [str(fuzzed.id)]}),
        ("POST", "/api/v1/notifications/read-all", {"upto": 5}),
    ]
    method, path, right = data.draw(st.sampled_from(ways))
    answer = await send(hub, method, path, data.draw(spoiled(right)), None, fuzzed)
    assert answer.status_code in EXPECTED, answer.text


@examples(40)
@given(body=st.binary(max_size=60))
async def test_bytes(hub: RunningHub, fuzzed: Clinic, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    async with browser_of(hub, fuzzed.admin) as client:
        answer = await client.post("/api/v1/notifications", content=body, headers=headers)
    assert answer.status_code in {400, 422}


@examples(60)
@given(
    path=st.sampled_from(
        [
            "/api/v1/notifications",
            "/api/v1/appointments",
            "/api/v1/staff",
            "/api/v1/keys",
            "/console/notifications",
            "/console/arrivals",
            "/console/people",
            "/sign-in",
        ]
    ),
    query=st.dictionaries(
        st.sampled_from(
            [
                "limit",
                "after",
                "before",
                "day",
                "since",
                "until",
                "state",
                "kind",
                "q",
                "clinician_id",
                "external_id",
                "next",
            ]
        ),
        st.text(st.characters(codec="utf-8"), max_size=30)
        | st.sampled_from(["\x00", "//[", "WzEsMl0", "WyJcdTAwMDAiXQ"]),
        max_size=2,
    ),
)
async def test_a_query(hub: RunningHub, fuzzed: Clinic, path: str, query: dict[str, str]) -> None:
    async with browser_of(hub, fuzzed.admin) as client:
        answer = await client.get(path, params=query)
    assert answer.status_code in {200, 303, 422}, answer.text


@examples(40)
@given(
    path=st.sampled_from(
        ["/language", "/theme", "/console/account/shortcuts", "/console/notifications/mark", "/console/people/keys"]
    ),
    form=st.dictionaries(
        st.sampled_from(["language", "theme", "next", "shortcuts", "ids", "as", "name", "scopes"]),
        st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(["\x00", "read", "//[", "en", "ar"]),
        max_size=3,
    ),
)
async def test_a_form(hub: RunningHub, fuzzed: Clinic, path: str, form: dict[str, str]) -> None:
    async with browser_of(hub, fuzzed.admin) as client:
        answer = await client.post(path, data=form)
    assert answer.status_code in {200, 303, 404, 422}, answer.text
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith(("//", "/\\"))
