"""Who calls: a page of another origin and a wrong key are nobody."""

from __future__ import annotations

import pytest

from tests.api.requests import booking
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic
from tests.visitors import browser_of, problem


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1", None])
async def test_a_changing_request_from_elsewhere_is_refused(
    hub: RunningHub, clinic: Clinic, origin: str | None
) -> None:
    before = await count_rows(hub.house, clinic)
    async with browser_of(hub, clinic.desk) as client:
        client.headers.pop("origin")
        headers = {"origin": origin} if origin else {}
        sessions = before["staff_sessions"] + 1
        answer = await client.post("/api/v1/appointments", json=booking(clinic), headers=headers)
        problem(answer, 403)
        answer = await client.post("/sign-out-everywhere", headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/html")
        assert (await client.get("/api/v1/appointments", headers=headers)).status_code == 200
    after = await count_rows(hub.house, clinic)
    assert (after["appointments"], after["staff_sessions"]) == (0, sessions)


async def test_the_browsers_own_word_for_same_origin_is_taken(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.desk) as client:
        client.headers.pop("origin")
        for site, status in (("same-origin", 201), ("same-site", 403), ("cross-site", 403), ("none", 403)):
            headers = {"sec-fetch-site": site}
            answer = await client.post("/api/v1/appointments", json=booking(clinic), headers=headers)
            assert answer.status_code == status, site


@pytest.mark.parametrize("authorization", ["", "Basic eDp5", "Bearer", "Digest x"])
async def test_only_a_key_stands_in_for_the_origin(hub: RunningHub, clinic: Clinic, authorization: str) -> None:
    async with browser_of(hub, clinic.desk, authorization=authorization) as client:
        client.headers["origin"] = "https://elsewhere.example"
        assert (await client.post("/sign-out-everywhere")).status_code == 403


@pytest.mark.parametrize("key", ["hub_", "hub_x_y", "x", "hub_" + "0" * 32 + "_x"])
async def test_a_wrong_key_is_refused_even_beside_a_session(hub: RunningHub, clinic: Clinic, key: str) -> None:
    async with browser_of(hub, clinic.desk, authorization=f"Bearer {key}") as client:
        problem(await client.get("/api/v1/appointments"), 401)
