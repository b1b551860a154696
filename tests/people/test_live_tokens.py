"""Live tokens: signed, for one person, short-lived, and worth nothing for anything else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub.audit import AuditEntry
from hub.crypto import Keys
from hub.errors import Invalid
from hub.people import sessions
from hub.people.live_tokens import (
    AUDIENCE,
    LIFE,
    LiveToken,
    forget_revoked,
    issue_token,
    read_token,
    revoke_token,
    sign_token,
)
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.realtime.pushes import AccessEnded
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
OLD, NEW = bytes(32), bytes(range(32))
KEYS = Keys({"new": NEW, "old": OLD})
TENANT, PERSON = uuid.uuid4(), uuid.uuid4()
CLAIMS: dict[str, Any] = {
    "aud": AUDIENCE,
    "jti": uuid.uuid4().hex,
    "tid": TENANT.hex,
    "sub": PERSON.hex,
    "era": 0,
    "key": None,
    "exp": NOW + LIFE,
}


def forged(keys: Keys = KEYS, key_id: str = "new", without: str = "", **changes: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if name != without}
    return jwt.encode(claims, keys.signing_keys("live-token")[key_id], algorithm="HS256", headers={"kid": key_id})


def test_a_token_speaks_for_one_person_for_ten_minutes() -> None:
    token, made = sign_token(KEYS, TENANT, PERSON, NOW, era=3, key=PERSON)
    assert (made.tenant, made.person, made.era, made.key, made.expires_at) == (TENANT, PERSON, 3, PERSON, NOW + LIFE)
    assert read_token(KEYS, token, NOW) == made
    assert read_token(KEYS, token, made.expires_at - timedelta(seconds=1)) == made
    assert read_token(KEYS, token, made.expires_at) is None
    assert sign_token(KEYS, TENANT, PERSON, NOW)[1].id != made.id


def test_a_token_is_a_json_web_token_that_anybody_with_the_key_can_read() -> None:
    assert read_token(KEYS, forged(), NOW)
    token, made = sign_token(KEYS, TENANT, PERSON, datetime.now(UTC))
    claims = jwt.decode(token, KEYS.signing_keys("live-token")["new"], algorithms=["HS256"], audience=AUDIENCE)
    assert (claims["jti"], claims["sub"]) == (made.id.hex, PERSON.hex)


@given(place=st.integers(0, 10_000), letter=st.characters(max_codepoint=0x2FF))
def test_a_token_with_one_other_letter_is_nobodys(place: int, letter: str) -> None:
    token = forged()
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert (read_token(KEYS, changed, NOW) is not None) == (changed == token)


def test_a_token_signed_with_an_older_key_is_still_read() -> None:
    token, _ = sign_token(Keys({"old": OLD}), TENANT, PERSON, NOW)
    assert read_token(KEYS, token, NOW)
    assert read_token(Keys({"new": NEW}), token, NOW) is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda: forged(aud="something else"),
        lambda: forged(without="aud"),
        lambda: forged(without="jti"),
        lambda: forged(without="tid"),
        lambda: forged(without="sub"),
        lambda: forged(without="era"),
        lambda: forged(without="key"),
        lambda: forged(without="exp"),
        lambda: forged(era="x"),
        lambda: forged(jti="x"),
        lambda: forged(key="x"),
        lambda: forged(exp="soon"),
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
        lambda: "\x00",
        lambda: forged() + "\x00",
        lambda: forged() + "=",
        lambda: forged() + "." + forged(),
        lambda: forged(name="x" * 1000),
        lambda: "." * 100_000,
        lambda: jwt.encode(
            dict(CLAIMS), KEYS.signing_keys("live-token")["new"], "HS256", headers={"kid": "new", "cty": "JWT"}
        ),
        lambda: jwt.encode(dict(CLAIMS), KEYS.signing_keys("live-token")["new"] * 2, "HS512", headers={"kid": "new"}),
        lambda: jwt.encode(dict(CLAIMS), "", algorithm="none", headers={"kid": "new"}),
        lambda: jwt.encode({"aud": AUDIENCE}, NEW, algorithm="HS256"),
        lambda: jwt.encode({"aud": AUDIENCE}, NEW, algorithm="HS256", headers={"kid": "nobody's"}),
    ],
)
def test_what_was_not_signed_here_for_this_is_nobodys(forge: Callable[[], str]) -> None:
    assert read_token(KEYS, forge(), NOW) is None


async def issue(house: House, clinic: Clinic, person: Staff, key: uuid.UUID | None = None) -> LiveToken:
    async with house.database.of_tenant(clinic.id) as session:
        return (await issue_token(session, house.keys, clinic.id, person.id, key, house.clock()))[1]


async def test_a_token_is_for_somebody_active_here(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    for nobody in (clinic.huda, other_clinic.omar):
        with pytest.raises(Invalid):
            await issue(house, clinic, nobody)


async def test_a_token_belongs_to_the_era_of_its_person(house: House, clinic: Clinic) -> None:
    assert (await issue(house, clinic, clinic.omar)).era == 0
    async with house.open_work(clinic.id, SYSTEM) as work:
        await sessions.end_all(work, clinic.omar.id)
    assert (await issue(house, clinic, clinic.omar)).era == 1
    assert (await issue(house, clinic, clinic.huda)).era == 0


async def test_a_token_is_revoked_once_and_written_down_once(house: House, clinic: Clinic) -> None:
    token = (await issue(house, clinic, clinic.omar)).id
    pushes = []
    for _ in range(2):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await revoke_token(work, token)
            pushes += work.pushes
    assert pushes == [AccessEnded(clinic.id, token=token)]
    async with house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.action == "live_token.revoked")
        (entry,) = (await session.execute(query)).scalars()
        assert (entry.object_type, entry.object_id) == ("live_token", token)


async def test_what_was_revoked_is_forgotten_when_it_would_be_over(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    token = await issue(house, clinic, clinic.omar)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await revoke_token(work, token.id)
    clock.move(token.expires_at - clock())
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await forget_revoked(work) == 0
    clock.move(timedelta(minutes=2))
    async with house.open_work(clinic.id, SYSTEM) as work:
        assert await forget_revoked(work) == 1
