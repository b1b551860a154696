"""Sign-in sessions: kept by the server, ended by sign-out, idleness or age. An open live connection is no use."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.crypto import hash_secret, new_secret
from hub.db import Database
from hub.people.roles import Role
from hub.people.tables import Staff, StaffSession, Tenant
from hub.people.tenants import Clinic, clinic_of
from hub.work import Work

LONGEST_SESSION = timedelta(hours=12)
LONGEST_COOKIE = 200
# Well below the shortest idle time that can be set, or use would never be noted in time.
USE_NOTED_EVERY = timedelta(seconds=10)
ENDED_KEPT = timedelta(days=30)
LONGEST_DEVICE = 200

# Which sessions still count, as long as their person is active.
OPEN = and_(
    StaffSession.ended_at.is_(None),
    StaffSession.expires_at > bindparam("now"),
    StaffSession.last_used_at > bindparam("used_since"),
)


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
    read = read_cookie(cookie)
    if read is None:
        return None
    tenant, secret_hash = read
    async with database.of_tenant(tenant) as session:
        query = (
            select(StaffSession, Staff, Tenant)
            .join(Staff, Staff.id == StaffSession.staff_id)
            .join(Tenant, Tenant.id == Staff.tenant_id)
            .where(StaffSession.secret_hash == secret_hash, Staff.active, OPEN)
        )
        row = (await session.execute(query, moments_of(now, idle))).one_or_none()
        if row is None:
            return None
        if in_use and now - row.StaffSession.last_used_at > USE_NOTED_EVERY:
            used = update(StaffSession).where(StaffSession.id == row.StaffSession.id).values(last_used_at=now)
            await session.execute(used)
        return person_of(row.Staff, clinic_of(row.Tenant), row.StaffSession.id)


def read_cookie(cookie: str) -> tuple[uuid.UUID, bytes] | None:
    """The tenant a cookie names, and the hash of its secret; None when it is no cookie of ours (pure)."""
    tenant, _, secret = cookie.partition(".")
    try:
        return (uuid.UUID(hex=tenant), hash_secret(secret)) if len(cookie) <= LONGEST_COOKIE else None
    except ValueError:
        return None


def moments_of(now: datetime, idle: timedelta) -> dict[str, datetime]:
    """What `OPEN` asks for (pure)."""
    return {"now": now, "used_since": now - idle}


async def list_open(session: AsyncSession, person: uuid.UUID, now: datetime, idle: timedelta) -> list[StaffSession]:
    """The person's open sessions, the one used last first."""
    query = select(StaffSession).where(StaffSession.staff_id == person, OPEN)
    latest_first = query.order_by(StaffSession.last_used_at.desc()).limit(100)
    return list((await session.execute(latest_first, moments_of(now, idle))).scalars())


async def end(work: Work, session: uuid.UUID, person: uuid.UUID) -> None:
    """Sign out of one session; its open sockets close."""
    mine = (StaffSession.id == session, StaffSession.staff_id == person, StaffSession.ended_at.is_(None))
    await work.session.execute(update(StaffSession).where(*mine).values(ended_at=work.now))
    await audit.record(work, "session.ended", "session", session)
    work.access_ended(person, session)


async def end_all(work: Work, person: uuid.UUID) -> None:
    """Sign out everywhere: every session and live token of the person ends, and every open socket closes."""
    mine = (StaffSession.staff_id == person, StaffSession.ended_at.is_(None))
    await work.session.execute(update(StaffSession).where(*mine).values(ended_at=work.now))
    next_era = update(Staff).where(Staff.id == person).values(token_era=Staff.token_era + 1)
    await work.session.execute(next_era, execution_options={"synchronize_session": False})
    await audit.record(work, "session.ended_everywhere", "staff", person)
    work.access_ended(person)


async def forget_old(work: Work) -> int:
    """Drop sessions that ended a month ago; the audit log keeps that they were. Returns how many."""
    long_ago = work.now - ENDED_KEPT
    old = delete(StaffSession).where(or_(StaffSession.ended_at < long_ago, StaffSession.expires_at < long_ago))
    return len((await work.session.execute(old.returning(StaffSession.id))).all())
