"""Ways into a running hub that do not pass the sign-in page, whose password hash is slow by design."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from hub.people import sessions
from hub.people.tables import Staff
from hub.work import Actor
from tests.conftest import RunningHub


async def session_of(hub: RunningHub, person: Staff, device: str = "test") -> str:
    """The cookie of a new session."""
    async with hub.house.open_work(person.tenant_id, Actor("staff", person.id)) as work:
        return await sessions.start(work, person.id, device)


@asynccontextmanager
async def browser_of(hub: RunningHub, person: Staff | None, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser this person is signed in with, or nobody."""
    async with client_of(hub, {"origin": hub.url} | headers) as client:
        if person is not None:
            client.cookies.set("hub", await session_of(hub, person))
        yield client


@asynccontextmanager
async def program_of(hub: RunningHub, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """An integration with this API key."""
    async with client_of(hub, {"authorization": f"Bearer {key}"}) as client:
        yield client


def client_of(hub: RunningHub, headers: dict[str, str]) -> httpx.AsyncClient:
    """A client that reads no certificates as it begins: that would take longer than most tests."""
    return httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=20, verify=False)


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    """The problem document of a refusal, with everything checked that all of them share."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(document) <= {"type", "title", "status", "detail", "errors"}
    assert document["status"] == status
    assert str(document["type"]).startswith("urn:hub:problem:")
    assert document["title"]
    assert document["detail"]
    for error in document.get("errors", []):  # type: ignore[attr-defined]
        assert {"field", "detail"} <= set(error) <= {"field", "detail", "accepted"}
    return document
