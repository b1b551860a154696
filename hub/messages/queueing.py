"""Putting messages into the queue, many at once: their rows, files and steps, and a poke to the workers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from hub.channels.vendor import File
from hub.errors import Conflict
from hub.messages.content import seal_content, seal_file
from hub.messages.states import State
from hub.messages.steps import add_steps, step
from hub.messages.tables import Message, MessageAttachment
from hub.work import Job, Work

DELIVER = "deliver"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may be queued: its row, but for what it says, which is not sealed yet, and its files."""

    row: Mapping[str, Any]
    content: Mapping[str, Any]
    files: Sequence[File] = ()


async def queue(work: Work, drafts: Sequence[Draft]) -> list[Message | Conflict]:
    """Queue messages; what has a reference that is known is the message that is there, or Conflict when it differs."""
    if not drafts:
        return []
    new = await _insert(work, drafts)
    await _add_files(work, [draft for draft in drafts if draft.row["id"] in new])
    found = await _read(work, drafts, new)
    queued = [message for message in found if message.id in new]
    await add_steps(work, [_step(work, message) for message in queued])
    for lane in sorted({message.lane for message in queued if message.due_at <= work.now}):
        work.later(Job(DELIVER, lane, (str(work.tenant),)))
    by_id = {message.id: message for message in found}
    by_reference = {message.reference: message for message in found if message.reference is not None}
    return [_same(draft.row, by_id.get(draft.row["id"]) or by_reference[draft.row["reference"]]) for draft in drafts]


async def _insert(work: Work, drafts: Sequence[Draft]) -> set[uuid.UUID]:
    rows = [
        {**draft.row, "sealed": seal_content(work.keys, draft.row["id"], draft.content)}
        # In one order everywhere, so that two who queue the same ones do not wait for each other.
        for draft in sorted(drafts, key=lambda draft: draft.row["reference"] or "")
    ]
    add = insert(Message).on_conflict_do_nothing(index_elements=["tenant_id", "reference"]).returning(Message.id)
    return set((await work.session.execute(add, rows)).scalars())


async def _read(work: Work, drafts: Sequence[Draft], new: set[uuid.UUID]) -> Sequence[Message]:
    references = [draft.row["reference"] for draft in drafts if draft.row["id"] not in new]
    these = or_(Message.id.in_(new), Message.reference.in_(references)) if references else Message.id.in_(new)
    return (await work.session.execute(select(Message).where(these))).scalars().all()


def _same(row: Mapping[str, Any], found: Message) -> Message | Conflict:
    if all(getattr(found, name) == row[name] for name in ("patient_id", "staff_id", "code")):
        return found
    return Conflict("This reference is another message's: to somebody else, or by another template.")


def _step(work: Work, message: Message) -> dict[str, Any]:
    reason = "scheduled" if message.scheduled_at else None
    return step(work, message.id, State.QUEUED, channel=message.channel, reason=reason)


async def _add_files(work: Work, drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        for place, file in enumerate(draft.files):
            work.session.add(_attachment(work, draft.row["id"], place, file))
    await work.session.flush()


def _attachment(work: Work, message: uuid.UUID, place: int, file: File) -> MessageAttachment:
    attachment = uuid.uuid4()
    return MessageAttachment(
        id=attachment,
        tenant_id=work.tenant,
        message_id=message,
        place=place,
        content_type=file.content_type,
        size=len(file.content),
        sealed=seal_file(work.keys, attachment, file),
    )
