"""Who is there, asked for many at once; and later, whether it still counts, by the same rules."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from hub.people import sessions
from hub.people.greetings import Known, recognise, still_valid
from hub.people.keys import add_key, revoke_key
from hub.people.live_tokens import LIFE, issue_token, resolve_token, revoke_token
from hub.people.roles import Role
from hub.people.staff import change_staff
from hub.people.tables import Staff, StaffSession
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import Clinic

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Greeting:
    """What one client shows."""

    cookie: str | None = None
    token: str | None = None


async def known_by(house: House, *greetings: Greeting) -> list[Known | None]:
    async with house.database.watching() as watch:
        return await recognise(watch, house.keys, greetings, house.clock(), house.idle)


async def valid(house: House, held: Sequence[Any]) -> list[bool]:
    async with house.database.watching() as watch:
        return await still_valid(watch, held, house.clock(), house.idle)


async def cookie_of(house: House, person: Staff) -> Greeting:
    async with house.open_work(person.tenant_id, SYSTEM) as work:
        return Greeting(cookie=await sessions.start(work, person.id, "test"))


async def key_of(house: House, clinic: Clinic) -> uuid.UUID:
    async with house.open_work(clinic.id, SYSTEM) as work:
        return (await add_key(work, "Practice", ["live:tokens"]))[0].id


async def token_of(house: House, person: Staff, key: uuid.UUID | None = None) -> Greeting:
    async with house.database.of_tenant(person.tenant_id) as session:
        token, _ = await issue_token(session, house.keys, person.tenant_id, person.id, key, house.clock())
        return Greeting(token=token)


async def test_many_are_recognised_by_one_query(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    key = await key_of(house, clinic)
    people = [clinic.omar, clinic.huda, other_clinic.omar, clinic.desk] * 8
    greetings = [
        await (cookie_of(house, person) if place % 3 else token_of(house, person, key if place % 4 == 0 else None))
        for place, person in enumerate(people)
    ]
    statements: list[str] = []
    async with house.database.watching() as watch:
        listen = event.listens_for(watch.sync_connection, "before_cursor_execute")
        listen(lambda _connection, _cursor, statement, *_: statements.append(statement))
        found = await recognise(watch, house.keys, greetings, house.clock(), house.idle)
    assert len(statements) == 1
    for place, (person, known) in enumerate(zip(people, found, strict=True)):
        assert known
        assert (known.tenant, known.person, known.role) == (person.tenant_id, person.id, Role(person.role))
        assert (known.name, known.language) == (person.name, person.language)
        by_cookie = bool(place % 3)
        assert (known.session is not None, known.token is None, known.expires_at is None) == (by_cookie,) * 3
        assert known.key == (key if not by_cookie and place % 4 == 0 else None)


async def test_the_session_is_the_one_of_the_cookie(house: House, clinic: Clinic) -> None:
    first, second = await cookie_of(house, clinic.omar), await cookie_of(house, clinic.omar)
    for greeting in (first, second):
        assert greeting.cookie
        person = await sessions.resolve(house.database, greeting.cookie, house.clock(), house.idle, in_use=False)
        (known,) = await known_by(house, greeting)
        assert person
        assert known
        assert known.session == person.session


async def test_a_token_counts_before_a_cookie(house: House, clinic: Clinic) -> None:
    cookie, token = await cookie_of(house, clinic.omar), await token_of(house, clinic.huda)
    both = Greeting(cookie.cookie, token.token)
    wrong = Greeting(cookie.cookie, "no token")
    known, unknown = await known_by(house, both, wrong)
    assert known
    assert known.person == clinic.huda.id
    assert unknown is None


async def test_to_be_recognised_is_no_use(house: House, clinic: Clinic, clock: MovableClock) -> None:
    greeting = await cookie_of(house, clinic.omar)
    clock.move(house.idle - SECOND)
    assert (await known_by(house, greeting))[0]
    clock.move(SECOND)
    assert await known_by(house, greeting) == [None]


async def test_whatever_else_is_shown_is_nobodys_and_harms_nobody(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    good = await cookie_of(house, clinic.omar)
    cookie = good.cookie or ""
    secret = cookie.partition(".")[2]
    token = (await token_of(house, clinic.omar)).token or ""
    bad = [
        Greeting(),
        *(
            Greeting(cookie=each)
            for each in (
                "",
                ".",
                "x",
                "\x00",
                cookie[:-1],
                f"{other_clinic.id.hex}.{secret}",
                f"{uuid.uuid4().hex}.{secret}",
                f"{clinic.id.hex}.",
                f"{clinic.id.hex}.\x00",
                f"{clinic.id.hex}.\ud800",
                f"{clinic.id.hex[:-1]}g.{secret}",
                f".{secret}",
                f"{clinic.id.hex}.{secret}{'x' * 1_000_000}",
                "٣" * 32 + "." + secret,
            )
        ),
        *(Greeting(token=each) for each in ("", "a.b.c", "\x00", token[:-1], "\ud800", "x" * 1_000_000, cookie)),
    ]
    found = await known_by(house, *bad, good)
    assert found[:-1] == [None] * len(bad)
    assert found[-1]
    assert await known_by(house, *bad) == [None] * len(bad)
    assert await known_by(house) == []
    assert await valid(house, []) == []


async def resolved(house: House, greeting: Greeting) -> bool:
    """Whether it counts where one is asked about at a time."""
    if greeting.token:
        return await resolve_token(house.database, house.keys, greeting.token, house.clock()) is not None
    cookie = greeting.cookie or ""
    return await sessions.resolve(house.database, cookie, house.clock(), house.idle, in_use=False) is not None


ENDS = [
    "nothing",
    "another's end",
    "signed out of one",
    "signed out everywhere",
    "deactivated",
    "deactivated and back",
    "another role",
    "token revoked",
    "key revoked",
    "idle",
    "token over",
    "of age",
    "inactive without a word",
    "another language",
]


async def bring_about(house: House, clinic: Clinic, clock: MovableClock, end: str, known: list[Known]) -> None:
    by_cookie, by_token, by_key = known
    async with house.open_work(clinic.id, SYSTEM) as work:
        match end:
            case "another's end":
                await sessions.end_all(work, clinic.huda.id)
                await revoke_token(work, uuid.uuid4())
            case "signed out of one":
                assert by_cookie.session
                await sessions.end(work, by_cookie.session, clinic.omar.id)
            case "signed out everywhere":
                await sessions.end_all(work, clinic.omar.id)
            case "deactivated":
                await change_staff(work, clinic.omar.id, active=False)
            case "deactivated and back":
                await change_staff(work, clinic.omar.id, active=False)
                await change_staff(work, clinic.omar.id, active=True)
            case "another role":
                await change_staff(work, clinic.omar.id, role=Role.FRONT_DESK)
            case "another language":
                await change_staff(work, clinic.omar.id, language="ar")
            case "token revoked":
                assert by_token.token
                await revoke_token(work, by_token.token)
            case "key revoked":
                assert by_key.key
                await revoke_key(work, by_key.key)
            case "inactive without a word":
                await work.session.execute(update(Staff).where(Staff.id == clinic.omar.id).values(active=False))
            case "of age":
                await work.session.execute(update(StaffSession).values(expires_at=work.now))
            case "idle":
                clock.move(house.idle)
            case "token over":
                clock.move(LIFE)


EXPECTED = {
    "nothing": [True, True, True],
    "another's end": [True, True, True],
    "another language": [True, True, True],
    "signed out of one": [False, True, True],
    "token revoked": [True, False, True],
    "key revoked": [True, True, False],
    "of age": [False, True, True],
    "token over": [True, False, False],
}


@pytest.mark.parametrize("end", ENDS)
async def test_what_is_not_recognised_any_more_does_not_count_any_more(
    house: House, clinic: Clinic, clock: MovableClock, end: str
) -> None:
    key = await key_of(house, clinic)
    greetings = [
        await cookie_of(house, clinic.omar),
        await token_of(house, clinic.omar),
        await token_of(house, clinic.omar, key),
    ]
    known = [each for each in await known_by(house, *greetings) if each]
    assert len(known) == 3
    await bring_about(house, clinic, clock, end, known)
    expected = EXPECTED.get(end, [False] * 3)
    assert [each is not None for each in await known_by(house, *greetings)] == expected
    assert [await resolved(house, greeting) for greeting in greetings] == expected
    assert await valid(house, known) == expected


async def test_more_than_a_thousand_at_once_are_told_apart(house: House, clinic: Clinic) -> None:
    cookie, token = await cookie_of(house, clinic.omar), await token_of(house, clinic.huda)
    nobody = Greeting(cookie=f"{clinic.id.hex}.nobody")
    found = await known_by(house, *[cookie, nobody, token, nobody] * 600)
    assert [each.person if each else None for each in found] == [clinic.omar.id, None, clinic.huda.id, None] * 600
    assert await valid(house, [each for each in found if each]) == [True] * 1200
