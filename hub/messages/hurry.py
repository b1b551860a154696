"""Not waiting any longer: what a person decides about a message that waits for its moment."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from hub import audit
from hub.errors import Conflict, NotFound
from hub.messages.compose import DELIVER
from hub.messages.decide import QUIET_HOURS
from hub.messages.states import State
from hub.messages.steps import note
from hub.messages.tables import Message
from hub.people.choices import Topic
from hub.work import Job, Work


async def send_now(work: Work, message_id: uuid.UUID) -> Message:
    """Send a message that waits; one that waits for the end of the quiet hours becomes critical, which they let pass.

    Raises NotFound, and Conflict when it does not wait, or is an advertisement in the quiet hours.
    """
    query = select(Message).where(Message.id == message_id).with_for_update()
    message = (await work.session.execute(query)).scalar_one_or_none()
    if message is None:
        raise NotFound("There is no such message.")
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
