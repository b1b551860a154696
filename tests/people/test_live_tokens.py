"""Live tokens: signed, for one person, short-lived, and worth nothing for anything else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from hub.crypto import Keys
from hub.people.live_tokens import AUDIENCE, LIFE, read_token, resolve_token, sign_token
from hub.people.staff import change_staff
from hub.wiring import House
from hub.work import SYSTEM
from tests.factories import Clinic

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
OLD, NEW = bytes(32), bytes(range(32))
KEYS = Keys({"new": NEW, "old": OLD})
TENANT, PERSON = uuid.uuid4(), uuid.uuid4()
CLAIMS: dict[str, Any] = {"aud": AUDIENCE, "tid": TENANT.hex, "sub": PERSON.hex, "exp": NOW + LIFE}


def forged(keys: Keys = KEYS, key_id: str = "new", **changes: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return jwt.encode(claims, keys.signing_keys("live-token")[key_id], algorithm="HS256", headers={"kid": key_id})


def test_a_token_speaks_for_one_person_for_ten_minutes() -> None:
    token, expires_at = sign_token(KEYS, TENANT, PERSON, NOW)
    assert expires_at == NOW + LIFE
    found = read_token(KEYS, token, NOW)
    assert found is not None
    assert (found.tenant, found.person, found.expires_at) == (TENANT, PERSON, expires_at)
    assert read_token(KEYS, token, expires_at - timedelta(seconds=1))
    assert read_token(KEYS, token, expires_at) is None


def test_a_token_signed_with_an_older_key_is_still_read() -> None:
    token, _ = sign_token(Keys({"old": OLD}), TENANT, PERSON, NOW)
    assert read_token(KEYS, token, NOW)
    assert read_token(Keys({"new": NEW}), token, NOW) is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda: forged(aud="something else"),
        lambda: forged(aud=None),
        lambda: forged(sub=None),
        lambda: forged(tid=None),
        lambda: forged(exp=None),
        lambda: forged(sub="nobody"),
        lambda: forged(tid="nowhere"),
        lambda: forged(sub=7),
        lambda: forged(exp=NOW - timedelta(seconds=1)),
        lambda: forged(Keys({"new": OLD})),
        lambda: forged()[:-3],
        lambda: forged().rpartition(".")[0] + ".",
        lambda: "a.b.c",
        lambda: "",
        lambda: "\ud800",
        lambda: "é" * 10,
        lambda: jwt.encode(dict(CLAIMS), "", algorithm="none", headers={"kid": "new"}),
        lambda: jwt.encode({"aud": AUDIENCE}, NEW, algorithm="HS256"),
        lambda: jwt.encode({"aud": AUDIENCE}, NEW, algorithm="HS256", headers={"kid": "nobody's"}),
    ],
)
def test_what_was_not_signed_here_for_this_is_nobodys(forge: Callable[[], str]) -> None:
    assert read_token(KEYS, forge(), NOW) is None


async def test_a_token_is_resolved_to_an_active_person(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    async def resolve(tenant: uuid.UUID, person: uuid.UUID) -> object:
        token, _ = sign_token(house.keys, tenant, person, house.clock())
        return await resolve_token(house.database, house.keys, token, house.clock())

    found = await resolve(clinic.id, clinic.omar.id)
    assert isinstance(found, tuple)
    assert (found[0].id, found[0].tenant, found[0].session) == (clinic.omar.id, clinic.id, None)
    assert await resolve(other_clinic.id, clinic.omar.id) is None
    assert await resolve(uuid.uuid4(), clinic.omar.id) is None
    assert await resolve_token(house.database, house.keys, "x", house.clock()) is None
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=False)
    assert await resolve(clinic.id, clinic.omar.id) is None
