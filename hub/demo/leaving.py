"""Messages of the past leave as they would have: by the sandbox, with the workers' own verbs, each at its moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from hub.channels.registry import Registry
from hub.channels.sandbox import Sandbox
from hub.channels.vendor import Channel, Report
from hub.messages.claim import claim
from hub.messages.progress import apply_to_attempts
from hub.messages.receipts import insert_rows, rows_of
from hub.messages.settle import settle
from hub.messages.states import State
from hub.messages.tables import Message, VendorEvent
from hub.work import Work

MOST_AT_ONCE = 100
# A worker looks as often, more or less; what comes meanwhile is dealt with together.
TICK = timedelta(seconds=15)


async def let_leave(work: Work, last: datetime) -> None:
    """Send, answer, report and try again, each at its moment, until nothing more is due by `last`.

    What will be reported later waits for the workers.
    """
    clock = work.now
    vendors = Registry(dict.fromkeys(Channel, (Sandbox(lambda: clock, per_second=MOST_AT_ONCE),)))
    reports: list[Report] = []
    while (due := await _due(work, reports)) and min(due.values()) <= last:
        clock = max(clock, min(min(due.values()) + TICK, last))
        now = replace(work, now=clock)
        if told := [report for report in reports if report.occurred_at <= clock]:
            await _apply(now, told)
        reports = [report for report in reports if report.occurred_at > clock]
        for lane in [lane for lane, moment in due.items() if lane and moment <= clock]:
            parcels, _ = await claim(now, lane, vendors, work.public_url, MOST_AT_ONCE)
            answered = [(parcel, await parcel.vendor.send(parcel.outgoing)) for parcel in parcels]
            if answered:
                await settle(now, answered)
            reports += [report for _, outcome in answered for report in outcome.foretold]
    await insert_rows(work.session, rows_of(work.keys, reports, b"", clock))


async def _due(work: Work, reports: Sequence[Report]) -> dict[str, datetime]:
    """When the next message of each lane is due, and under no lane's name the next report."""
    query = select(Message.lane, func.min(Message.due_at)).where(Message.state == State.QUEUED).group_by(Message.lane)
    found = {row[0]: row[1] for row in await work.session.execute(query)}
    return found | ({"": min(report.occurred_at for report in reports)} if reports else {})


async def _apply(work: Work, reports: Sequence[Report]) -> None:
    """Store what the sandbox reports, and apply it at once."""
    rows = rows_of(work.keys, reports, b"", work.now)
    await insert_rows(work.session, rows)
    about = [(report.reference, row.id, report) for report, row in zip(reports, rows, strict=True) if report.reference]
    results = await apply_to_attempts(work, about)
    done = {"applied_at": work.now, "due_at": None, "tenant_id": work.tenant}
    applied = [{"id": event, "attempt_id": attempt, "result": results[event], **done} for attempt, event, _ in about]
    if applied:
        await work.session.execute(update(VendorEvent), applied)
