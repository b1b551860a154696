"""Taking what is due: everything is read again, what may leave gets a lease and a request, the rest its reason."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from hub.channels.registry import Registry
from hub.channels.vendor import Channel
from hub.db import fetch_directly
from hub.messages.circuits import read_open
from hub.messages.parcels import Around, Parcel, prepare
from hub.messages.states import State
from hub.messages.steps import add_steps, step
from hub.messages.tables import Attempt, MessageAttachment
from hub.people.choices import read_choices
from hub.people.contact_points import read_contacts
from hub.people.tables import Patient, Staff
from hub.people.tenants import read_clinic
from hub.templates.versions import published
from hub.work import Work

# A request begins within START_WITHIN_S of its claim or not at all, and ends by its own time-outs long before this.
LEASE = timedelta(seconds=60)
START_WITHIN_S = 20.0
# What the limits did not let through has another chance after so long.
LIMITED = timedelta(seconds=5)
RATE_LIMIT = "rate_limit"

DUE = """
SELECT id, patient_id, staff_id, topic, lane, code, language, channels, channel, sealed, attempt, tries, expires_at,
    reason, withdrawn_by
FROM messages WHERE lane = $1 AND tenant_id = $2 AND state = 'queued' AND due_at <= $3
ORDER BY due_at, id LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
"""
TAKE = """
UPDATE messages AS message SET state = 'sending', reason = NULL, attempt = message.attempt + 1,
    tries = taken.tries, channel = taken.channel, lease_until = $4, updated_at = $5
FROM unnest($1::uuid[], $2::text[], $3::int[]) AS taken(id, channel, tries) WHERE message.id = taken.id
"""
PUT_OFF = """
UPDATE messages AS message SET reason = later.reason, due_at = later.due_at, updated_at = $4
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS later(id, reason, due_at) WHERE message.id = later.id
"""
STOP = """
UPDATE messages AS message SET state = stopped.state, reason = stopped.reason, updated_at = $4
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS stopped(id, state, reason) WHERE message.id = stopped.id
"""

# In how many seconds each request may be made, by its attempt; those left out have to wait.
Allow = Callable[[Sequence[Parcel]], Awaitable[Mapping[uuid.UUID, float]]]


async def claim(
    work: Work, lane: str, vendors: Registry, public_url: str, limit: int, allow: Allow | None = None
) -> tuple[list[Parcel], int]:
    """Take up to `limit` messages of a lane that are due: what is to be requested, and how many were dealt with.

    Those that `allow` holds back stay queued, are due again in a while, and do not count.
    """
    rows = await fetch_directly(work.session, DUE, lane, work.tenant, work.now, limit)
    if not rows:
        return [], 0
    around = await _read_around(work, rows, vendors, public_url)
    for row in rows:
        await prepare(around, row)
    held = await _hold_back(around, rows, await allow(around.parcels)) if allow else 0
    await _write(around)
    return around.parcels, len(rows) - held


async def _hold_back(around: Around, rows: Sequence[asyncpg.Record], delays: Mapping[uuid.UUID, float]) -> int:
    """Put off what may not be requested yet, as if it had not been looked at; returns how many."""
    reasons = {row["id"]: row["reason"] for row in rows}
    held = [parcel for parcel in around.parcels if parcel.attempt not in delays]
    around.parcels = [
        replace(parcel, delay=delays[parcel.attempt]) for parcel in around.parcels if parcel.attempt in delays
    ]
    for parcel in held:
        around.later.append((parcel.message, RATE_LIMIT, around.work.now + LIMITED))
        # Behind a long queue it is held back again and again: its log says so once.
        if reasons[parcel.message] != RATE_LIMIT:
            around.steps.append(
                step(around.work, parcel.message, State.QUEUED, channel=parcel.outgoing.channel, reason=RATE_LIMIT)
            )
    return len(held)


async def _read_around(work: Work, rows: Sequence[asyncpg.Record], vendors: Registry, public_url: str) -> Around:
    session = work.session
    clinic = await read_clinic(session, work.tenant)
    patients = {row["patient_id"] for row in rows if row["patient_id"]}
    zones = await session.execute(
        select(Patient.id, Patient.zone).where(Patient.id.in_(patients), Patient.zone.isnot(None))
    )
    staff = {row["staff_id"] for row in rows if row["staff_id"]}
    codes = {row["code"] for row in rows if row["code"] and (row["patient_id"] or row["staff_id"])}
    emails = [row["id"] for row in rows if Channel.EMAIL in row["channels"]]
    files: dict[uuid.UUID, list[MessageAttachment]] = {}
    found = select(MessageAttachment).where(MessageAttachment.message_id.in_(emails)).order_by(MessageAttachment.place)
    for file in (await session.execute(found)).scalars():
        files.setdefault(file.message_id, []).append(file)
    return Around(
        work=work,
        clinic=clinic,
        vendors=vendors,
        public_url=public_url,
        spared=await read_open(session, work.now),
        zones={row.id: ZoneInfo(row.zone or "UTC") for row in zones.all()},
        contacts=await read_contacts(session, patients),
        choices=await read_choices(session, patients),
        staff=await _read_staff(session, staff),
        wordings={code: await published(session, code) for code in codes},
        files=files,
    )


async def _read_staff(session: AsyncSession, people: Collection[uuid.UUID]) -> dict[uuid.UUID, Staff]:
    if not people:
        return {}
    return {
        person.id: person for person in (await session.execute(select(Staff).where(Staff.id.in_(people)))).scalars()
    }


async def _write(around: Around) -> None:
    work = around.work
    session = work.session
    if around.parcels:
        await session.execute(insert(Attempt), [around.attempts[each.attempt] for each in around.parcels])
        taken = [(each.message, each.outgoing.channel.value, each.tries) for each in around.parcels]
        await fetch_directly(session, TAKE, *zip(*taken, strict=True), work.now + LEASE, work.now)
    if around.later:
        await fetch_directly(session, PUT_OFF, *zip(*around.later, strict=True), work.now)
    if around.stopped:
        await fetch_directly(session, STOP, *zip(*around.stopped, strict=True), work.now)
    await add_steps(work, around.steps + [_sending(work, each) for each in around.parcels])


def _sending(work: Work, parcel: Parcel) -> dict[str, Any]:
    return step(
        work,
        parcel.message,
        State.SENDING,
        attempt=parcel.number,
        channel=parcel.outgoing.channel,
        vendor=parcel.vendor.name,
    )
