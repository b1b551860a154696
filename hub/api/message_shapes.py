"""What `/api/v1/messages` takes and shows."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from hub.api.bodies import (
    MOST_PER_PAGE,
    PER_PAGE,
    Body,
    Day,
    ExternalId,
    Line,
    Moment,
    Prose,
    Search,
    moment_in_cursor,
    read_cursor,
    write_cursor,
)
from hub.channels.vendor import Channel, File
from hub.errors import FieldError, Invalid
from hub.messages.compose import MOST_FILE_BYTES, MOST_FILES, Sending
from hub.messages.figures import Statistics, Tally
from hub.messages.log import Cursor, Filters, Listed, Paid, Request, Story
from hub.messages.states import State
from hub.messages.tables import MessageStep
from hub.people.choices import Topic
from hub.people.contact_points import region_of
from hub.people.tenants import Clinic

MOST_VALUES = 40
MOST_CHARACTERS_OF_A_FILE = 4 * (MOST_FILE_BYTES // 3 + 1)
# What may go along, and how each kind begins: a file that is not what it says is not sent on.
FILE_TYPES: dict[str, bytes] = {
    "application/pdf": b"%PDF-",
    "image/gif": b"GIF8",
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "text/calendar": b"BEGIN:VCALENDAR",
    "text/plain": b"",
}


def _file_name(name: str) -> str:
    if "/" in name or "\\" in name or name.startswith("."):
        raise ValueError("a name without folders")
    return name


Code = Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z][a-z0-9_]*$")]
FileName = Annotated[Line, AfterValidator(_file_name)]
Value = Annotated[Prose, Field(max_length=1000)] | int | Annotated[float, Field(allow_inf_nan=False)]


class PatientRef(Body):
    """Whom it is for: by our id, or by the practice system's own."""

    id: uuid.UUID | None = None
    external_id: ExternalId | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.id is None) == (self.external_id is None):
            raise ValueError("give one of `id` and `external_id`")
        return self


class RelatedRef(Body):
    """What it is about."""

    type: Line
    id: uuid.UUID


