"""Requests without an answer: a worker died, or a vendor was too slow. The vendor is asked before anything is sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.channels.vendor import Channel, Fate, Outcome, Outgoing
from hub.crypto import CannotOpen, Keys
from hub.db import fetch_directly
from hub.logs import get_logger
from hub.messages.content import open_request
from hub.messages.deliver import ANSWER_WITHIN_S, Courier
from hub.messages.fallback import ASK_AFTER, after_answer
from hub.messages.queueing import DELIVER
from hub.messages.receipts import store_reports
from hub.messages.states import AttemptState, State
from hub.messages.steps import add_steps, note, step
from hub.messages.tables import Attempt, Message
from hub.people.tenants import CANARY
from hub.work import SYSTEM, Job, Work

log = get_logger(__name__)

AT_ONCE = 50
# After so long nobody will know any more: a person decides.
ASKED_FOR = timedelta(hours=24)
LONGEST_PAUSE = timedelta(hours=1)
# An operator may send no receipt at all: a vendor that can be asked is asked after an hour, and every hour of a day.
SILENT_FOR = timedelta(hours=1)

INTERRUPTED = "interrupted"
LOST = """
UPDATE messages SET state = 'unknown', reason = 'interrupted', lease_until = NULL, due_at = $4, updated_at = $1
WHERE id IN (
    SELECT id FROM messages WHERE state = 'sending' AND tenant_id = $2 AND lease_until < $1
    ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id, attempt, channel
"""
IN_DOUBT = text("""
SELECT tenant.id FROM tenants AS tenant WHERE tenant.id <> :canary AND (
    EXISTS (SELECT 1 FROM messages WHERE state = 'unknown' AND tenant_id = tenant.id AND due_at <= :now)
    OR EXISTS (SELECT 1 FROM messages WHERE state = 'sending' AND tenant_id = tenant.id AND lease_until < :now)
)
""")


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A request of which nobody knows what became."""

    message: uuid.UUID
    lane: str
    attempt: uuid.UUID
    number: int
    vendor: str
    vendor_id: str | None
    outgoing: Outgoing | None
    since: datetime


async def read_in_doubt(watch: AsyncConnection, now: datetime) -> list[uuid.UUID]:
    """The tenants with requests whose lease is over, or whose vendor is to be asked now."""
    return list((await watch.execute(IN_DOUBT, {"now": now, "canary": CANARY})).scalars())


async def reconcile(courier: Courier, tenant: uuid.UUID) -> int:
    """Ask vendors what became of requests without an answer; returns of how many it asked."""
    async with courier.open_work(tenant, SYSTEM) as work:
        await _give_up_leases(work)
    async with courier.open_work(tenant, SYSTEM) as work:
        doubts = await _claim(work)
    answers = await asyncio.gather(*(_ask(courier, doubt) for doubt in doubts))
    for doubt, answer in zip(doubts, answers, strict=True):
        async with courier.open_work(tenant, SYSTEM) as work:
            await _resolve(work, doubt, answer)
    await _store_foretold(courier, answers)
    return len(doubts)


async def _give_up_leases(work: Work) -> None:
    # Clocks differ, and a vendor may not list at once what it took: nobody is asked the moment a lease is over.
    rows = await fetch_directly(work.session, LOST, work.now, work.tenant, AT_ONCE, work.now + ASK_AFTER)
    for row in rows:
        lost = (Attempt.message_id == row["id"], Attempt.number == row["attempt"])
        still = Attempt.state == AttemptState.SENDING
        await work.session.execute(update(Attempt).where(*lost, still).values(state=AttemptState.UNKNOWN))
    await add_steps(
        work,
        [
            step(work, row["id"], State.UNKNOWN, attempt=row["attempt"], channel=row["channel"], reason=INTERRUPTED)
            for row in rows
        ],
    )


async def _claim(work: Work) -> list[_Doubt]:
    due = (
        select(Message, Attempt)
        .join(Attempt, (Attempt.message_id == Message.id) & (Attempt.number == Message.attempt))
        .where(Message.state == State.UNKNOWN, Message.due_at <= work.now)
        .order_by(Message.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True, of=Message)
    )
    doubts = []
    for message, attempt in (await work.session.execute(due)).all():
        # Nobody else asks meanwhile; whoever dies while asking is followed by another one.
        message.due_at = work.now + max(ASK_AFTER, min(LONGEST_PAUSE, work.now - attempt.started_at))
        doubts.append(_doubt(work.keys, message, attempt))
    return doubts


async def ask_about_silent(courier: Courier, tenant: uuid.UUID) -> int:
    """Ask vendors about requests that they took and never reported on; returns about how many."""
    async with courier.open_work(tenant, SYSTEM) as work:
        silent = await _claim_silent(work)
    answers = await asyncio.gather(*(_ask(courier, doubt) for doubt in silent))
    await _store_foretold(courier, answers)
    return len(silent)


async def _store_foretold(courier: Courier, answers: Sequence[Outcome | None]) -> None:
    reports = [report for answer in answers if answer for report in answer.foretold]
    if reports:
        await store_reports(courier.database, courier.keys, reports, b"", courier.clock())


async def _claim_silent(work: Work) -> list[_Doubt]:
    since, until = work.now - ASKED_FOR, work.now - SILENT_FOR
    query = (
        select(Message, Attempt)
        .join(Attempt, Attempt.message_id == Message.id)
        .where(Attempt.state == AttemptState.SENT, Attempt.started_at.between(since, until))
        .where(or_(Attempt.asked_at.is_(None), Attempt.asked_at < until))
        .order_by(Attempt.started_at)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True, of=Attempt)
    )
    silent = []
    for message, attempt in (await work.session.execute(query)).all():
        attempt.asked_at = work.now
        silent.append(_doubt(work.keys, message, attempt))
    return silent


