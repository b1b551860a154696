"""Staff: adding, finding and changing the people who sign in."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import ARRAY, Uuid, any_, func, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

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


async def add_staff(work: Work, *, email: str, name: str, role: Role, language: str, password: str) -> Staff:
    """Add somebody who can sign in. Raises Invalid on a short password, Conflict when the address is taken."""
    _check_password(password)
    staff = Staff(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        email=email.strip().lower(),
        name=name,
        role=role,
        language=language,
        password_hash=await hash_password(password),
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


async def active_staff(session: AsyncSession, people: Collection[uuid.UUID]) -> list[Staff]:
    """These people, in order of id; raises Invalid that names who is unknown or no longer active."""
    wanted = set(people)
    query = select(Staff).where(Staff.id.in_(wanted), Staff.active).order_by(Staff.id)
    found = list((await session.execute(query)).scalars())
    missing = sorted(str(person) for person in wanted - {staff.id for staff in found})
    if missing:
        raise Invalid(
            "Some recipients are not on the active staff here; nobody was notified.",
            [FieldError("to.people", f"unknown or inactive: {person}") for person in missing[:20]],
        )
    return found


async def active_staff_in_role(session: AsyncSession, role: Role) -> list[Staff]:
    """Everybody active in a role, in order of id."""
    query = select(Staff).where(Staff.role == role, Staff.active).order_by(Staff.id)
    return list((await session.execute(query)).scalars())


async def still_active(watch: AsyncConnection, people: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these people, of any tenant, still have access."""
    query = select(Staff.id).where(Staff.id == any_(literal(list(people), ARRAY(Uuid))), Staff.active)
    return set((await watch.execute(query)).scalars())


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
