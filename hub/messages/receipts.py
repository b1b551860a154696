"""What vendors report: stored once, then applied, in whatever order and however often it comes.

Storing is one statement under two unique keys, the delivery's and the fact's. Applying is a job's: it claims what is
due under a lease, finds whose it is, and marks it applied in the transaction of its effects.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hub.channels.vendor import Report, ReportKind
from hub.clock import Clock
from hub.crypto import CannotOpen, Keys
from hub.db import Database, fetch_directly
from hub.errors import Unavailable
from hub.logs import get_logger
from hub.messages.bounces import heed_reply
from hub.messages.progress import apply_to_attempts
from hub.work import SYSTEM, Job, OpenWork, Work

log = get_logger(__name__)

APPLY = Job("apply_reports", "normal")
AT_ONCE = 200
MOST_ROUNDS = 50
# Whoever dies while applying is followed by another one after so long.
LEASE = timedelta(seconds=60)
# A report may be here before what it is about is committed, or before its vendor's name for it is known.
WAITS_FOR = timedelta(minutes=10)
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(seconds=60)
# One that makes us fail is tried again so often, and looked at by somebody afterwards.
FAULTS_FOR = timedelta(hours=24)
# Postgres indexes no more than 2,700 bytes.
LONGEST_KEY = 400

REPLIES = frozenset({ReportKind.STOP, ReportKind.START})

INSERT = """
INSERT INTO vendor_events
    (id, vendor, transport_id, semantic_key, kind, vendor_id, sealed, occurred_at, due_at, received_at)
SELECT *, $10 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
    $8::timestamptz[], $9::timestamptz[])
