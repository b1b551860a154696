"""Staff: adding, finding and changing the people who sign in."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.errors import Conflict, FieldError, Invalid, NotFound
from hub.people import sessions
from hub.people.roles import Role
from hub.people.tables import Staff, StaffSession
from hub.work import Work

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256

# RFC 9106, second recommended option: 64 MiB, 3 passes; about 50 ms.
_hasher = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


async def add_staff(
    work: Work, *, email: str, name: str, role: Role, language: str, password: str, hashed: str | None = None
) -> Staff:
    """Add somebody who can sign in. Raises Invalid on a short password, Conflict when the address is taken.

    `hashed` is the password's hash where it is made for many at once: making it is slow by design.
    """
    _check_password(password)
    staff = Staff(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        email=email.strip().lower(),
        name=name,
        role=role,
        language=language,
        password_hash=hashed or await hash_password(password),
        active=True,
        shortcuts=True,
        created_at=work.now,
    )
    work.session.add(staff)
    try:
        await work.session.flush()
    except IntegrityError as error:
        raise Conflict("Somebody with this email address is already on the staff here.") from error
    await audit.record(work, "staff.added", "staff", staff.id, after={"role": role, "language": language})
    return staff


async def get_staff(session: AsyncSession, person: uuid.UUID) -> Staff:
    """One member of staff; raises NotFound, also for another tenant's."""
    found = (await session.execute(select(Staff).where(Staff.id == person))).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such person on the staff.")
    return found


async def get_clinician(session: AsyncSession, person: uuid.UUID) -> Staff:
    """One active clinician; raises Invalid when there is none by this id."""
    found = (await session.execute(select(Staff).where(Staff.id == person))).scalar_one_or_none()
    if found is None or found.role != Role.PROVIDER or not found.active:
        raise Invalid(
            "There is no such clinician here.",
            [
                FieldError(
                    "clinician_id", "not an active clinician of this clinic", ["the id of staff with role provider"]
                )
            ],
        )
    return found


async def list_staff(session: AsyncSession, after: str | None, limit: int) -> list[Staff]:
    """Staff by email address, those behind `after`."""
    query = select(Staff).order_by(Staff.email).limit(limit)
    if after is not None:
        query = query.where(Staff.email > after)
    return list((await session.execute(query)).scalars())


async def list_clinicians(session: AsyncSession) -> list[Staff]:
    """The clinicians with whom visits can be booked, by name."""
    query = select(Staff).where(Staff.role == Role.PROVIDER, Staff.active).order_by(Staff.name, Staff.id)
    return list((await session.execute(query)).scalars())


async def change_staff(
    work: Work, person: uuid.UUID, *, role: Role | None = None, active: bool | None = None, language: str | None = None
) -> Staff:
    """Change somebody's role, access or language. Losing a role or access ends every sign-in of theirs at once."""
    staff = await get_staff(work.session, person)
    before = {"role": staff.role, "active": staff.active, "language": staff.language}
    if person == work.actor.id and (active is False or (role is not None and role != staff.role)):
        raise Conflict("You cannot take your own access away. Ask another administrator.")
    staff.role = role if role is not None else staff.role
    staff.active = active if active is not None else staff.active
    staff.language = language if language is not None else staff.language
    after = {"role": staff.role, "active": staff.active, "language": staff.language}
    if after == before:
        return staff
    await work.session.flush()
    await audit.record(work, "staff.changed", "staff", person, before=before, after=after)
    if (before["role"], before["active"]) != (after["role"], after["active"]):
        await sessions.end_all(work, person)
    return staff


async def last_seen(session: AsyncSession, people: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """When each of these people last used a session."""
    query = select(StaffSession.staff_id, func.max(StaffSession.last_used_at)).where(StaffSession.staff_id.in_(people))
    rows = (await session.execute(query.group_by(StaffSession.staff_id))).all()
    return {row[0]: row[1] for row in rows}


async def set_shortcuts(work: Work, person: uuid.UUID, on: bool) -> None:
    """Switch the person's single-key shortcuts on or off (WCAG 2.1.4)."""
    staff = await get_staff(work.session, person)
    staff.shortcuts = on


async def hash_password(password: str) -> str:
    """The argon2id hash of a password, off the event loop."""
    return await asyncio.to_thread(_hasher.hash, password)


async def password_is(password: str, hashed: str) -> bool:
    """Whether `hashed` was made from `password`, off the event loop."""

    def verify() -> bool:
        try:
            return _hasher.verify(hashed, password)
        except (VerifyMismatchError, InvalidHashError):
            return False

    return await asyncio.to_thread(verify)


def _check_password(password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        accepted = [f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"]
        raise Invalid("This password is too short or too long.", [FieldError("password", "length", accepted)])
