"""Writing a message: what is to be told, to whom, when; and what a person may do with it afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub import audit
from hub.channels.vendor import Channel, File
from hub.errors import Conflict, FieldError, Invalid, NotFound
from hub.messages.content import seal_content, seal_file
from hub.messages.states import CANCELLABLE, RETRYABLE, State, may_move
from hub.messages.steps import note
from hub.messages.tables import Message, MessageAttachment
from hub.people.choices import Topic
from hub.people.tables import Patient
from hub.people.tenants import Clinic, read_clinic
from hub.templates.pattern import UNSEEN
from hub.templates.render import DO_NOT_FIT, Wording, render
from hub.templates.versions import published, wordings_by_id
from hub.work import Job, Work

LONGEST_TEXT = 4_000
MOST_FILES = 10
MOST_FILE_BYTES = 10 * 1024 * 1024
DELIVER = "deliver"
LONGEST_SUBJECT = 200
LONGEST_FILE_NAME = 200
# Filled in at the moment of sending.
GIVEN = ("clinic", "preferences_link")
SOME_LINK = "https://example.org/"
# What a message becomes by being sent; by hand it is tried again, or not.
NEVER_SET = frozenset({State.QUEUED, State.SENDING})


@dataclass(frozen=True, slots=True)
class Sending:
    """Something to be told to one patient; to none, when it is a test.

    Either a template's `code` and its `values`, or words of one's own: `text`, and `subject` for email. `channels` in
    order of trying; the patient's own order when they are left out. `at` is the earliest moment, `expires_at` the one
    from which on it is worth nothing. The same `reference` is sent once.
    """

    patient: uuid.UUID | None
    code: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    topic: Topic | None = None
    subject: str = ""
    text: str = ""
    channels: Sequence[Channel] | None = None
    lane: str = "normal"
    at: datetime | None = None
    expires_at: datetime | None = None
    reference: str | None = None
    related: tuple[str, uuid.UUID] | None = None
    department: str | None = None
    files: tuple[File, ...] = ()


async def send_from_template(work: Work, sending: Sending) -> Message:
    """Queue what the published template says. Raises Invalid for values that do not fit, NotFound without patient."""
    patient = await _patient(work, sending.patient)
    wordings = await published(work.session, sending.code or "")
    if not wordings:
        raise Invalid(
            f"There is no active template {sending.code!r}.", [FieldError("code", "not a published template")]
        )
    channels = [each for each in _wanted(sending, patient) if each in wordings]
    if not channels:
        raise Invalid(
            "This template has no wording for these channels.",
            [FieldError("channels", "no wording", sorted(wordings))],
        )
    _check_names(wordings.values(), sending.values)
    clinic = await read_clinic(work.session, work.tenant)
    values = {"patient": patient.name} | dict(sending.values)
    for channel in channels:
        fitting = only(wordings[channel], values | given_values(clinic, SOME_LINK))
        render(wordings[channel], channel, patient.language, fitting, clinic=clinic.name, zone=clinic.zone)
    topic = wordings[channels[0]].topic
    return await _queue(work, sending, patient, Topic(topic), channels, {"values": values})


async def send_message(work: Work, sending: Sending) -> Message:
    """Queue words of one's own. Raises Invalid when there are none or too many, NotFound without patient."""
    if not sending.text.strip() or len(sending.text) > LONGEST_TEXT:
        raise Invalid(
            f"A message has between 1 and {LONGEST_TEXT} characters.", [FieldError("text", "nothing, or too long")]
        )
    if sending.topic is None:
        raise Invalid(
            "Say what the message is about.", [FieldError("topic", "missing", [each.value for each in Topic])]
        )
    if len(sending.subject) > LONGEST_SUBJECT or UNSEEN.search(sending.subject) or "\n" in sending.subject:
        detail = f"not one line of at most {LONGEST_SUBJECT} characters"
        raise Invalid("This subject cannot be used.", [FieldError("subject", detail)])
    patient = await _patient(work, sending.patient)
    content = {"subject": sending.subject.strip(), "text": sending.text}
    return await _queue(work, sending, patient, sending.topic, _wanted(sending, patient), content)


async def send_test(
    work: Work, version: uuid.UUID, language: str, channel: Channel, to: str, values: Mapping[str, Any]
) -> Message:
    """Queue one version of a template, a draft too, to an address of one's own. Raises NotFound, Invalid."""
    wording = (await wordings_by_id(work.session, [version])).get(version)
    if wording is None:
        raise NotFound("There is no such version of a template.")
    clinic = await read_clinic(work.session, work.tenant)
    render(wording, channel, language, values, clinic=clinic.name, zone=clinic.zone)
    message = _message(work, Sending(None, code=wording.code), Topic(wording.topic), [channel], language)
    content = {"to": to, "version": str(version), "values": dict(values)}
    await audit.record(work, "template.tested", "template_version", version, after={"channel": channel})
    return await _insert(work, message, content, ())


