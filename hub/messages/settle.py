"""Writing down what vendors answered: fenced by the number of the attempt, so that a late worker changes nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hub.channels.vendor import AddressFault, Channel, Outcome
from hub.db import fetch_directly
from hub.messages.circuits import note_outcomes
from hub.messages.fallback import Next, after_answer
from hub.messages.parcels import Parcel
from hub.messages.queueing import DELIVER
from hub.messages.states import AttemptState, State
from hub.messages.steps import add_steps, step
from hub.people.choices import choose
from hub.people.contact_points import flag_contact
from hub.work import Job, Work

# One whose lease ran out counts as unknown; that the answer came after all is better knowledge.
MOVE = """
UPDATE messages AS message SET state = next.state, reason = next.reason, due_at = next.due_at,
    channel = next.channel, tries = next.tries, lease_until = NULL, updated_at = $8
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::int[])
    AS next(id, attempt, state, reason, due_at, channel, tries)
WHERE message.id = next.id AND message.attempt = next.attempt AND message.state IN ('sending', 'unknown')
RETURNING message.id
"""
# A report may have been quicker than the answer that it is about.
CLOSE = """
UPDATE message_attempts AS attempt SET finished_at = $10,
    state = CASE WHEN attempt.state IN ('sending', 'unknown') THEN answer.state ELSE attempt.state END,
    vendor_id = coalesce(answer.vendor_id, attempt.vendor_id), code = answer.code, answer = answer.answer::jsonb,
    segments_billed = coalesce(answer.segments, attempt.segments_billed),
    cost = coalesce(answer.cost, attempt.cost), currency = coalesce(answer.currency, attempt.currency)
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::numeric[], $8::text[])
    AS answer(id, state, vendor_id, code, answer, segments, cost, currency)
WHERE attempt.id = answer.id AND attempt.tenant_id = $9
"""

Answered = tuple[Parcel, Outcome | None]
# What could not be begun in time has another chance after so long.
TOO_LATE = timedelta(seconds=5)


async def settle(work: Work, answered: Sequence[Answered]) -> None:
    """Write what became of these requests, and what follows; None stands for a request that was not made."""
    following = [(parcel, outcome, _next(parcel, outcome, work)) for parcel, outcome in answered]
    moved = await _move(work, following)
    await _close(work, following)
    steps = []
    for parcel, outcome, after in following:
        if parcel.message in moved:
            steps.append(_step(work, parcel, outcome, after))
            if after.state is State.QUEUED and after.due_at <= work.now:
                work.later(Job(DELIVER, parcel.lane, (str(work.tenant),)))
        if outcome is not None and outcome.fault is not None:
            await _note_fault(work, parcel, outcome.fault)
    await add_steps(work, steps)
    by_account: dict[str, list[Outcome]] = defaultdict(list)
    for parcel, outcome in answered:
        if outcome is not None:
            by_account[parcel.vendor.account].append(outcome)
    for account in sorted(by_account):
        await note_outcomes(work.session, account, by_account[account], work.now)


def _next(parcel: Parcel, outcome: Outcome | None, work: Work) -> Next:
    channel = parcel.outgoing.channel
    if outcome is None:
        due = work.now + TOO_LATE
        return Next(State.QUEUED, AttemptState.NEVER_SENT, due, channel, parcel.tries - 1, "too_late_to_begin")
    return after_answer(outcome, parcel.channels, channel, parcel.tries, work.now)


async def _move(work: Work, following: Sequence[tuple[Parcel, Outcome | None, Next]]) -> set[Any]:
    # In order of id, as everybody locks them.
    rows = sorted(
        (parcel.message, parcel.number, after.state.value, after.reason, after.due_at, after.channel.value, after.tries)
        for parcel, _, after in following
    )
    moved = await fetch_directly(work.session, MOVE, *zip(*rows, strict=True), work.now)
    return {row["id"] for row in moved}


async def _close(work: Work, following: Sequence[tuple[Parcel, Outcome | None, Next]]) -> None:
    rows = [_answer_row(parcel, outcome, after) for parcel, outcome, after in following]
    await fetch_directly(work.session, CLOSE, *zip(*rows, strict=True), work.tenant, work.now)


def _answer_row(parcel: Parcel, outcome: Outcome | None, after: Next) -> tuple[Any, ...]:
    state = after.attempt.value
    if outcome is None:
        return parcel.attempt, state, None, None, None, None, None, None
    answer = json.dumps(dict(outcome.answer), default=str)
    said = (outcome.vendor_id, outcome.code, answer, outcome.segments, outcome.cost, outcome.currency)
    return (parcel.attempt, state, *said)


def _step(work: Work, parcel: Parcel, outcome: Outcome | None, after: Next) -> dict[str, Any]:
    detail: dict[str, Any] = {"due_at": after.due_at.isoformat()} if after.state is State.QUEUED else {}
    if outcome is not None:
        detail |= {"fate": outcome.fate, "code": outcome.code, "answer": dict(outcome.answer)}
    return step(
        work,
        parcel.message,
        after.state,
        attempt=parcel.number,
        channel=after.channel,
        vendor=parcel.vendor.name,
        reason=after.reason,
        detail=json.loads(json.dumps(detail, default=str)),
    )


async def _note_fault(work: Work, parcel: Parcel, fault: AddressFault) -> None:
    """What a vendor says of a number itself; WhatsApp alone not knowing one says nothing of SMS."""
    if fault is AddressFault.OPTED_OUT and parcel.patient is not None:
        await choose(work, parcel.patient, channel=parcel.outgoing.channel, allowed=False, source="vendor")
    is_about_number = parcel.outgoing.channel is not Channel.WHATSAPP
    if fault is AddressFault.INVALID and is_about_number and parcel.contact_point is not None:
        await flag_contact(work, parcel.contact_point, "invalid", None)
