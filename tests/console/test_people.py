"""Staff and keys for administrators, by plain forms."""

from __future__ import annotations

import re
import uuid

from sqlalchemy import select

from hub.people.tables import ApiKey
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.console.html import read
from tests.factories import Clinic, add_clinicians, make_key
from tests.visitors import browser_of, program_of

PATH = "/console/people"
EMAIL = re.compile(r"(?:admin|front_desk|provider)-[0-9a-f]{12}@example\.org")


async def test_a_key_is_shown_once(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        form = {"name": " <b>Practice</b> ", "scopes": ["staff:read", "appointments:read"]}
        made = await client.post(f"{PATH}/keys", data=form)
        page = read(made)
        assert made.headers["cache-control"] == "no-store"
        (key,) = set(re.findall(r"hub_[0-9a-f]{32}_[\w-]+", page.words))
        assert "<b>Practice</b>" in page.words, "as text"
        assert "<b>" not in made.text
        assert key not in (await client.get(PATH)).text
    async with program_of(hub, key) as program:
        assert (await program.get("/api/v1/staff")).status_code == 200
        assert (await program.post("/api/v1/notifications", json={})).status_code == 403


async def test_a_key_that_cannot_be_is_not_made(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as client:
        for name, scopes in (("", ["staff:read"]), ("x" * 201, ["staff:read"]), ("a\x00", ["staff:read"]), ("a", [])):
            read(await client.post(f"{PATH}/keys", data={"name": name, "scopes": scopes}), 422)
        read(await client.post(f"{PATH}/keys", data={"name": "a", "scopes": ["staff:manage"]}), 422)
    assert (await count_rows(hub.house, clinic))["api_keys"] == 0


async def test_a_revoked_key_is_over_and_shown_as_such(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    key = await make_key(hub.house, clinic)
    async with hub.house.database.of_tenant(clinic.id) as session:
        key_id = (await session.execute(select(ApiKey.id))).scalar_one()
    async with browser_of(hub, other_clinic.admin) as stranger:
        read(await stranger.post(f"{PATH}/keys/{key_id}/revoke"), 404)
    async with browser_of(hub, clinic.admin) as client:
        for _ in range(2):
            assert (await client.post(f"{PATH}/keys/{key_id}/revoke")).headers["location"] == PATH
        assert "Revoked" in read(await client.get(PATH)).words
    async with program_of(hub, key) as program:
        assert (await program.get("/api/v1/staff")).status_code == 401


async def test_access_is_taken_and_given_back(hub: RunningHub, clinic: Clinic, other_clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as omar, browser_of(hub, clinic.admin) as admin:
        assert (await admin.post(f"{PATH}/{clinic.omar.id}/deactivate")).headers["location"] == PATH
        assert (await omar.get("/console/notifications")).status_code == 303
        assert "Deactivated" in read(await admin.get(PATH)).words
        await admin.post(f"{PATH}/{clinic.omar.id}/activate")
        assert "Deactivated" not in read(await admin.get(PATH)).words
        read(await admin.post(f"{PATH}/{clinic.admin.id}/deactivate"), 409)
        for nobody in (other_clinic.omar.id, uuid.uuid4()):
            read(await admin.post(f"{PATH}/{nobody}/deactivate"), 404)


async def test_many_people_come_in_pages(hub: RunningHub, clinic: Clinic) -> None:
    await add_clinicians(hub.house, clinic, 100)
    async with browser_of(hub, clinic.admin) as client:
        first = read(await client.get(PATH))
        emails = EMAIL.findall(first.words)
        assert len(set(emails)) == 100
        rest = read(await client.get(PATH, params={"after": emails[-1]}))
        assert len(set(EMAIL.findall(rest.words))) == 4
        read(await client.get(f"{PATH}?after=%00"), 422)
