"""One request over HTTP: made once whatever happens, never told to the log, and its answer never trusted."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from hub.channels.http import LONGEST_ANSWER, Answer, Line, NoAnswer
from hub.channels.vendor import Fate
from tests.channels.fakes import Answer as Said
from tests.channels.fakes import Request, serving

SECRET = "shhh-secret"
NUMBER = "+966500000100"


@asynccontextmanager
async def line_to(handle: Callable[[Request], Said], read_s: float = 0.3) -> AsyncIterator[Line]:
    async with serving(handle) as url:
        line = Line(url, auth=("me", SECRET), connect_s=0.3, read_s=read_s)
        yield line
        await line.close()


class Counting:
    """Says one thing always, and counts how often."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Said:
        self.requests.append(request)
        return self.said


async def test_an_answer_is_its_status_and_fields() -> None:
    handle = Counting(Said.of(201, {"sid": "SM1", "price": 0.08}))
    async with line_to(handle) as line:
        answer = await line.post_form("/x", {"To": NUMBER, "Body": "غدا &="})
    assert (answer.status, answer.fields()["sid"], str(answer.fields()["price"])) == (201, "SM1", "0.08")
    (request,) = handle.requests
    assert request.form() == {"To": NUMBER, "Body": "غدا &="}
    assert request.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{", b"\xff", b"[" * 100_000, b'{"a": NaN', b"null"])
async def test_what_is_no_object_has_no_fields(body: bytes) -> None:
    assert Answer(200, body).fields() == {}


@pytest.mark.parametrize(
    "said",
    [Said(hangs=True), Said(cut_before=True), Said(200, b"{}" * 50, cut_midway=True), Said(200, b"{}", delay_s=1)],
    ids=["hangs", "cut", "cut midway", "too late"],
)
async def test_a_request_that_was_read_and_not_answered_is_unknown_and_made_once(said: Said) -> None:
    handle = Counting(said)
    async with line_to(handle) as line:
        with pytest.raises(NoAnswer) as silence:
            await line.post_form("/x", {"To": NUMBER})
        await asyncio.sleep(0.1)
    assert silence.value.outcome.fate is Fate.UNKNOWN
    assert len(handle.requests) == 1


async def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        line = Line(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(NoAnswer) as silence:
            await line.post_form("/x", {})
        await line.close()
    assert silence.value.outcome.fate is Fate.PASSING


async def test_a_vendor_that_takes_no_connection_is_given_up_soon() -> None:
    # A queue of one that is full answers nobody.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        line = Line(f"http://127.0.0.1:{port}", connect_s=0.2)
        begun = time.monotonic()
        with pytest.raises(NoAnswer) as silence:
            await line.post_form("/x", {})
        await line.close()
        for filler in fillers:
            filler.close()
    assert silence.value.outcome.fate is Fate.PASSING
    assert time.monotonic() - begun < 2


async def test_an_idle_connection_that_the_vendor_closed_is_no_failure() -> None:
    handle = Counting(Said(200, b"{}"))
    async with line_to(handle) as line:
        await line.post_form("/x", {})
        handle.said = Said(200, b"{}", headers={"Connection": "close"})
        await line.post_form("/x", {})
        assert (await line.post_form("/x", {})).status == 200
    assert len(handle.requests) == 3


async def test_a_redirect_is_not_followed() -> None:
    handle = Counting(Said(307, headers={"Location": "/elsewhere"}))
    async with line_to(handle) as line:
        assert (await line.post_form("/x", {})).status == 307
    assert [request.path for request in handle.requests] == ["/x"]


async def test_an_endless_answer_is_not_read() -> None:
    handle = Counting(Said(200, b'{"sid": "' + b"x" * LONGEST_ANSWER + b'"}'))
    async with line_to(handle, read_s=3) as line:
        assert (await line.get("/x", {})).fields() == {}


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with line_to(Counting(Said(200, b"{}"))) as line:
        assert (await line.get("/x", {})).status == 200


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "99999999"}, 3600.0),
        ({"Retry-After": "Sun, 01 Mar 2026 08:01:00 GMT", "Date": "Sun, 01 Mar 2026 08:00:00 GMT"}, 60.0),
        ({"Retry-After": "Sun, 01 Mar 2026 07:00:00 GMT", "Date": "Sun, 01 Mar 2026 08:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon", "Date": "Sun, 01 Mar 2026 08:00:00 GMT"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1" * 400}, 3600.0),
    ],
)
async def test_how_long_to_wait_is_read_either_way(headers: dict[str, str], seconds: float | None) -> None:
    async with line_to(Counting(Said(429, headers=headers))) as line:
        assert (await line.get("/x", {})).retry_after_s == seconds


@pytest.mark.parametrize("said", [Said(200, b"{}"), Said(hangs=True), Said(cut_before=True)])
async def test_neither_secrets_nor_numbers_are_logged_or_raised(said: Said, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    raised = ""
    async with line_to(Counting(said)) as line:
        try:
            await line.get("/x", {"To": NUMBER})
        except NoAnswer as silence:
            raised = "".join(traceback.format_exception(silence)) + repr(silence.outcome)
            assert silence.__cause__ is None
            assert silence.__suppress_context__
    for text in (caplog.text, raised):
        assert SECRET not in text
        assert NUMBER[1:] not in text
        assert "127.0.0.1" not in text
