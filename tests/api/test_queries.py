"""Queries and cursors: whatever somebody writes into an address is refused or understood."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.conftest import RunningHub
from tests.factories import Clinic
from tests.visitors import browser_of, problem


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=",
        "state=lost",
        "kind=gossip",
        "level=loud",
        "q=" + "x" * 201,
        "q=%00",
        "surprise=1",
        "limit=1&limit=2",
        "before=x",
        "before=%00",
        "before=é",
        "before=" + "W1" * 3000,
        "before=WyIxIl0x",
        "before=eyJhIjoxfQ",
        "before=WzEsMl0",
        "before=Wy0xXQ",
        "before=WzEuNV0",
        "after=WyI5OTk5OTk5OTk5OTk5OTk5OTk5OSJd",
    ],
)
async def test_a_bad_query_is_refused(hub: RunningHub, clinic: Clinic, query: str) -> None:
    async with browser_of(hub, clinic.omar) as client:
        problem(await client.get(f"/api/v1/notifications?{query}"), 422)


@pytest.mark.parametrize(
    "query",
    [
        "day=yesterday",
        "day=2026-02-30",
        "day=0001-01-01",
        "day=9999-12-31",
        "day=",
        "clinician_id=nobody",
        "after=x",
        # ["2026-11-21T06:30:00", "…"]: no zone; ["0001-01-01T00:00:00+14:00", "…"]; ["x", "y"]; ["…", "\u0000"]
        "after=WyIyMDI2LTExLTIxVDA2OjMwOjAwIiwgIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCJd",
        "after=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCJd",
        "after=WyJ4IiwgInkiXQ",
        "after=WyIyMDI2LTExLTIxVDA2OjMwOjAwWiIsICJcdTAwMDAiXQ",
    ],
)
async def test_a_bad_query_for_visits_is_refused(program: httpx.AsyncClient, query: str) -> None:
    problem(await program.get(f"/api/v1/appointments?{query}"), 422)


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("staff", "WyJcdTAwMDAiXQ"),
        ("staff", "WyJcdWQ4MDAiXQ"),
        ("staff", "x"),
        ("keys", "WyIyMDI2LTExLTIxVDA2OjMwOjAwIl0"),
        ("keys", "WzVd"),
        ("keys", "W251bGxd"),
    ],
)
async def test_a_cursor_that_was_not_made_here_is_refused(
    hub: RunningHub, clinic: Clinic, path: str, cursor: str
) -> None:
    async with browser_of(hub, clinic.admin) as client:
        found = problem(await client.get(f"/api/v1/{path}?after={cursor}"), 422)
        assert found["errors"][0]["field"] == "cursor"  # type: ignore[index]


@pytest.mark.parametrize("cursor", ["[" * 2000, "[[" * 5000])
async def test_a_cursor_that_never_ends_is_refused(hub: RunningHub, clinic: Clinic, cursor: str) -> None:
    async with browser_of(hub, clinic.omar) as client:
        text = base64.urlsafe_b64encode(cursor.encode()).decode()
        problem(await client.get(f"/api/v1/notifications?before={text}"), 422)
