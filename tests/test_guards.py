"""What stands before every request: strict headers, the origin rule, limits, and a net for faults."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from hub.app import refuse
from hub.guards import CONTENT_SECURITY, HEADERS, LARGEST_BODY, Faults, LimitedBodies, OwnOrigin, StrictHeaders
from tests.conftest import RunningHub
from tests.factories import Clinic
from tests.visitors import browser_of, problem

OWN = "https://hub.example"


async def fail(_request: Request) -> Response:
    raise RuntimeError("Sara Doe")


async def echo(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())}", headers={"Content-Security-Policy": "default-src *"})


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A small app behind the same guards as the hub."""
    app = Starlette(
        routes=[
            Route("/api/fail", fail, methods=["GET", "POST"]),
            Route("/api/echo", echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ],
        middleware=[
            Middleware(StrictHeaders, https=True),
            Middleware(Faults, refuse=refuse),
            Middleware(OwnOrigin, refuse=refuse, origins=frozenset({OWN})),
            Middleware(LimitedBodies, refuse=refuse),
        ],
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=OWN, headers={"origin": OWN}) as client:
        yield client


async def test_a_fault_is_a_plain_500_that_says_nothing(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.get("/api/fail")
    problem(answer, 500)
    assert "Sara" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_a_fault_after_the_answer_began_does_not_begin_another() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def fail_midway(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("Sara Doe")

    await Faults(fail_midway, refuse)({"type": "http", "path": "/"}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_a_fault_on_a_socket_ends_it_quietly() -> None:
    async def fail_at_once(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("Sara Doe")

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is sent")

    await Faults(fail_at_once, refuse)({"type": "websocket", "path": "/live"}, receive, send)


async def test_every_answer_of_the_hub_has_the_strict_headers(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.desk) as client:
        for method, path in (
            ("GET", "/console/arrivals"),
            ("GET", "/sign-in"),
            ("GET", "/nothing"),
            ("GET", "/console/people"),
            ("GET", "/api/v1/me"),
            ("GET", "/api/v1/nothing"),
            ("POST", "/language"),
            ("GET", "/assets/css/base.css"),
            ("GET", "/assets/css/nothing.css"),
            ("GET", "/health/live"),
        ):
            answer = await client.request(method, path)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, f"{path}: {name}"
            assert "cache-control" in answer.headers
            assert "strict-transport-security" not in answer.headers, "nothing to promise without TLS"
        client.headers["origin"] = "https://elsewhere.example"
        refused = await client.post("/sign-out")
        assert refused.status_code == 403
        assert refused.headers["content-security-policy"] == CONTENT_SECURITY


def test_pages_reach_nothing_off_their_origin() -> None:
    rules = dict(rule.strip().partition(" ")[::2] for rule in CONTENT_SECURITY.split(";"))
    assert rules["default-src"] == "'none'"
    assert {source for rule in rules.values() for source in rule.split()} <= {"'none'", "'self'", "data:"}
    assert "data:" not in rules["script-src"]
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"


async def test_over_tls_browsers_are_told_to_stay_there(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.get("/api/echo")
    assert "max-age=31536000" in answer.headers["strict-transport-security"]
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY, "no route loosens it"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"origin": OWN}, True),
        ({"origin": OWN.upper()}, False),
        ({"origin": f"{OWN}:443"}, False),
        ({"origin": f"{OWN}.elsewhere.example"}, False),
        ({"origin": "http://hub.example"}, False),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, False),
        ({}, False),
        ({"origin": "https://elsewhere.example", "authorization": "Bearer hub_x"}, True),
        ({"origin": "https://elsewhere.example", "authorization": "Basic eDp5"}, False),
        ({"referer": f"{OWN}/console"}, False),
    ],
)
async def test_a_changing_request_is_from_our_own_pages_or_has_a_key(
    guarded: httpx.AsyncClient, method: str, headers: dict[str, str], passes: bool
) -> None:
    del guarded.headers["origin"]
    answer = await guarded.request(method, "/api/echo", headers=headers)
    assert answer.status_code == (200 if passes else 403)


async def test_reading_takes_no_origin(guarded: httpx.AsyncClient) -> None:
    for headers in ({}, {"origin": "https://elsewhere.example"}):
        answer = await guarded.get("/api/echo", headers=headers)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("length", ["65537", "9" * 30, "-1", "x", "1e3", "٣"])
async def test_a_length_that_cannot_be_is_refused_unread(guarded: httpx.AsyncClient, length: str) -> None:
    headers = httpx.Headers([(b"content-length", length.encode())])
    assert (await guarded.post("/api/echo", content=b"x", headers=headers)).status_code == 413


@pytest.mark.parametrize(("size", "status"), [(LARGEST_BODY, 200), (LARGEST_BODY + 1, 413)])
async def test_a_body_is_counted_while_it_is_read(guarded: httpx.AsyncClient, size: int, status: int) -> None:
    async def parts() -> AsyncIterator[bytes]:
        left = size
        while left:
            yield b"x" * min(left, 10_000)
            left -= min(left, 10_000)

    answer = await guarded.post("/api/echo", content=parts())
    assert answer.status_code == status