async def retry(work: Work, message_id: uuid.UUID) -> Message:
    """Send it again by hand, from the first channel on. Raises NotFound, and Conflict when it is not over."""
    message = await _locked(work, message_id)
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


def declared(wording: Wording) -> set[str]:
    """The names of the variables that a wording declares."""
    return {variable.name for variable in wording.variables}


def only(wording: Wording, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a wording declares: one set of values serves the wordings of all channels."""
    names = declared(wording)
    return {name: value for name, value in values.items() if name in names}


def given_values(clinic: Clinic, link: str) -> dict[str, str]:
    """What every template may name and no caller gives: the clinic, and `link` to the patient's own choices."""
    return dict(zip(GIVEN, (clinic.name, link), strict=True))


def _check_names(wordings: Iterable[Wording], values: Mapping[str, Any]) -> None:
    """A name that no channel's wording declares is a slip of the pen, and its value would be missed."""
    known = set[str]().union(*map(declared, wordings)) - set(GIVEN)
    unknown = [
        FieldError(
            f"variables.{name}",
            "the hub fills this in" if name in GIVEN else "not a variable of this template",
            sorted(known),
        )
        for name in values
        if name not in known
    ]
    if unknown:
        raise Invalid(DO_NOT_FIT, unknown)


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


async def _patient(work: Work, patient_id: uuid.UUID | None) -> Patient:
    query = select(Patient).where(Patient.id == patient_id)
    patient = (await work.session.execute(query)).scalar_one_or_none()
    if patient is None:
        raise NotFound("There is no such patient.")
    return patient


def _wanted(sending: Sending, patient: Patient) -> list[Channel]:
    return list(dict.fromkeys(Channel(each) for each in (sending.channels or patient.channels)))


async def _queue(
    work: Work,
    sending: Sending,
    patient: Patient,
    topic: Topic,
    channels: Sequence[Channel],
    content: Mapping[str, Any],
) -> Message:
    _check_files(sending.files, channels)
    message = _message(work, sending, topic, channels, patient.language)
    return await _insert(work, message, content, sending.files)


def _message(work: Work, sending: Sending, topic: Topic, channels: Sequence[Channel], language: str) -> dict[str, Any]:
    at = max(sending.at or work.now, work.now)
    related_type, related_id = sending.related or (None, None)
    return {
        "id": uuid.uuid4(),
        "tenant_id": work.tenant,
        "patient_id": sending.patient,
        "topic": topic,
        "lane": sending.lane,
        "code": sending.code,
        "language": language,
        "channels": list(channels),
        "channel": channels[0],
        "state": State.QUEUED,
        "due_at": at,
        "scheduled_at": sending.at,
        "expires_at": sending.expires_at,
        "reference": sending.reference,
        "related_type": related_type,
        "related_id": related_id,
        "department": sending.department,
        "actor_kind": work.actor.kind,
        "actor_id": work.actor.id,
        "created_at": work.now,
        "updated_at": work.now,
    }


async def _insert(work: Work, message: dict[str, Any], content: Mapping[str, Any], files: Sequence[File]) -> Message:
    message["sealed"] = seal_content(work.keys, message["id"], content)
    add = insert(Message).values(**message).on_conflict_do_nothing(index_elements=["tenant_id", "reference"])
    is_new = (await work.session.execute(add.returning(Message.id))).scalar_one_or_none() is not None
    same = Message.id == message["id"] if is_new else Message.reference == message["reference"]
    found = (await work.session.execute(select(Message).where(same))).scalar_one()
    if (found.patient_id, found.code) != (message["patient_id"], message["code"]):
        raise Conflict("This reference is another message's: to another patient, or by another template.")
    if is_new:
        for place, file in enumerate(files):
            work.session.add(_attachment(work, found.id, place, file))
        await note(
            work, found.id, State.QUEUED, channel=found.channel, reason="scheduled" if found.scheduled_at else None
        )
        if found.due_at <= work.now:
            work.later(Job(DELIVER, found.lane, (str(work.tenant),)))
    return found


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


def _check_files(files: Sequence[File], channels: Sequence[Channel]) -> None:
    if len(files) > MOST_FILES or sum(len(file.content) for file in files) > MOST_FILE_BYTES:
        raise Invalid(
            f"At most {MOST_FILES} files, {MOST_FILE_BYTES // 1024 // 1024} MB together.",
            [FieldError("attachments", "too many or too large")],
        )
    if any(not file.content or not 0 < len(file.name) <= LONGEST_FILE_NAME for file in files):
        raise Invalid(
            "A file is empty, or its name is missing or too long.",
            [FieldError("attachments", f"empty, or a name without 1 to {LONGEST_FILE_NAME} characters")],
        )
    if files and Channel.EMAIL not in channels:
        raise Invalid("Files go by email alone.", [FieldError("attachments", "no email among the channels")])