class Attachment(Body):
    """A file for email, its content in base64."""

    name: FileName
    content_type: Literal["application/pdf", "image/gif", "image/jpeg", "image/png", "text/calendar", "text/plain"]
    content: Annotated[str, Field(min_length=4, max_length=MOST_CHARACTERS_OF_A_FILE)]

    def opened(self) -> File:
        """The file itself; raises Invalid when it is not base64, or not what it says it is."""
        try:
            content = base64.b64decode(self.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Invalid(
                "A file cannot be read.", [FieldError("attachments", "not base64: send the bytes encoded so")]
            ) from error
        if not content.startswith(FILE_TYPES[self.content_type]):
            detail = f"does not begin as {self.content_type} does"
            raise Invalid("A file is not what it says it is.", [FieldError("attachments", detail)])
        return File(self.name, self.content_type, content)


class Sent(Body):
    """A message to send: a template's `code` with its `variables`, or `text` of one's own with its `topic`."""

    patient: PatientRef
    code: Code | None = None
    variables: Annotated[
        dict[Line, Value | Annotated[dict[Line, Value], Field(max_length=4)]], Field(max_length=MOST_VALUES)
    ] = Field(default_factory=dict)
    text: Prose | None = None
    subject: Line | None = None
    topic: Topic | None = None
    channels: Annotated[list[Channel], Field(min_length=1, max_length=len(Channel))] | None = None
    lane: Literal["critical", "normal"] = "normal"
    send_at: Moment | None = None
    expires_at: Moment | None = None
    reference: ExternalId | None = None
    related: RelatedRef | None = None
    department: Line | None = None
    attachments: Annotated[list[Attachment], Field(max_length=MOST_FILES)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        if (self.code is None) == (self.text is None):
            raise ValueError("give one of `code` and `text`")
        if self.code is not None and (self.subject is not None or self.topic is not None):
            raise ValueError("a template has its own subject and topic")
        if self.text is not None and self.variables:
            raise ValueError("`variables` are a template's: text of one's own has none")
        if self.text is not None and self.topic is None:
            raise ValueError(f"say with `topic` what the text is about: {', '.join(Topic)}")
        if self.expires_at is not None and self.send_at is not None and self.expires_at <= self.send_at:
            raise ValueError("`expires_at` comes after `send_at`")
        return self

    def to(self, patient: uuid.UUID) -> Sending:
        """The same for the verbs; raises Invalid for a file that cannot be read."""
        return Sending(
            patient=patient,
            code=self.code,
            values=self.model_dump(include={"variables"})["variables"],
            topic=self.topic,
            subject=self.subject or "",
            text=self.text or "",
            channels=self.channels,
            lane=self.lane,
            at=self.send_at,
            expires_at=self.expires_at,
            reference=self.reference,
            related=(self.related.type, self.related.id) if self.related else None,
            department=self.department,
            files=tuple(each.opened() for each in self.attachments),
        )


class StatusBody(Body):
    """What is known from elsewhere."""

    state: State
    reason: Line


class Matching(Body):
    """Which messages; days are the clinic's, both included."""

    state: State | Literal["attention"] | None = None
    channel: Channel | None = None
    topic: Topic | None = None
    code: Code | None = None
    patient_id: uuid.UUID | None = None
    since: Day | None = None
    until: Day | None = None
    q: Search | None = None

    def filters(self, clinic: Clinic) -> Filters:
        """The same for the verbs."""
        return Filters(
            state=self.state,
            channel=self.channel,
            topic=self.topic,
            code=self.code,
            patient=self.patient_id,
            since=clinic.bounds_of(self.since)[0] if self.since else None,
            until=clinic.bounds_of(self.until)[1] if self.until else None,
            search=self.q,
            region=region_of(clinic),
        )


class Listing(Matching):
    """Which page of them."""

    before: str | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


class Span(Body):
    """Which days to count: the clinic's, both included; the last thirty unless told otherwise."""

    since: Day | None = None
    until: Day | None = None


def read_message_cursor(text: str | None) -> Cursor | None:
    """A cursor as `write_message_cursor` wrote it; raises Invalid."""
    if text is None:
        return None
    moment, found = read_cursor(text, 2)
    try:
        return moment_in_cursor(moment), uuid.UUID(found)
    except ValueError as error:
        raise Invalid("This cursor was not made here.", [FieldError("cursor", "take it from the answer")]) from error


def write_message_cursor(cursor: Cursor | None) -> str | None:
    """A cursor for an address."""
    return write_cursor(cursor[0].isoformat(), cursor[1]) if cursor else None


def message_json(listed: Listed) -> dict[str, Any]:
    """A message as lists show it: without its words."""
    found = listed.message
    related = {"type": found.related_type, "id": str(found.related_id)} if found.related_id else None
    return {
        "id": str(found.id),
        "patient": {"id": str(found.patient_id), "name": listed.patient} if found.patient_id else None,
        "staff": {"id": str(found.staff_id), "name": listed.staff} if found.staff_id else None,
        "state": found.state,
        "reason": found.reason,
        "topic": found.topic,
        "code": found.code,
        "lane": found.lane,
        "language": found.language,
        "channel": found.channel,
        "channels": found.channels,
        "attempts": found.attempt,
        "due_at": found.due_at.isoformat() if found.state == State.QUEUED else None,
        "send_at": _iso(found.scheduled_at),
        "expires_at": _iso(found.expires_at),
        "reference": found.reference,
        "related": related,
        "department": found.department,
        "created_at": found.created_at.isoformat(),
        "updated_at": found.updated_at.isoformat(),
    } | _paid_json(listed.paid)


def story_json(story: Story) -> dict[str, Any]:
    """A message with its words and all that happened to it."""
    listed = Listed(story.message, story.patient.name if story.patient else None, story.staff, story.paid)
    return message_json(listed) | {
        "asked": story.asked,
        "asked_by": story.actor,
        "attachments": [{"content_type": each.content_type, "size": each.size} for each in story.files],
        "requests": [_request_json(each) for each in story.requests],
        "steps": [_step_json(each) for each in story.steps],
    }


def statistics_json(found: Statistics) -> dict[str, Any]:
    """Figures as the API shows them; the rate is from 0 to 1, or null before anything was tried."""
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        **_tally_json(found.all),
        "by_channel": {channel: _tally_json(tally) for channel, tally in found.by_channel.items()},
        "by_state": found.by_state,
        "per_day": [{"day": day.isoformat()} | _tally_json(tally) for day, tally in found.per_day.items()],
        "costs": _costs_json(found.costs),
        "parts": found.parts,
    }


def _request_json(request: Request) -> dict[str, Any]:
    found = request.attempt
    return {
        "id": str(found.id),
        "number": found.number,
        "channel": found.channel,
        "vendor": found.vendor,
        "vendor_id": found.vendor_id,
        "state": found.state,
        "code": found.code,
        "answer": found.answer,
        "out": request.out,
        "parts_counted": found.segments_estimated,
        "parts_billed": found.segments_billed,
        "cost": str(found.cost) if found.cost is not None else None,
        "currency": found.currency,
        "started_at": found.started_at.isoformat(),
        "finished_at": _iso(found.finished_at),
    }


def _step_json(step: MessageStep) -> dict[str, Any]:
    shown = ("state", "attempt", "channel", "vendor", "reason", "detail")
    return {"at": step.at.isoformat()} | {name: getattr(step, name) for name in shown}


def _paid_json(paid: Paid) -> dict[str, Any]:
    return {"costs": _costs_json(paid.costs), "parts": paid.parts}


def _costs_json(costs: dict[str, Decimal]) -> dict[str, str]:
    # Text: what is money is not a float on the way either.
    return {currency: str(cost) for currency, cost in sorted(costs.items())}


def _tally_json(tally: Tally) -> dict[str, Any]:
    rate = tally.success_rate
    return {
        "total": tally.total,
        "went_out": tally.went_out,
        "went_wrong": tally.went_wrong,
        "success_rate": round(rate, 4) if rate is not None else None,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
