"""What a report changes: the request it is about, the message, and where the patient is reached."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from hub.channels.vendor import AddressFault, Report
from hub.messages.bounces import note_contact, read_failing
from hub.messages.content import open_request
from hub.messages.fallback import after_failure
from hub.messages.states import AttemptState, State, attempt_after, message_after
from hub.messages.steps import add_steps, step
from hub.messages.tables import Attempt, Message
from hub.work import Work

FAILURES = frozenset({State.FAILED, State.BOUNCED})
REASONS = {AddressFault.INVALID: "invalid_address", AddressFault.OPTED_OUT: "opted_out"}

# The request that a report is about, the report's row, and the report.
About = tuple[uuid.UUID, uuid.UUID, Report]


@dataclass(slots=True)
class _Batch:
    """What reports that are applied together share: steps are written together, contact points looked at once."""

    work: Work
    failing: set[uuid.UUID]
    steps: list[dict[str, Any]] = field(default_factory=list)

    async def write_steps(self) -> None:
        """Add the steps so far to the log, before anybody adds others."""
        await add_steps(self.work, self.steps)
        self.steps.clear()


async def apply_to_attempts(work: Work, reports: Sequence[About]) -> dict[uuid.UUID, str]:
    """Apply reports in the order given; returns what came of each, by the report's row."""
    attempts, messages = await _lock(work, {attempt for attempt, _, _ in reports})
    points = {attempt.contact_point_id for attempt in attempts.values() if attempt.contact_point_id}
    batch = _Batch(work, await read_failing(work.session, points))
    results = {}
    for attempt_id, event, report in reports:
        attempt = attempts[attempt_id]
        results[event] = await _apply(batch, messages[attempt.message_id], attempt, event, report)
    await batch.write_steps()
    return results


async def _lock(work: Work, wanted: set[uuid.UUID]) -> tuple[Mapping[uuid.UUID, Attempt], Mapping[uuid.UUID, Message]]:
    """The requests and their messages, locked in order of id, messages first, as everybody locks them."""
    theirs = select(Attempt.message_id).where(Attempt.id.in_(wanted))
    locked = select(Message).where(Message.id.in_(theirs)).order_by(Message.id).with_for_update(key_share=True)
    messages = {message.id: message for message in (await work.session.execute(locked)).scalars()}
    requests = select(Attempt).where(Attempt.id.in_(wanted)).order_by(Attempt.id).with_for_update(key_share=True)
    attempts = {attempt.id: attempt for attempt in (await work.session.execute(requests)).scalars()}
    return attempts, messages


async def _apply(batch: _Batch, message: Message, attempt: Attempt, event: uuid.UUID, report: Report) -> str:
    if attempt.vendor_id and report.vendor_id and attempt.vendor_id != report.vendor_id:
        return "other_request"
    if report.address and not is_same_address(report.address, _recipient(batch.work, attempt)):
        return "other_recipient"
    _note_figures(attempt, report)
    before = AttemptState(attempt.state)
    after = attempt_after(before, report.kind)
    if after is not before:
        attempt.state = after
        attempt.code = report.code or attempt.code
    await _move(batch, message, attempt, report, moved=after is not before)
    await note_contact(batch.work, event, attempt, report, batch.failing, is_news=after is not before)
    return "applied"


def _note_figures(attempt: Attempt, report: Report) -> None:
    attempt.vendor_id = attempt.vendor_id or report.vendor_id
    if report.segments is not None:
        attempt.segments_billed = report.segments
    if report.cost is not None:
        attempt.cost, attempt.currency = report.cost, report.currency


async def _move(batch: _Batch, message: Message, attempt: Attempt, report: Report, *, moved: bool) -> None:
    """Take the message along, if it goes; the log has a step for each report in any case."""
    work, before = batch.work, State(message.state)
    is_latest = attempt.number == message.attempt
    after = message_after(before, AttemptState(attempt.state), is_latest=is_latest) if moved else before
    failed = after is not before and after in FAILURES
    batch.steps.append(
        step(
            work,
            message.id,
            before if failed else after,
            attempt=attempt.number,
            channel=attempt.channel,
            vendor=attempt.vendor,
            reason=report.kind,
            detail={"code": report.code, **report.detail} if report.code or report.detail else None,
        )
    )
    if failed:
        await batch.write_steps()
        await after_failure(work, message, attempt, after, _why(report))
    elif after is not before:
        message.state, message.reason = after, None
        message.lease_until, message.updated_at = None, work.now


def _why(report: Report) -> str:
    return REASONS[report.fault] if report.fault else report.kind.value


def _recipient(work: Work, attempt: Attempt) -> str:
    to: str = open_request(work.keys, attempt.id, attempt.sealed)["to"]
    return to


def is_same_address(one: str, other: str) -> bool:
    """Whether two numbers or addresses are the same, however vendors write them (pure)."""
    return _plain_address(one) == _plain_address(other)


def _plain_address(text: str) -> str:
    if "@" not in text:
        return "".join(each for each in text if each.isdecimal())
    local, _, domain = unicodedata.normalize("NFC", text).lower().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{local}@{domain}"
