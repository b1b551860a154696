"""Sign-in sessions: kept by the server, ended by sign-out, idleness or age. An open live connection is no use."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ARRAY, Uuid, any_, delete, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from hub import audit
from hub.crypto import hash_secret, new_secret
from hub.db import Database
from hub.people.roles import Role
from hub.people.tables import Staff, StaffSession, Tenant
from hub.people.tenants import Clinic, clinic_of
from hub.work import Work

LONGEST_SESSION = timedelta(hours=12)
# Well below the shortest idle time that can be set, or use would never be noted in time.
USE_NOTED_EVERY = timedelta(seconds=10)
ENDED_KEPT = timedelta(days=30)
LONGEST_DEVICE = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in member of staff, as of this request."""

    id: uuid.UUID
    name: str
    role: Role
    language: str
    shortcuts: bool
    clinic: Clinic
    session: uuid.UUID | None

    @property
    def tenant(self) -> uuid.UUID:
        """The tenant whose rows this person may see."""
        return self.clinic.id


def person_of(staff: Staff, clinic: Clinic, session: uuid.UUID | None) -> Person:
    """The person a row stands for."""
    return Person(staff.id, staff.name, Role(staff.role), staff.language, staff.shortcuts, clinic, session)


async def start(work: Work, person: uuid.UUID, device: str) -> str:
    """Open a session; returns the cookie's value, of which only a hash is stored."""
    secret = new_secret()
    session = StaffSession(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        staff_id=person,
        secret_hash=hash_secret(secret),
        device=device[:LONGEST_DEVICE],
        created_at=work.now,
        last_used_at=work.now,
        expires_at=work.now + LONGEST_SESSION,
    )
    work.session.add(session)
    await work.session.flush()
    await audit.record(work, "session.started", "session", session.id)
    return f"{work.tenant.hex}.{secret}"


async def resolve(database: Database, cookie: str, now: datetime, idle: timedelta, *, in_use: bool) -> Person | None:
    """Whose cookie this is, or None when it is nobody's or its session is over. `in_use` puts off the idle end."""
    tenant_hex, _, secret = cookie.partition(".")
    try:
        tenant = uuid.UUID(hex=tenant_hex)
    except ValueError:
        return None
    async with database.of_tenant(tenant) as session:
        query = (
            select(StaffSession, Staff, Tenant)
            .join(Staff, Staff.id == StaffSession.staff_id)
            .join(Tenant, Tenant.id == Staff.tenant_id)
            .where(StaffSession.secret_hash == hash_secret(secret), Staff.active)
        )
        row = (await session.execute(query)).one_or_none()
        if row is None or not is_open(row.StaffSession, now, idle):
            return None
        if in_use and now - row.StaffSession.last_used_at > USE_NOTED_EVERY:
            used = update(StaffSession).where(StaffSession.id == row.StaffSession.id).values(last_used_at=now)
            await session.execute(used)
        return person_of(row.Staff, clinic_of(row.Tenant), row.StaffSession.id)


def is_open(session: StaffSession, now: datetime, idle: timedelta) -> bool:
    """Whether a session still counts (pure)."""
    return session.ended_at is None and now < session.expires_at and now < session.last_used_at + idle


async def list_open(session: AsyncSession, person: uuid.UUID, now: datetime, idle: timedelta) -> list[StaffSession]:
    """The person's open sessions, the one used last first."""
    query = select(StaffSession).where(StaffSession.staff_id == person, StaffSession.ended_at.is_(None))
    found = (await session.execute(query.order_by(StaffSession.last_used_at.desc()).limit(100))).scalars()
    return [each for each in found if is_open(each, now, idle)]


async def end(work: Work, session: uuid.UUID, person: uuid.UUID) -> None:
    """Sign out of one session; its open sockets close."""
    mine = (StaffSession.id == session, StaffSession.staff_id == person, StaffSession.ended_at.is_(None))
    await work.session.execute(update(StaffSession).where(*mine).values(ended_at=work.now))
    await audit.record(work, "session.ended", "session", session)
    work.access_ended(person, session)


async def end_all(work: Work, person: uuid.UUID) -> None:
    """Sign out everywhere; every open socket of the person closes."""
    mine = (StaffSession.staff_id == person, StaffSession.ended_at.is_(None))
    await work.session.execute(update(StaffSession).where(*mine).values(ended_at=work.now))
    await audit.record(work, "session.ended_everywhere", "staff", person)
    work.access_ended(person)


async def still_open(
    watch: AsyncConnection, sessions: Collection[uuid.UUID], now: datetime, idle: timedelta
) -> set[uuid.UUID]:
    """Which of these sessions, of any tenant, still count."""
    query = select(StaffSession.id).where(
        StaffSession.id == any_(literal(list(sessions), ARRAY(Uuid))),
        StaffSession.ended_at.is_(None),
        StaffSession.expires_at > now,
        StaffSession.last_used_at > now - idle,
    )
    return set((await watch.execute(query)).scalars())


async def forget_old(work: Work) -> int:
    """Drop sessions that ended a month ago; the audit log keeps that they were. Returns how many."""
    long_ago = work.now - ENDED_KEPT
    old = delete(StaffSession).where(or_(StaffSession.ended_at < long_ago, StaffSession.expires_at < long_ago))
    return len((await work.session.execute(old.returning(StaffSession.id))).all())