ON CONFLICT DO NOTHING RETURNING id
"""
CLAIM = """
UPDATE vendor_events SET due_at = $2 WHERE id IN (
    SELECT id FROM vendor_events WHERE due_at <= $1 ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING id, sealed, received_at
"""
FIND = text("""
SELECT asked.event, attempt.tenant_id, attempt.id AS attempt
FROM unnest(CAST(:events AS uuid[]), CAST(:vendors AS text[]), CAST(:ids AS text[]), CAST(:refs AS uuid[]))
    AS asked(event, vendor, vendor_id, reference)
JOIN message_attempts AS attempt ON attempt.id = asked.reference AND attempt.vendor = asked.vendor
UNION ALL
SELECT asked.event, attempt.tenant_id, attempt.id
FROM unnest(CAST(:events AS uuid[]), CAST(:vendors AS text[]), CAST(:ids AS text[]))
    AS asked(event, vendor, vendor_id)
JOIN message_attempts AS attempt ON attempt.vendor = asked.vendor AND attempt.vendor_id = asked.vendor_id
""")
# Locked in order, so that two who hold the same ones do not wait for each other.
STILL_TO_DO = "SELECT id FROM vendor_events WHERE id = ANY($1::uuid[]) AND applied_at IS NULL ORDER BY id FOR UPDATE"
FINISH = """
UPDATE vendor_events AS event
SET applied_at = $4, due_at = NULL, result = done.result, attempt_id = done.attempt, tenant_id = $5
FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS done(id, result, attempt)
WHERE event.id = done.id AND event.applied_at IS NULL RETURNING event.id
"""
POSTPONE = """
UPDATE vendor_events AS event SET due_at = later.due_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS later(id, due_at) WHERE event.id = later.id AND event.applied_at IS NULL
"""

_report = TypeAdapter(Report)


class Row(NamedTuple):
    """A report as it is stored."""

    id: uuid.UUID
    vendor: str
    transport_id: str
    semantic_key: str
    kind: str
    vendor_id: str | None
    sealed: bytes
    occurred_at: datetime
    due_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A report that is to be applied."""

    id: uuid.UUID
    report: Report
    received_at: datetime


class Owner(NamedTuple):
    """Whose request a report is about."""

    tenant: uuid.UUID
    attempt: uuid.UUID


class Done(NamedTuple):
    """A report, what came of it, and the request it was about."""

    event: uuid.UUID
    result: str
    attempt: uuid.UUID | None = None


def rows_of(keys: Keys, reports: Iterable[Report], raw: bytes, now: datetime) -> list[Row]:
    """Reports as they are stored, sealed with what they came in. One that is foretold waits for its moment."""
    rows = []
    for report in reports:
        event = uuid.uuid4()
        plain = _report.dump_json(report)
        sealed = keys.seal(len(plain).to_bytes(4, "big") + plain + raw, _place(event))
        names = (report.vendor, _key(report.transport_id), _key(report.semantic_key), report.kind.value)
        moments = (report.occurred_at, max(now, report.occurred_at), now)
        rows.append(Row(event, *names, report.vendor_id, sealed, *moments))
    return rows


async def insert_rows(session: AsyncSession, rows: Sequence[Row]) -> set[uuid.UUID]:
    """Store those that are new; returns their ids. `rows` came in at one moment."""
    if not rows:
        return set()
    # In one order everywhere, so that two statements with the same facts do not wait for each other.
    columns = list(zip(*sorted(rows, key=lambda row: row.semantic_key), strict=True))
    found = await fetch_directly(session, INSERT, *columns[:-1], rows[0].received_at)
    return {row["id"] for row in found}


async def store_reports(database: Database, keys: Keys, reports: Sequence[Report], raw: bytes, now: datetime) -> int:
    """Store what a vendor reports, with the request it came in; returns how many are new. Raises Unavailable."""
    async with database.of_nobody() as session:
        return len(await insert_rows(session, rows_of(keys, reports, raw, now)))


def open_event(keys: Keys, event: uuid.UUID, sealed: bytes) -> tuple[Report, bytes]:
    """A stored report, and the request it came in; raises CannotOpen."""
    plain = keys.open(sealed, _place(event))
    end = 4 + int.from_bytes(plain[:4], "big")
    return _report.validate_json(plain[4:end]), plain[end:]


def _place(event: uuid.UUID) -> bytes:
    return f"vendor_events|sealed|{event}".encode()


def _key(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= LONGEST_KEY and name.isprintable():
        return name
    return sha256(encoded).hexdigest()


async def apply_due_reports(database: Database, open_work: OpenWork, keys: Keys, clock: Clock) -> int:
    """Apply what is due, however many do so at once; returns how many were looked at.

    Raises Unavailable; what was claimed by then is due again when its lease is over.
    """
    looked_at = 0
    for _ in range(MOST_ROUNDS):
        events, count = await _claim(database, keys, clock())
        await _apply(database, open_work, keys, clock, events)
        looked_at += count
        if count < AT_ONCE:
            break
    return looked_at


async def _claim(database: Database, keys: Keys, now: datetime) -> tuple[list[Due], int]:
    async with database.of_nobody() as session:
        rows = await fetch_directly(session, CLAIM, now, now + LEASE, AT_ONCE)
    events, unreadable = [], []
    for row in rows:
        try:
            report, _ = open_event(keys, row["id"], row["sealed"])
            events.append(Due(row["id"], report, row["received_at"]))
        except (CannotOpen, ValueError):
            log.error("a vendor's report cannot be opened: is its key in HUB_KEYS?", event_id=str(row["id"]))
            unreadable.append(Done(row["id"], "unreadable"))
    async with database.of_nobody() as session:
        await _finish(session, unreadable, now)
    # What was told first is applied first, where the order is known.
    return sorted(events, key=lambda event: (event.report.occurred_at, event.received_at)), len(rows)


async def _apply(database: Database, open_work: OpenWork, keys: Keys, clock: Clock, events: Sequence[Due]) -> None:
    about = [event for event in events if event.report.kind not in REPLIES | {ReportKind.OTHER}]
    owners = await _find_owners(database, about)
    by_tenant: dict[uuid.UUID, list[Due]] = defaultdict(list)
    for event in about:
        if event.id in owners:
            by_tenant[owners[event.id].tenant].append(event)
    for tenant, theirs in by_tenant.items():
        await _apply_safely(database, open_work, clock, tenant, theirs, owners)
    for event in events:
        if event.report.kind in REPLIES:
            await _heed(database, open_work, keys, clock, event)
    await _put_away(database, clock(), [event for event in events if event.id not in owners])


async def _find_owners(database: Database, events: Sequence[Due]) -> dict[uuid.UUID, Owner]:
    if not events:
        return {}
    asked = {
        "events": [event.id for event in events],
        "vendors": [event.report.vendor for event in events],
        "ids": [event.report.vendor_id for event in events],
        "refs": [event.report.reference for event in events],
    }
    async with database.watching() as watch:
        found = (await watch.execute(FIND, asked)).all()
    # Our own reference, which comes first, says more than the vendor's name for it.
    return {row.event: Owner(row.tenant_id, row.attempt) for row in reversed(found)}


async def _apply_safely(
    database: Database,
    open_work: OpenWork,
    clock: Clock,
    tenant: uuid.UUID,
    events: Sequence[Due],
    owners: Mapping[uuid.UUID, Owner],
) -> None:
    """Apply a tenant's events together; when that fails, one by one, so that one spoils no other."""
    try:
        async with open_work(tenant, SYSTEM) as work:
            await _apply_together(work, events, owners)
    except Unavailable:
        raise
    except Exception as error:
        if len(events) > 1:
            for event in events:
                await _apply_safely(database, open_work, clock, tenant, [event], owners)
            return
        log.exception("a report was not applied", event_id=str(events[0].id), error=type(error).__name__)
        await _note_fault(database, clock(), events[0])


async def _apply_together(work: Work, events: Sequence[Due], owners: Mapping[uuid.UUID, Owner]) -> None:
    still = {row["id"] for row in await fetch_directly(work.session, STILL_TO_DO, [event.id for event in events])}
    todo = [(owners[event.id].attempt, event.id, event.report) for event in events if event.id in still]
    results = await apply_to_attempts(work, todo)
    done = [Done(event, results[event], attempt) for attempt, event, _ in todo]
    await _finish(work.session, done, work.now, work.tenant)


async def _heed(database: Database, open_work: OpenWork, keys: Keys, clock: Clock, event: Due) -> None:
    try:
        patients = await heed_reply(database, open_work, keys, event.report)
    except Unavailable:
        raise
    except Exception as error:
        log.exception("a reply was not heeded", event_id=str(event.id), error=type(error).__name__)
        await _note_fault(database, clock(), event)
        return
    async with database.of_nobody() as session:
        await _finish(session, [Done(event.id, "applied" if patients else "nobody")], clock())


async def _note_fault(database: Database, now: datetime, event: Due) -> None:
    async with database.of_nobody() as session:
        if now - event.received_at < FAULTS_FOR:
            await fetch_directly(session, POSTPONE, [event.id], [now + LONGEST_WAIT])
        else:
            await _finish(session, [Done(event.id, "fault")], now)


async def _put_away(database: Database, now: datetime, events: Sequence[Due]) -> None:
    """What is about no request that we know: of no consequence, or it waits for its request a while."""
    done, later = [], []
    for event in events:
        age = now - event.received_at
        if event.report.kind is ReportKind.OTHER:
            done.append(Done(event.id, "nothing"))
        elif event.report.kind in REPLIES:
            continue
        elif age < WAITS_FOR:
            later.append((event.id, now + min(max(age, SHORTEST_WAIT), LONGEST_WAIT)))
        else:
            log.warning("a report is about no request of ours", event_id=str(event.id), vendor=event.report.vendor)
            done.append(Done(event.id, "orphan"))
    async with database.of_nobody() as session:
        await _finish(session, done, now)
        if later:
            await fetch_directly(session, POSTPONE, *zip(*later, strict=True))


async def _finish(session: AsyncSession, done: Sequence[Done], now: datetime, tenant: uuid.UUID | None = None) -> None:
    if done:
        await fetch_directly(session, FINISH, *zip(*done, strict=True), now, tenant)
