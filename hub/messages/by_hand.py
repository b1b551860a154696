"""What a person decides about one message: not to wait, to try it again, not to send it, or what became of it."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from hub import audit
from hub.errors import Conflict, NotFound
from hub.messages.decide import QUIET_HOURS
from hub.messages.queueing import DELIVER
from hub.messages.states import CANCELLABLE, RETRYABLE, State, may_move
from hub.messages.steps import note
from hub.messages.tables import Message
from hub.people.choices import Topic
from hub.work import Job, Work

# What a message becomes by being sent; by hand it is tried again, or not.
NEVER_SET = frozenset({State.QUEUED, State.SENDING})
UNTRUE = "What this message says is not true any more: the appointment has changed since. Write a new one."


async def send_now(work: Work, message_id: uuid.UUID) -> Message:
    """Send a message that waits; one that waits for the end of the quiet hours becomes critical, which they let pass.

    Raises NotFound, and Conflict when it does not wait, is not true any more, or would advertise in the quiet hours.
    """
    message = await _locked(work, message_id)
    if message.withdrawn_by is not None:
        raise Conflict(UNTRUE)
    if message.state != State.QUEUED:
        raise Conflict(f"A message that is {message.state} does not wait.")
    if message.reason == QUIET_HOURS and message.topic == Topic.MARKETING:
        raise Conflict("Advertising waits for the end of the quiet hours.")
    before = {"due_at": message.due_at.isoformat(), "lane": message.lane}
    if message.reason == QUIET_HOURS:
        message.lane = "critical"
    message.due_at, message.reason, message.updated_at = work.now, None, work.now
    await work.session.flush()
    after = {"due_at": message.due_at.isoformat(), "lane": message.lane}
    await audit.record(work, "message.hurried", "message", message.id, before, after)
    await note(work, message.id, State.QUEUED, channel=message.channel, reason="sent_now_by_hand")
    work.later(Job(DELIVER, message.lane, (str(work.tenant),)))
    return message


async def retry(work: Work, message_id: uuid.UUID) -> Message:
    """Send it again, from the first channel on. Raises NotFound, and Conflict when it is not over, or not true now."""
    message = await _locked(work, message_id)
    if message.withdrawn_by is not None:
        raise Conflict(UNTRUE)
    if State(message.state) not in RETRYABLE:
        raise Conflict(f"A message that is {message.state} cannot be sent again.")
    before = message.state
    message.state, message.reason, message.tries = State.QUEUED, None, 0
    message.channel, message.due_at, message.updated_at = message.channels[0], work.now, work.now
    await audit.record(work, "message.retried", "message", message.id, {"state": before}, {"state": message.state})
    await note(work, message.id, State.QUEUED, channel=message.channel, reason="by_hand")
    work.later(Job(DELIVER, message.lane, (str(work.tenant),)))
    await work.session.flush()
    return message


async def cancel(work: Work, message_id: uuid.UUID) -> Message:
    """Do not send it. Raises NotFound, and Conflict when it has left."""
    message = await _locked(work, message_id)
    if State(message.state) not in CANCELLABLE:
        raise Conflict(f"A message that is {message.state} cannot be cancelled.")
    await _move(work, message, State.CANCELLED, "by_hand")
    return message


async def update_status(work: Work, message_id: uuid.UUID, state: State, reason: str) -> Message:
    """Record what is known from elsewhere; nothing is sent by it.

    Raises NotFound, and Conflict for a move that the states do not allow.
    """
    message = await _locked(work, message_id)
    if message.state == State.SENDING or state in NEVER_SET or not may_move(State(message.state), state):
        raise Conflict(f"A message that is {message.state} cannot become {state}.")
    await _move(work, message, state, reason)
    return message


async def _move(work: Work, message: Message, state: State, reason: str) -> None:
    before = message.state
    message.state, message.reason, message.updated_at = state, reason, work.now
    await audit.record(work, f"message.{state}", "message", message.id, {"state": before}, {"state": state})
    await note(work, message.id, state, channel=message.channel, reason=reason)
    await work.session.flush()


async def _locked(work: Work, message_id: uuid.UUID) -> Message:
    query = select(Message).where(Message.id == message_id).with_for_update()
    message = (await work.session.execute(query)).scalar_one_or_none()
    if message is None:
        raise NotFound("There is no such message.")
    return message
