"""Signing in with a password, with guesses throttled by address and by network before a password is looked at."""

from __future__ import annotations

import ipaddress
import math
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.clock import Clock
from hub.crypto import Keys
from hub.db import Database
from hub.errors import HubError, NotSignedIn, Throttled
from hub.people import sessions
from hub.people.staff import hash_password, password_is
from hub.people.tables import SignInFailure, Staff, Tenant
from hub.work import Actor, OpenWork

WINDOW = timedelta(minutes=15)
GUESSES_PER_ADDRESS = 8
GUESSES_PER_NETWORK = 60
# What one subscriber of IPv6 usually has: its addresses are as good as endless.
IPV6_NETWORK_BITS = 64


class ChooseClinic(HubError):
    """The address and password fit at several clinics; `clinics` are their slugs and names."""

    code = "choose-clinic"

    def __init__(self, clinics: list[tuple[str, str]]) -> None:
        super().__init__("You work at more than one clinic. Choose where to sign in.")
        self.clinics = clinics


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that the email address fits."""

    id: uuid.UUID
    tenant: uuid.UUID
    slug: str
    clinic: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """What signing in needs of the house."""

    database: Database
    clock: Clock
    keys: Keys
    open_work: OpenWork

    async def sign_in(self, email: str, password: str, *, clinic: str = "", network: str, device: str) -> str:
        """Returns the session cookie's value.

        Raises NotSignedIn when nothing fits (never saying what), Throttled after too many wrong guesses, and
        ChooseClinic when the same address and password fit at several clinics and `clinic` names none of them.
        """
        email = email.strip().lower()
        guess = await self._admit(email, network_of(network))
        fitting = [each for each in await self._candidates(email) if await password_is(password, each.password_hash)]
        if clinic:
            fitting = [each for each in fitting if each.slug == clinic]
        if not fitting:
            raise NotSignedIn("The email address or the password is not right.")
        await self._forgive(guess)
        if len(fitting) > 1:
            raise ChooseClinic([(each.slug, each.clinic) for each in fitting])
        async with self.open_work(fitting[0].tenant, Actor("staff", fitting[0].id)) as work:
            return await sessions.start(work, fitting[0].id, device)

    async def _admit(self, email: str, network: str) -> list[int]:
        """Count the guess as a wrong one before it is looked at: many at once are then no way around the limit."""
        limits = {self._key(email): GUESSES_PER_ADDRESS, self._key(network): GUESSES_PER_NETWORK}
        async with self.database.of_nobody() as session:
            for key in sorted(limits):
                lock = int.from_bytes(key[:8], "big", signed=True)
                await session.execute(select(func.pg_advisory_xact_lock(lock)))
            now = self.clock()
            for key, limit in limits.items():
                oldest = await _nth_latest_failure(session, key, now - WINDOW, limit)
                if oldest is not None:
                    wait = max(1, math.ceil((oldest + WINDOW - now).total_seconds()))
                    raise Throttled("Too many wrong guesses. Wait a few minutes, then try again.", wait)
            guess = [SignInFailure(key=key, at=now) for key in limits]
            session.add_all(guess)
            await session.flush()
            return [each.id for each in guess]

    async def _candidates(self, email: str) -> list[Candidate]:
        query = (
            select(Staff.id, Staff.tenant_id, Tenant.slug, Tenant.name, Staff.password_hash)
            .join(Tenant, Tenant.id == Staff.tenant_id)
            .where(Staff.email == email, Staff.active)
            .order_by(Tenant.name)
            .limit(10)
        )
        found: list[Candidate] = []
        # What cannot be printed is nobody's address, and some of it is nothing that Postgres reads.
        if email.isprintable():
            async with self.database.watching() as watch:
                found = [Candidate(*row) for row in (await watch.execute(query)).all()]
        if not found:
            # As slow as a real address, so that the time tells nothing.
            await hash_password(secrets.token_hex(8))
        return found

    async def _forgive(self, guess: list[int]) -> None:
        async with self.database.of_nobody() as session:
            await session.execute(delete(SignInFailure).where(SignInFailure.id.in_(guess)))

    def _key(self, text: str) -> bytes:
        return self.keys.keyed_hash("sign-in", text)


def network_of(address: str) -> str:
    """The network that guesses from this address count for (pure)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found.packed, IPV6_NETWORK_BITS), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)


async def _nth_latest_failure(session: AsyncSession, key: bytes, since: datetime, n: int) -> datetime | None:
    """When the n-th latest failure was, if there were as many."""
    query = select(SignInFailure.at).where(SignInFailure.key == key, SignInFailure.at > since)
    return (await session.execute(query.order_by(SignInFailure.at.desc()).offset(n - 1).limit(1))).scalar_one_or_none()


async def forget_old_failures(session: AsyncSession, now: datetime) -> int:
    """Drop failures that no longer count; returns how many."""
    old = select(SignInFailure.id).where(SignInFailure.at < now - WINDOW)
    count = (await session.execute(select(func.count()).select_from(old.subquery()))).scalar_one()
    await session.execute(delete(SignInFailure).where(SignInFailure.at < now - WINDOW))
    return count
