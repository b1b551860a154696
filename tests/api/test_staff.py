"""`/api/v1/staff`, `/keys`, `/live-tokens`, `/me`: people, and the proofs of who they are."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from hub.people.live_tokens import read_token
from hub.people.staff import change_staff
from hub.work import SYSTEM
from tests.api.rows import count_rows
from tests.conftest import RunningHub
from tests.factories import Clinic, make_key, tell
from tests.live_client import open_live
from tests.visitors import browser_of, problem, program_of, session_of

NEW: dict[str, Any] = {"email": "Nora@Example.org", "name": "نورة", "role": "provider", "language": "ar"}
PASSWORD = "long enough, this one"


async def test_somebody_added_can_sign_in(hub: RunningHub, clinic: Clinic) -> None:
    email = f"{uuid.uuid4().hex}@Example.org"
    async with browser_of(hub, clinic.admin) as client:
        answer = await client.post("/api/v1/staff", json=NEW | {"email": email, "password": PASSWORD})
        assert answer.status_code == 201
        added = answer.json()
        assert "password" not in answer.text
        assert (added["email"], added["active"]) == (email.lower(), True)
        problem(await client.post("/api/v1/staff", json=NEW | {"email": email, "password": PASSWORD}), 409)
    async with browser_of(hub, None) as client:
        answer = await client.post("/sign-in", data={"email": email, "password": PASSWORD})
        assert answer.status_code == 303
        me = (await client.get("/api/v1/me")).json()
    assert me == {
        "id": added["id"],
        "name": "نورة",
        "role": "provider",
        "language": "ar",
        "clinic": {"id": str(clinic.id), "name": "Noor Clinic", "zone": "Asia/Riyadh"},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"email": "nobody"},
        {"email": "a b@example.org"},
        {"email": "a\x00@example.org"},
        {"email": "x" * 250 + "@example.org"},
        {"name": ""},
        {"role": "king"},
        {"language": "fr"},
        {"password": "short"},
        {"password": "x" * 257},
        {"active": True},
    ],
    ids=lambda change: repr(change)[:40],
)
async def test_somebody_who_cannot_be_is_not_added(hub: RunningHub, clinic: Clinic, change: dict[str, Any]) -> None:
    async with browser_of(hub, clinic.admin) as client:
        before = await count_rows(hub.house, clinic)
        problem(await client.post("/api/v1/staff", json=NEW | {"password": PASSWORD} | change), 422)
        assert await count_rows(hub.house, clinic) == before


async def test_staff_are_listed_in_pages_without_their_secrets(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as client:
        first = (await client.get("/api/v1/staff?limit=3")).json()
        rest = (await client.get("/api/v1/staff", params={"limit": 3, "after": first["after"]})).json()
    assert rest["after"] is None
    emails = [each["email"] for each in (*first["items"], *rest["items"])]
    assert emails == sorted(each.email for each in clinic.staff)
    assert all("password" not in name for each in first["items"] for name in each)


async def test_taking_access_away_ends_sessions_at_once(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as omar, browser_of(hub, clinic.admin) as admin:
        assert (await omar.get("/api/v1/me")).status_code == 200
        path = f"/api/v1/staff/{clinic.omar.id}"
        assert (await admin.patch(path, json={"active": False})).json()["active"] is False
        problem(await omar.get("/api/v1/me"), 401)
        problem(await admin.patch(f"/api/v1/staff/{clinic.admin.id}", json={"active": False}), 409)
        problem(await admin.patch(path, json={"role": "king"}), 422)
        problem(await admin.patch(path, json={"email": "x@example.org"}), 422)


async def test_taking_access_away_closes_the_open_socket(hub: RunningHub, clinic: Clinic) -> None:
    cookie = await session_of(hub, clinic.omar)
    async with open_live(hub.live_url, f"hub={cookie}") as live, browser_of(hub, clinic.admin) as admin:
        await live.hear_until("snap")
        await admin.patch(f"/api/v1/staff/{clinic.omar.id}", json={"active": False})
        await live.socket.wait_closed()
        assert live.socket.close_code == 4151


async def test_signing_out_everywhere_is_one_request(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.omar) as here, browser_of(hub, clinic.omar) as there:
        assert (await here.post("/api/v1/me/sign-out-everywhere")).status_code == 204
        for client in (here, there):
            problem(await client.get("/api/v1/me"), 401)


async def test_a_key_is_shown_once_and_good_until_it_is_revoked(hub: RunningHub, clinic: Clinic) -> None:
    async with browser_of(hub, clinic.admin) as admin:
        answer = await admin.post("/api/v1/keys", json={"name": "Practice", "scopes": ["staff:read", "staff:read"]})
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        made = answer.json()
        assert made["scopes"] == ["staff:read"]
        listed = await admin.get("/api/v1/keys")
        assert made["key"] not in listed.text
        assert [each["id"] for each in listed.json()["items"]] == [made["id"]]
        async with program_of(hub, made["key"]) as program:
            assert (await program.get("/api/v1/staff")).status_code == 200
            assert (await admin.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
            problem(await program.get("/api/v1/staff"), 401)
        assert (await admin.delete(f"/api/v1/keys/{made['id']}")).status_code == 204, "it is over already"


@pytest.mark.parametrize("scopes", [[], ["everything"], ["staff:manage"], "staff:read", [1], None, ["\x00"]])
async def test_a_key_is_made_for_what_keys_are_for(hub: RunningHub, clinic: Clinic, scopes: Any) -> None:
    async with browser_of(hub, clinic.admin) as admin:
        problem(await admin.post("/api/v1/keys", json={"name": "Practice", "scopes": scopes}), 422)
        assert (await count_rows(hub.house, clinic))["api_keys"] == 0


async def test_keys_are_listed_newest_first_in_pages(hub: RunningHub, clinic: Clinic) -> None:
    for _ in range(3):
        await make_key(hub.house, clinic)
    async with browser_of(hub, clinic.admin) as admin:
        first = (await admin.get("/api/v1/keys?limit=2")).json()
        rest = (await admin.get("/api/v1/keys", params={"after": first["after"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["after"]) == (2, 1, None)


async def test_a_live_token_opens_the_socket_for_one_person(hub: RunningHub, clinic: Clinic) -> None:
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        answer = await program.post("/api/v1/live-tokens", json={"staff_id": str(clinic.omar.id)})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    found = read_token(hub.house.keys, made["token"], hub.house.clock())
    assert found
    assert (found.tenant, found.person) == (clinic.id, clinic.omar.id)
    assert (str(found.id), found.expires_at.isoformat()) == (made["id"], made["expires_at"])
    async with open_live(hub.live_url, token=made["token"], origin="https://elsewhere.example") as live:
        assert (await live.hear_until("welcome"))["you"]["id"] == str(clinic.omar.id)


async def test_a_live_token_is_for_active_staff_of_the_same_clinic(
    hub: RunningHub, clinic: Clinic, other_clinic: Clinic
) -> None:
    async with hub.house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    async with program_of(hub, await make_key(hub.house, clinic)) as program:
        for nobody in (other_clinic.omar.id, clinic.huda.id, uuid.uuid4()):
            problem(await program.post("/api/v1/live-tokens", json={"staff_id": str(nobody)}), 422)


@pytest.mark.parametrize("way", ["token", "key"])
async def test_a_socket_opened_by_a_token_closes_when_the_token_or_its_key_is_revoked(
    hub: RunningHub, clinic: Clinic, way: str
) -> None:
    async with browser_of(hub, clinic.admin) as admin:
        key = (await admin.post("/api/v1/keys", json={"name": "Practice", "scopes": ["live:tokens"]})).json()
        async with program_of(hub, key["key"]) as program:
            ending, other = [
                (await program.post("/api/v1/live-tokens", json={"staff_id": str(clinic.omar.id)})).json()
                for _ in range(2)
            ]
            async with (
                open_live(hub.live_url, token=ending["token"]) as live,
                open_live(hub.live_url, token=other["token"]) as beside,
            ):
                for each in (live, beside):
                    await each.hear_until("snap")
                if way == "token":
                    assert (await program.delete(f"/api/v1/live-tokens/{ending['id']}")).status_code == 204
                else:
                    assert (await admin.delete(f"/api/v1/keys/{key['id']}")).status_code == 204
                async with asyncio.timeout(5):
                    await live.socket.wait_closed()
                assert live.socket.close_code == 4151
                if way == "token":
                    await tell(hub.house, clinic, clinic.omar)
                    assert (await beside.hear_until("ev"))["seq"] == 1