def _outgoing(keys: Keys, message: Message, attempt: Attempt) -> Outgoing | None:
    """What went out; None when its key is missing, for then nobody can ask about it."""
    try:
        request = open_request(keys, attempt.id, attempt.sealed)
    except CannotOpen:
        log.error("a request cannot be opened: is its key in HUB_KEYS?", attempt_id=str(attempt.id))
        return None
    return Outgoing(
        reference=attempt.id,
        tenant=message.tenant_id,
        channel=Channel(attempt.channel),
        to=request["to"],
        text=request["text"],
        subject=request["subject"],
        html=request["html"],
        language=message.language,
    )


def _doubt(keys: Keys, message: Message, attempt: Attempt) -> _Doubt:
    return _Doubt(
        message=message.id,
        lane=message.lane,
        attempt=attempt.id,
        number=attempt.number,
        vendor=attempt.vendor,
        vendor_id=attempt.vendor_id,
        outgoing=_outgoing(keys, message, attempt),
        since=attempt.started_at,
    )


async def _ask(courier: Courier, doubt: _Doubt) -> Outcome | None:
    vendor = courier.vendors.by_name(doubt.vendor)
    if vendor is None or doubt.outgoing is None:
        return None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await vendor.ask(doubt.outgoing, doubt.vendor_id, doubt.since)
    except Exception as error:
        log.exception("vendor raised", vendor=doubt.vendor, error=type(error).__name__)
        return None


async def _resolve(work: Work, doubt: _Doubt, answer: Outcome | None) -> None:
    query = select(Message).where(Message.id == doubt.message).with_for_update()
    message = (await work.session.execute(query)).scalar_one()
    if message.state != State.UNKNOWN or message.attempt != doubt.number:
        return
    attempt = (await work.session.execute(select(Attempt).where(Attempt.id == doubt.attempt))).scalar_one()
    if answer is not None and answer.fate is Fate.ACCEPTED:
        attempt.vendor_id = answer.vendor_id or attempt.vendor_id
        attempt.segments_billed = answer.segments or attempt.segments_billed
        attempt.cost, attempt.currency = answer.cost or attempt.cost, answer.currency or attempt.currency
        await _settle(work, message, attempt, State.SENT, AttemptState.SENT, "vendor_has_it")
    elif answer is not None and answer.fate is Fate.PASSING:
        await _send_again(work, message, attempt)
    # Any other answer says nothing of this message: that our account is refused, say.
    elif work.now - doubt.since >= ASKED_FOR:
        await _settle(work, message, attempt, State.FAILED, AttemptState.UNKNOWN, "never_answered")


async def _send_again(work: Work, message: Message, attempt: Attempt) -> None:
    """The vendor never had it. A vendor that does not answer costs the message a try, a worker that died none."""
    tries = message.tries - 1 if message.reason == INTERRUPTED else message.tries
    channels, channel = [Channel(each) for each in message.channels], Channel(message.channel)
    after = after_answer(Outcome(Fate.PASSING), channels, channel, max(1, tries), work.now)
    is_next = after.channel is not channel
    message.channel, message.tries, message.due_at = after.channel, 0 if is_next else max(0, tries), work.now
    reason = "vendor_never_had_it" if after.state is State.QUEUED else "gave_up"
    await _settle(work, message, attempt, after.state, AttemptState.NEVER_SENT, reason)
    if after.state is State.QUEUED:
        work.later(Job(DELIVER, message.lane, (str(work.tenant),)))


async def _settle(
    work: Work, message: Message, attempt: Attempt, state: State, known: AttemptState, reason: str
) -> None:
    message.state, message.reason, message.updated_at = state, reason, work.now
    if attempt.state in (AttemptState.SENDING, AttemptState.UNKNOWN):
        attempt.state, attempt.finished_at = known, work.now
    await note(
        work,
        message.id,
        state,
        attempt=attempt.number,
        channel=attempt.channel,
        vendor=attempt.vendor,
        reason=reason,
    )
