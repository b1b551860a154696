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
from hub.guards import (
    CONTENT_SECURITY,
    HEADERS,
    LARGER_BODIES,
    LARGEST_BODY,
    MAIL_SECURITY,
    Faults,
    Guests,
    LimitedBodies,
    OwnOrigin,
    StrictHeaders,
)
from tests.conftest import RunningHub
from tests.factories import Clinic
from tests.visitors import browser_of, problem

OWN = "https://hub.example"
GUEST = "https://practice.example"
ASKS = "/api/v1/notifications"


async def fail(_request: Request) -> Response:
    raise RuntimeError("Sara Doe")


async def echo(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())}", headers={"Content-Security-Policy": "default-src *"})


async def mail(_request: Request) -> Response:
    return PlainTextResponse("", headers={"Content-Security-Policy": MAIL_SECURITY})


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A small app behind the same guards as the hub."""
    app = Starlette(
        routes=[
            Route("/api/fail", fail, methods=["GET", "POST"]),
            Route("/api/echo", echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            Route("/api/mail", mail),
            *(Route(path, echo, methods=["POST"]) for path in LARGER_BODIES),
            Route(ASKS, echo, methods=["GET", "POST"]),
            Route(f"{ASKS}/fail", fail),
            Route("/live/poll", echo),
            Route("/u/{token}", echo, methods=["POST", "DELETE"]),
            Route("/p/{token}", fail, methods=["GET", "POST"]),
            Route("/v/{token}", fail, methods=["GET", "POST"]),
        ],
        middleware=[
            Middleware(StrictHeaders, https=True),
            Middleware(Guests, origins=frozenset({GUEST})),
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


async def test_who_leaves_while_asking_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_all(scope: Scope, receive: Receive, _send: Send) -> None:
        await Request(scope, receive).body()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        raise AssertionError("nobody is there")

    logged: list[str] = []
    monkeypatch.setattr("hub.guards.log.exception", lambda event, **_more: logged.append(event))
    await Faults(read_all, refuse)({"type": "http", "path": "/", "method": "POST", "headers": []}, receive, send)
    assert logged == []


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


async def test_a_mail_in_a_frame_runs_nothing_and_fetches_nothing(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.get("/api/mail")
    assert answer.headers["content-security-policy"] == MAIL_SECURITY
    rules = dict(rule.strip().partition(" ")[::2] for rule in MAIL_SECURITY.split(";"))
    assert (rules["default-src"], rules["frame-ancestors"]) == ("'none'", "'self'")
    assert "script-src" not in rules
    assert not {"allow-scripts", "allow-same-origin"} & set(rules["sandbox"].split())


@pytest.mark.parametrize(("path", "largest"), LARGER_BODIES.items())
async def test_a_body_that_may_be_larger_has_a_limit_too(guarded: httpx.AsyncClient, path: str, largest: int) -> None:
    assert largest > LARGEST_BODY
    assert (await guarded.post(path, content=bytes(largest))).status_code == 200
    problem(await guarded.post(path, content=bytes(largest + 1)), 413)


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


@pytest.mark.parametrize("headers", [{}, {"origin": "https://mail.example"}, {"origin": "null"}])
async def test_an_unsubscribe_link_is_proved_by_its_token_and_by_nothing_else(
    guarded: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    del guarded.headers["origin"]
    assert (await guarded.post("/u/token", headers=headers)).status_code == 200
    for path in ("/api/echo?/u/", "/api/echo#/u/", "/api/u/token"):
        assert (await guarded.post(path, headers=headers)).status_code == 403, path
    assert "access-control-allow-origin" not in (await guarded.post("/u/token", headers=headers)).headers


async def test_a_fault_names_no_token_in_the_log(guarded: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("hub.guards.log.exception", lambda _event, path, **_more: told.append(path))
    for path in ("/p/secret-token", "/v/secret-token", "/api/fail"):
        assert (await guarded.get(path)).status_code == 500
    assert told == ["/p/…", "/v/…", "/api/fail"]


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


def preflight(origin: str, method: str = "GET", headers: str = "authorization") -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}


@pytest.mark.parametrize("path", [ASKS, f"{ASKS}/read", f"{ASKS}/count", "/live/events", "/live/poll", "/live/say"])
async def test_a_guest_may_ask_what_a_bell_asks_and_never_with_a_cookie(guarded: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await guarded.options(path, headers=preflight(GUEST, method, "authorization, content-type"))
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == GUEST
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    "asked",
    [
        preflight("https://elsewhere.example"),
        preflight("http://practice.example"),
        preflight(f"{GUEST}:8443"),
        preflight(f"{GUEST}.elsewhere.example"),
        preflight("null"),
        preflight(GUEST, "DELETE"),
        preflight(GUEST, headers="cookie"),
        preflight(GUEST, headers="authorization, x-background"),
    ],
    ids=["other", "scheme", "port", "suffix", "null", "method", "cookie", "header"],
)
async def test_nobody_else_and_nothing_else_is_let_in(guarded: httpx.AsyncClient, asked: dict[str, str]) -> None:
    assert (await guarded.options(ASKS, headers=asked)).status_code == 400


@pytest.mark.parametrize("path", ["/", "/api/echo", "/api/v1/staff", "/api/v1/live-tokens", "/console", "/livepoll"])
async def test_a_guest_reads_nothing_beside_that(guarded: httpx.AsyncClient, path: str) -> None:
    for answer in (
        await guarded.options(path, headers=preflight(GUEST)),
        await guarded.get(path, headers={"origin": GUEST}),
    ):
        assert "access-control-allow-origin" not in answer.headers


async def test_a_guest_reads_refusals_too(guarded: httpx.AsyncClient) -> None:
    for path, status in ((f"{ASKS}/fail", 500), (f"{ASKS}/nothing", 404), (ASKS, 200)):
        answer = await guarded.get(path, headers={"origin": GUEST})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, GUEST)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY
    refused = await guarded.post(ASKS, headers={"origin": GUEST})
    assert refused.status_code == 403, "without a token it is a foreign page, like any other"
    assert (await guarded.post(ASKS, headers={"origin": GUEST, "authorization": "Bearer x"})).status_code == 200


async def test_by_itself_the_hub_lets_nobody_in(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        for path in (ASKS, "/live/poll"):
            for answer in (
                await client.options(path, headers=preflight(GUEST)),
                await client.get(path, headers={"origin": GUEST}),
            ):
                assert "access-control-allow-origin" not in answer.headers


async def test_scripts_may_be_loaded_by_any_page_and_nothing_else_may(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        client.headers["origin"] = GUEST
        script = await client.get("/assets/js/embed.js")
        assert (script.status_code, script.headers["access-control-allow-origin"]) == (200, "*")
        for path in ("/assets/css/base.css", "/assets/icons/icons.svg", "/sign-in"):
            assert "access-control-allow-origin" not in (await client.get(path)).headers
