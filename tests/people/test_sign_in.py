"""Signing in, and what stands against guessing."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from hub.errors import NotSignedIn, Throttled
from hub.people.sign_in import (
    GUESSES_PER_ADDRESS,
    GUESSES_PER_NETWORK,
    WINDOW,
    ChooseClinic,
    forget_old_failures,
    network_of,
)
from hub.people.staff import change_staff, hash_password
from hub.people.tables import SignInFailure, Staff
from hub.wiring import House
from hub.work import SYSTEM
from tests.conftest import MovableClock
from tests.factories import PASSWORD, Clinic, open_clinic

WRONG = "not the password"
OTHER = "quite another one"


def some_network() -> str:
    """An address that no other test guesses from."""
    return f"203.0.{secrets.randbelow(256)}.{secrets.randbelow(256)}-{secrets.token_hex(4)}"


async def sign_in(house: House, email: str, password: str = PASSWORD, network: str = "", clinic: str = "") -> str:
    return await house.front_door.sign_in(
        email, password, clinic=clinic, network=network or some_network(), device="test"
    )


async def guessed(house: House, what: str, times: int) -> None:
    """So many wrong guesses at an address, or from a network, a moment ago: each real one is slow by design."""
    async with house.database.of_nobody() as session:
        key = house.keys.keyed_hash("sign-in", what)
        session.add_all(SignInFailure(key=key, at=house.clock()) for _ in range(times))


async def failures(house: House) -> int:
    async with house.database.of_nobody() as session:
        return (await session.execute(select(func.count()).select_from(SignInFailure))).scalar_one()


async def move_to(house: House, person: Staff, email: str, password: str) -> None:
    """Give somebody another address and password, hashed at no cost."""
    async with house.database.of_tenant(person.tenant_id) as session:
        found = (await session.execute(select(Staff).where(Staff.id == person.id))).scalar_one()
        found.email, found.password_hash = email, PasswordHasher(1, 8, 1).hash(password)


async def test_the_right_password_opens_a_session(house: House, clinic: Clinic) -> None:
    cookie = await sign_in(house, clinic.omar.email)
    assert cookie.startswith(f"{clinic.id.hex}.")
    assert len(cookie.partition(".")[2]) >= 43


async def test_the_address_is_taken_in_any_case_and_with_spaces_around_it(house: House, clinic: Clinic) -> None:
    assert await sign_in(house, f"  {clinic.omar.email.upper()} ")


async def test_every_wrong_way_is_refused_in_the_same_words(house: House, clinic: Clinic) -> None:
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.huda.id, active=False)
    ways = [
        (clinic.omar.email, WRONG),
        ("nobody@example.org", PASSWORD),
        (clinic.huda.email, PASSWORD),
        (clinic.omar.email + "\x00", PASSWORD),
        ("", PASSWORD),
        (clinic.omar.email, ""),
    ]
    refusals = set()
    for email, password in ways:
        with pytest.raises(NotSignedIn) as refusal:
            await sign_in(house, email, password)
        refusals.add(str(refusal.value))
    assert len(refusals) == 1


async def test_guesses_at_an_address_are_throttled_from_wherever_they_come(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    await guessed(house, clinic.omar.email, GUESSES_PER_ADDRESS - 1)
    with pytest.raises(NotSignedIn):
        await sign_in(house, clinic.omar.email, WRONG)
    with pytest.raises(Throttled) as refusal:
        await sign_in(house, clinic.omar.email, PASSWORD)
    assert 0 < refusal.value.retry_after <= WINDOW.total_seconds()
    assert await sign_in(house, clinic.huda.email), "others are not kept out"
    clock.move(timedelta(seconds=refusal.value.retry_after))
    assert await sign_in(house, clinic.omar.email)


async def test_guesses_at_an_unknown_address_are_throttled_alike(house: House) -> None:
    email = f"{secrets.token_hex(8)}@example.org"
    await guessed(house, email, GUESSES_PER_ADDRESS - 1)
    with pytest.raises(NotSignedIn):
        await sign_in(house, email)
    with pytest.raises(Throttled):
        await sign_in(house, email)


async def test_guesses_from_a_network_are_throttled_whomever_they_aim_at(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    network = some_network()
    await guessed(house, network, GUESSES_PER_NETWORK - 1)
    assert await sign_in(house, clinic.omar.email, network=network)
    with pytest.raises(NotSignedIn):
        await sign_in(house, "nobody@example.org", network=network)
    with pytest.raises(Throttled) as refusal:
        await sign_in(house, clinic.omar.email, network=network)
    assert await sign_in(house, clinic.omar.email, network=some_network())
    clock.move(timedelta(seconds=refusal.value.retry_after))
    assert await sign_in(house, clinic.omar.email, network=network)


async def test_many_guesses_at_once_are_no_way_around_the_limit(house: House, clinic: Clinic) -> None:
    await guessed(house, clinic.omar.email, GUESSES_PER_ADDRESS - 2)
    answers = await asyncio.gather(
        *(sign_in(house, clinic.omar.email, WRONG) for _ in range(12)), return_exceptions=True
    )
    assert sum(isinstance(answer, NotSignedIn) for answer in answers) == 2
    assert sum(isinstance(answer, Throttled) for answer in answers) == 10


async def test_signing_in_rightly_counts_as_no_guess(house: House, clinic: Clinic) -> None:
    before = await failures(house)
    for _ in range(3):
        await sign_in(house, clinic.omar.email)
    assert await failures(house) == before


async def test_neither_address_nor_network_is_kept_readable(house: House, clinic: Clinic) -> None:
    network = some_network()
    with pytest.raises(NotSignedIn):
        await sign_in(house, clinic.omar.email, WRONG, network)
    async with house.database.of_nobody() as session:
        keys = (await session.execute(select(SignInFailure.key))).scalars().all()
    assert house.keys.keyed_hash("sign-in", network) in keys
    assert not any(network.encode() in key or clinic.omar.email.encode() in key for key in keys)


async def test_failures_are_forgotten_when_they_no_longer_count(house: House, clock: MovableClock) -> None:
    with pytest.raises(NotSignedIn):
        await sign_in(house, f"{secrets.token_hex(8)}@example.org")
    clock.move(WINDOW + timedelta(seconds=1))
    async with house.database.of_nobody() as session:
        assert await forget_old_failures(session, clock()) >= 2
        assert await forget_old_failures(session, clock()) == 0


async def test_one_address_at_two_clinics_chooses_between_those_its_password_fits(house: House) -> None:
    clinics = [await open_clinic(house) for _ in range(3)]
    here, there, elsewhere = (clinic.id.hex for clinic in clinics)
    email = f"{secrets.token_hex(6)}@example.org"
    for clinic, password in zip(clinics, (PASSWORD, PASSWORD, OTHER), strict=True):
        await move_to(house, clinic.omar, email, password)
    before = await failures(house)
    with pytest.raises(ChooseClinic) as choice:
        await sign_in(house, email)
    slugs = {slug.removeprefix("clinic-"): slug for slug, _ in choice.value.clinics}
    assert set(slugs) == {here[:12], there[:12]}
    assert (await sign_in(house, email, clinic=slugs[there[:12]])).startswith(there)
    assert (await sign_in(house, email, OTHER)).startswith(elsewhere)
    assert await failures(house) == before
    with pytest.raises(NotSignedIn):
        await sign_in(house, email, clinic=f"clinic-{elsewhere[:12]}")


async def test_passwords_are_stored_as_argon2id_with_a_salt_of_their_own(house: House) -> None:
    one, two = await asyncio.gather(hash_password(PASSWORD), hash_password(PASSWORD))
    assert one.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert one != two


async def test_a_damaged_hash_lets_nobody_in(house: House, clinic: Clinic) -> None:
    async with house.database.of_tenant(clinic.id) as session:
        (await session.execute(select(Staff).where(Staff.id == clinic.omar.id))).scalar_one().password_hash = "damaged"
    with pytest.raises(NotSignedIn):
        await sign_in(house, clinic.omar.email)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_a_network_is_what_one_subscriber_has(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


async def test_guesses_of_yesterday_do_not_count(house: House, clinic: Clinic, clock: MovableClock) -> None:
    clock.move(-timedelta(days=1))
    await guessed(house, clinic.desk.email, GUESSES_PER_ADDRESS)
    clock.run()
    assert await sign_in(house, clinic.desk.email)
