"""Writing messages: what is to be told, to whom, over what and when."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select

from hub import audit
from hub.channels.vendor import Channel, File
from hub.errors import Conflict, FieldError, HubError, Invalid, NotFound
from hub.messages.queueing import Draft, queue
from hub.messages.states import State
from hub.messages.tables import Message
from hub.people.choices import Topic
from hub.people.tables import Patient, Staff
from hub.people.tenants import Clinic, read_clinic
from hub.templates.catalogue import VARIABLES
from hub.templates.pattern import UNSEEN
from hub.templates.render import DO_NOT_FIT, Wording, check_fit, render
from hub.templates.versions import published, wordings_by_id
from hub.work import Work

LONGEST_TEXT = 4_000
MOST_FILES = 10
MOST_FILE_BYTES = 10 * 1024 * 1024
LONGEST_SUBJECT = 200
LONGEST_FILE_NAME = 200
# Filled in at the moment of sending.
GIVEN = ("clinic", "preferences_link")
SOME_LINK = "https://example.org/"
STAFF_CHANNELS = [Channel.EMAIL]

Row = TypeVar("Row", Patient, Staff)


@dataclass(frozen=True, slots=True)
class Sending:
    """Something to be told to one patient, or by email to one member of the staff; to neither, when it is a test.

    Either a template's `code` and its `values`, with the template's `topic` unless another is given; or words of one's
    own: `text`, and `subject` for email. `channels` in order of trying; the patient's own order when they are left out.
    `at` is the earliest moment, `expires_at` the one from which on it is worth nothing. The same `reference` is sent
    once.
    """

    patient: uuid.UUID | None = None
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
    staff: uuid.UUID | None = None

    def __post_init__(self) -> None:
        """One message has one reader."""
        if self.patient is not None and self.staff is not None:
            raise ValueError("to a patient or to a member of the staff")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads a message: how, over what, and which values stand for them; `link` is to a patient's own choices."""

    language: str
    channels: list[Channel]
    values: dict[str, Any]
    link: str | None


@dataclass(frozen=True, slots=True)
class _Around:
    """What messages that are queued together have in common, read once."""

    clinic: Clinic
    patients: Mapping[uuid.UUID, Patient]
    staff: Mapping[uuid.UUID, Staff]
    wordings: Mapping[str, Mapping[Channel, Wording]]

    def reader(self, sending: Sending) -> _Reader:
        """Who is to read it; raises NotFound, and Invalid for a member of the staff over anything but email."""
        if sending.staff is not None:
            return self._person(sending, self.staff.get(sending.staff))
        patient = self.patients.get(sending.patient) if sending.patient else None
        if patient is None:
            raise NotFound("There is no such patient.")
        channels = list(dict.fromkeys(Channel(each) for each in (sending.channels or patient.channels)))
        return _Reader(patient.language, channels, {"patient": patient.name}, SOME_LINK)

    def _person(self, sending: Sending, person: Staff | None) -> _Reader:
        if person is None:
            raise NotFound("There is no such person on the staff.")
        if set(sending.channels or STAFF_CHANNELS) != set(STAFF_CHANNELS):
            raise Invalid(
                "Staff are written to by email alone.", [FieldError("channels", "not email", [*STAFF_CHANNELS])]
            )
        return _Reader(person.language, STAFF_CHANNELS, {}, None)


async def send_from_template(work: Work, sending: Sending) -> Message:
    """Queue what the published template says.

    Raises Invalid for values that do not fit, NotFound without reader, Conflict for another message's reference.
    """
    (found,) = await send_many(work, [sending])
    if isinstance(found, HubError):
        raise found
    return found


async def send_many(work: Work, sendings: Sequence[Sending]) -> list[Message | HubError]:
    """Queue what published templates say to many; one that does not fit is an error in its place, and holds up none."""
    around = await _read_around(work, sendings)
    drafts = [_drafted(work, around, each) for each in sendings]
    queued = iter(await queue(work, [each for each in drafts if isinstance(each, Draft)]))
    return [next(queued) if isinstance(each, Draft) else each for each in drafts]


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
    reader = (await _read_around(work, [sending])).reader(sending)
    _check_files(sending.files, reader.channels)
    row = _row(work, sending, sending.topic, reader.channels, reader.language)
    return await _queue_one(work, Draft(row, {"subject": sending.subject.strip(), "text": sending.text}, sending.files))


