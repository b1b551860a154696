"""Every refusal is a problem document (RFC 9457) in its own media type."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.exceptions import HTTPException

from hub import errors
from hub.api import problems
from hub.errors import HubError
from hub.people.sign_in import ChooseClinic
from tests.conftest import RunningHub
from tests.visitors import browser_of, problem


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/", "/api/v2/notifications", "/api/v1/appointments/7", "/api/v1/keys/x"]
)
async def test_an_unknown_address_is_a_problem_too(program: httpx.AsyncClient, path: str) -> None:
    assert problem(await program.get(path), 404)["type"] == "urn:hub:problem:http"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/notifications", {"GET", "HEAD", "POST"}),
        ("DELETE", "/api/v1/appointments", {"GET", "HEAD", "POST"}),
        ("GET", "/api/v1/notifications/read", {"POST"}),
        ("POST", "/api/v1/me", {"GET", "HEAD"}),
        ("TRACE", "/health/live", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    program: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await program.request(method, path)
    problem(answer, 405)
    assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed


def test_every_refusal_has_a_status() -> None:
    codes = {each.code for each in vars(errors).values() if isinstance(each, type) and issubclass(each, HubError)}
    assert codes - {"error"} | {ChooseClinic.code} == set(problems.STATUS)


def test_a_fault_says_nothing_of_what_it_was_about() -> None:
    document = problems.problem_of(RuntimeError("Sara Doe"))
    assert document["status"] == 500
    assert "Sara" not in json.dumps(document)


def test_an_http_refusal_keeps_its_headers() -> None:
    answer = problems.answer(HTTPException(418, "teapot", {"X-Tea": "yes"}))
    assert (answer.status_code, answer.headers["x-tea"]) == (418, "yes")


async def test_at_most_twenty_errors_are_told(program: httpx.AsyncClient) -> None:
    answer = await program.post("/api/v1/notifications", json={f"field{index}": 1 for index in range(30)})
    assert len(problem(answer, 422)["errors"]) == problems.MOST_ERRORS  # type: ignore[arg-type]


async def test_a_page_of_a_refusal_is_a_page(hub: RunningHub) -> None:
    async with browser_of(hub, None) as client:
        answer = await client.get("/nothing/here")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
