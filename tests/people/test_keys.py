"""API keys: shown once, stored hashed, good for what they were made for, and over at once when revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.errors import Invalid, NotFound
from hub.people.keys import PREFIX, add_key, list_keys, resolve_key, revoke_key
from hub.people.roles import SCOPES, Permission
from hub.people.tables import ApiKey
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic, make_key


async def row_of(house: House, clinic: Clinic) -> ApiKey:
    async with house.database.of_tenant(clinic.id) as session:
        return (await session.execute(select(ApiKey))).scalar_one()


async def test_a_key_tells_whose_it_is_and_what_it_may(house: House, clinic: Clinic) -> None:
    key = await make_key(house, clinic, frozenset({Permission.STAFF_READ}))
    holder = await resolve_key(house.database, key, house.clock())
    assert holder is not None
    assert (holder.clinic.id, holder.name) == (clinic.id, "Practice system")
    assert holder.scopes == frozenset({Permission.STAFF_READ})


async def test_only_a_hash_of_the_key_is_stored(house: House, clinic: Clinic) -> None:
    key = await make_key(house, clinic)
    row = await row_of(house, clinic)
    secret = key.removeprefix(f"{PREFIX}{clinic.id.hex}_")
    assert len(secret) >= 43
    assert row.prefix == secret[:6]
    stored = repr({column.key: getattr(row, column.key) for column in ApiKey.__table__.columns})
    assert secret not in stored
    assert len(row.secret_hash) == 32


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        ([], "choose at least one"),
        (["everything"], "unknown: everything"),
        (["staff:read", "staff:manage"], "unknown: staff:manage"),
        (["keys:manage"], "unknown"),
        (["appointments:read-own"], "unknown"),
    ],
)
async def test_a_key_cannot_be_made_for_what_takes_a_person(
    house: House, clinic: Clinic, scopes: list[str], words: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        async with house.open_work(clinic.id, SYSTEM) as work:
            await add_key(work, "Too much", scopes)
    (error,) = refusal.value.errors
    assert words in error.detail
    assert error.accepted == sorted(SCOPES)


async def test_a_revoked_key_is_over_at_once_and_stays_so(house: House, clinic: Clinic, clock: MovableClock) -> None:
    key = await make_key(house, clinic)
    row = await row_of(house, clinic)
    for _ in range(2):
        async with house.open_work(clinic.id, SYSTEM) as work:
            revoked = (await revoke_key(work, row.id)).revoked_at
        clock.move(timedelta(minutes=1))
    assert await resolve_key(house.database, key, clock()) is None
    assert (await row_of(house, clinic)).revoked_at == revoked, "it was revoked when it was revoked first"


async def test_a_key_of_another_clinic_is_not_there(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    key = await make_key(house, clinic)
    row = await row_of(house, clinic)
    with pytest.raises(NotFound):
        async with house.open_work(other_clinic.id, SYSTEM) as work:
            await revoke_key(work, row.id)
    assert await resolve_key(house.database, key, house.clock())


async def test_what_is_no_key_is_nobodys(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    key = await make_key(house, clinic)
    secret = key.rpartition(f"{clinic.id.hex}_")[2]
    for damaged in (
        key[:-1],
        key + "x",
        f"{PREFIX}{other_clinic.id.hex}_{secret}",
        f"{PREFIX}{clinic.id.hex}_",
        f"{PREFIX}_{secret}",
        secret,
        PREFIX,
        "",
        "\x00",
    ):
        assert await resolve_key(house.database, damaged, house.clock()) is None, damaged


async def test_the_last_use_is_noted_now_and_then(house: House, clinic: Clinic, clock: MovableClock) -> None:
    key = await make_key(house, clinic)
    await resolve_key(house.database, key, clock())
    first = (await row_of(house, clinic)).last_used_at
    assert first is not None
    clock.move(timedelta(seconds=30))
    await resolve_key(house.database, key, clock())
    assert (await row_of(house, clinic)).last_used_at == first
    clock.move(timedelta(minutes=1))
    await resolve_key(house.database, key, clock())
    assert (await row_of(house, clinic)).last_used_at != first


async def test_keys_are_listed_newest_first_in_pages(house: House, clinic: Clinic, clock: MovableClock) -> None:
    for _ in range(3):
        await make_key(house, clinic)
        clock.move(timedelta(seconds=1))
    async with house.database.of_tenant(clinic.id) as session:
        first = await list_keys(session, None, 2)
        rest = await list_keys(session, first[-1].created_at, 2)
    times = [key.created_at for key in (*first, *rest)]
    assert times == sorted(times, reverse=True)
    assert len(times) == 3