async def send_test(
    work: Work, version: uuid.UUID, language: str, channel: Channel, to: str, values: Mapping[str, Any]
) -> Message:
    """Queue one version of a template, a draft too, to an address of one's own. Raises NotFound, Invalid."""
    wording = (await wordings_by_id(work.session, [version])).get(version)
    if wording is None:
        raise NotFound("There is no such version of a template.")
    clinic = await read_clinic(work.session, work.tenant)
    render(wording, channel, language, values, clinic=clinic.name, zone=clinic.zone)
    row = _row(work, Sending(None, code=wording.code), Topic(wording.topic), [channel], language)
    content = {"to": to, "version": str(version), "values": dict(values)}
    await audit.record(work, "template.tested", "template_version", version, after={"channel": channel})
    return await _queue_one(work, Draft(row, content))


def declared(wording: Wording) -> set[str]:
    """The names of the variables that a wording declares."""
    return {variable.name for variable in wording.variables}


def only(wording: Wording, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a wording declares: one set of values serves the wordings of all channels."""
    names = declared(wording)
    return {name: value for name, value in values.items() if name in names}


def given_values(clinic: Clinic, link: str | None) -> dict[str, str]:
    """What every template may name and no caller gives: the clinic, and `link` to a patient's own choices."""
    return {"clinic": clinic.name} | ({"preferences_link": link} if link else {})


def _check_names(wordings: Iterable[Wording], values: Mapping[str, Any]) -> None:
    """A name that no channel's wording declares is a slip of the pen, and its value would be missed.

    Not so what the hub's events bring: they bring all they know, and a clinic's own wording says as much as it likes.
    """
    known = set[str]().union(*map(declared, wordings), VARIABLES) - set(GIVEN)
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


async def _read_around(work: Work, sendings: Sequence[Sending]) -> _Around:
    codes = {each.code for each in sendings if each.code}
    return _Around(
        clinic=await read_clinic(work.session, work.tenant),
        patients=await _rows_of(work, Patient, {each.patient for each in sendings if each.patient}),
        staff=await _rows_of(work, Staff, {each.staff for each in sendings if each.staff}),
        wordings={code: await published(work.session, code) for code in sorted(codes)},
    )


async def _rows_of(work: Work, table: type[Row], ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Row]:
    if not ids:
        return {}
    return {row.id: row for row in (await work.session.execute(select(table).where(table.id.in_(ids)))).scalars()}


def _drafted(work: Work, around: _Around, sending: Sending) -> Draft | HubError:
    try:
        return _draft(work, around, sending)
    except HubError as error:
        return error


def _draft(work: Work, around: _Around, sending: Sending) -> Draft:
    reader = around.reader(sending)
    wordings = around.wordings.get(sending.code or "")
    if not wordings:
        raise Invalid(
            f"There is no active template {sending.code!r}.", [FieldError("code", "not a published template")]
        )
    channels = [each for each in reader.channels if each in wordings]
    if not channels:
        raise Invalid(
            "This template has no wording for these channels.",
            [FieldError("channels", "no wording", sorted(wordings))],
        )
    _check_names(wordings.values(), sending.values)
    _check_files(sending.files, channels)
    clinic, values = around.clinic, reader.values | dict(sending.values)
    for channel in channels:
        fitting = only(wordings[channel], values | given_values(clinic, reader.link))
        check_fit(wordings[channel], channel, reader.language, fitting, clinic=clinic.name, zone=clinic.zone)
    topic = sending.topic or Topic(wordings[channels[0]].topic)
    row = _row(work, sending, topic, channels, reader.language)
    return Draft(row, {"values": values}, sending.files)


async def _queue_one(work: Work, draft: Draft) -> Message:
    (found,) = await queue(work, [draft])
    if isinstance(found, Conflict):
        raise found
    return found


def _row(work: Work, sending: Sending, topic: Topic, channels: Sequence[Channel], language: str) -> dict[str, Any]:
    related_type, related_id = sending.related or (None, None)
    return {
        "id": uuid.uuid4(),
        "tenant_id": work.tenant,
        "patient_id": sending.patient,
        "staff_id": sending.staff,
        "topic": topic,
        "lane": sending.lane,
        "code": sending.code,
        "language": language,
        "channels": list(channels),
        "channel": channels[0],
        "state": State.QUEUED,
        "due_at": max(sending.at or work.now, work.now),
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
