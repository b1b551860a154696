"""What `/api/v1/appointments` takes and shows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from hub.api.bodies import (
    MOST_PER_PAGE,
    PER_PAGE,
    Body,
    Day,
    ExternalId,
    Line,
    Moment,
    Search,
    moment_in_cursor,
    printable,
    read_cursor,
    write_cursor,
)
from hub.appointments.board import Visit
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.planned_rows import Kind
from hub.appointments.states import Clearance, Consent, State
from hub.appointments.story import Changed, Planned, Story, Told, Written
from hub.appointments.tables import PlannedNotice
from hub.errors import FieldError, Invalid
from hub.people.patients import Arriving
from hub.people.tenants import Clinic

LONGEST_VISIT_MINUTES = 24 * 60
LONGEST_REASON = 500
LONGEST_NEXT_STEPS = 2000
MOST_DAYS = 31
# What a bigint of Postgres holds.
LARGEST_VERSION = 2**63 - 1

Minutes = Annotated[int, Field(ge=1, le=LONGEST_VISIT_MINUTES)]
Version = Annotated[int, Field(ge=0, le=LARGEST_VERSION)]
# What these mean is checked where it is kept; here, only that it is no more than anybody writes.
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_REASON), AfterValidator(printable)]
NextSteps = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NEXT_STEPS), AfterValidator(printable)
]


class PatientBody(Body):
    """Who comes: somebody known by our `id`, or a name, with the practice system's own id when it has one."""

    id: uuid.UUID | None = None
    name: Line | None = None
    external_id: ExternalId | None = None
    language: Literal["en", "ar"] | None = None
    phone: Address | None = None
    email: Address | None = None

    @model_validator(mode="after")
    def _is_one_person(self) -> Self:
        if (self.id is None) == (self.name is None):
            raise ValueError("give one of `id` and `name`")
        if self.id is not None and (self.external_id is not None or self.language is not None):
            raise ValueError("an `id` says who it is: `external_id` and `language` go with a `name`")
        return self


class BookingBody(Body):
    """A visit to book; `version` is the practice system's own count of what it says of this visit."""

    patient: PatientBody
    clinician_id: uuid.UUID
    starts_at: Moment
    minutes: Minutes = 30
    external_id: ExternalId | None = None
    version: Version | None = None
    clearance: Clearance = Clearance.PENDING
    consent: Consent = Consent.MISSING
    tell: bool = True

    @model_validator(mode="after")
    def _has_an_id_to_its_version(self) -> Self:
        if self.version is not None and self.external_id is None:
            raise ValueError("a `version` counts what is said of an `external_id`: give that too")
        return self

    def booking(self) -> Booking:
        """The same for the verb."""
        who = self.patient
        return Booking(
            patient=Arriving(who.name or "", who.id, who.external_id, who.language, who.phone, who.email),
            clinician_id=self.clinician_id,
            starts_at=self.starts_at,
            minutes=self.minutes,
            external_id=self.external_id,
            source_version=self.version,
            clearance=self.clearance,
            consent=self.consent,
            tell=self.tell,
        )


class Said(Body):
    """Something that a program says of a visit; an older `version` than the one known changes nothing."""

    version: Version | None = None


class Move(Said):
    """Another time, and what the patient is told about why; what is left out stays."""

    starts_at: Moment
    minutes: Minutes | None = None
    clinician_id: uuid.UUID | None = None
    reason: Reason = ""

    @property
    def to(self) -> NewTime:
        """The same for the verb."""
        return NewTime(self.starts_at, self.minutes, self.clinician_id)


class Arrival(Said):
    """How things stand at the desk; what is left out stays as it was."""

    clearance: Clearance | None = None
    consent: Consent | None = None


class Completion(Said):
    """What the patient is to do next."""

    next_steps: NextSteps = ""


class Cancellation(Said):
    """Why the visit does not take place, as the patient may read it."""

    reason: Annotated[Reason, Field(min_length=1)]


class Readiness(Body):
    """How clearance and consent stand now; what is left out stays as it was."""

    clearance: Clearance | None = None
    consent: Consent | None = None


def _several(text: object) -> object:
    return text.split(",") if isinstance(text, str) else text


class Listing(Body):
    """Which visits: of the clinic's day, or of days, both included; or the one with this external id.

    `q` is part of the patient's name, the end of a number, or an id of the practice system.
    """

    day: Day | None = None
    since: Day | None = None
    until: Day | None = None
    clinician_id: uuid.UUID | None = None
    state: Annotated[tuple[State, ...], BeforeValidator(_several), Field(max_length=len(State))] | None = None
    q: Search | None = None
    external_id: ExternalId | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if self.external_id is not None and self.model_fields_set - {"external_id", "limit"}:
            raise ValueError("an `external_id` names one visit: ask by it alone")
        if (self.since is None) != (self.until is None):
            raise ValueError("`since` and `until` go together")
        if self.since is None or self.until is None:
            return self
        if self.day is not None:
            raise ValueError("give a `day`, or `since` and `until`")
        if not timedelta(0) <= self.until - self.since < timedelta(days=MOST_DAYS):
            raise ValueError(f"`until` is the same day as `since` or a later one, of at most {MOST_DAYS} days together")
        return self

    def bounds(self, clinic: Clinic, now: datetime) -> tuple[datetime, datetime]:
        """The first moment of these days at the clinic, and of the day behind them; today unless others are named."""
        first = self.since or self.day or clinic.today(now)
        return clinic.bounds_of(first)[0], clinic.bounds_of(self.until or first)[1]

    def place(self) -> tuple[datetime, uuid.UUID] | None:
        """Behind which visit the page begins; raises Invalid."""
        if self.after is None:
            return None
        starts_at, found = read_cursor(self.after, 2)
        try:
            return moment_in_cursor(starts_at), uuid.UUID(found)
        except ValueError as error:
            detail = [FieldError("cursor", "take it from the answer")]
            raise Invalid("This cursor was not made here.", detail) from error


def cursor_behind(visit: Visit) -> str:
    """The cursor behind this visit."""
    return write_cursor(visit.appointment.starts_at.isoformat(), visit.appointment.id)


def appointment_json(visit: Visit) -> dict[str, Any]:
    """An appointment as the API shows it; `version` is the practice system's."""
    found = visit.appointment
    return {
        "id": str(found.id),
        "number": found.number,
        "external_id": found.external_id,
        "version": found.source_version,
        "state": found.state,
        "starts_at": found.starts_at.isoformat(),
        "minutes": found.minutes,
        "patient": {"id": str(found.patient_id), "name": visit.patient},
        "clinician": {"id": str(found.clinician_id), "name": visit.clinician},
        "clearance": found.clearance,
        "consent": found.consent,
        "wish": found.wish,
        "confirmed_at": _iso(found.confirmed_at),
        "arrived_at": _iso(found.arrived_at),
        "started_at": _iso(found.started_at),
        "ended_at": _iso(found.ended_at),
        "created_at": found.created_at.isoformat(),
        "updated_at": found.updated_at.isoformat(),
    }


def story_json(story: Story, planned: Sequence[PlannedNotice]) -> dict[str, Any]:
    """What is and was planned for a visit, and what was done with what was told of it; never a word of it."""
    reminded = {(each.occurrence, each.ahead): each.told for each in _planned_in(story) if each.kind == Kind.REMINDER}
    return {
        "planned": [
            {
                "kind": row.kind,
                "ahead": row.ahead or None,
                "due_at": row.due_at.isoformat(),
                "state": row.state,
                "reason": row.reason,
                "settled_at": _iso(row.settled_at),
                "told": [_told_json(told) for told in reminded.get((row.occurrence, row.ahead), [])],
            }
            for row in planned
        ],
        "told": [_happened_json(each) for each in story.happened if not isinstance(each, Planned)],
    }


def _planned_in(story: Story) -> list[Planned]:
    dropped = [each for change in story.happened if isinstance(change, Changed) for each in change.dropped]
    return [*story.ahead, *(each for each in story.happened if isinstance(each, Planned)), *dropped]


def _happened_json(happened: Changed | Written) -> dict[str, Any]:
    by = {"kind": happened.actor_kind, "name": happened.who}
    of_change: dict[str, Any] = {"event": "message", "change": None, "undone_at": None}
    if isinstance(happened, Changed):
        of_change = {"event": happened.event, "change": happened.id, "undone_at": _iso(happened.undone_at)}
    told = [_told_json(each) for each in happened.told]
    return of_change | {"at": happened.at.isoformat(), "by": by, "told": told}


def _told_json(told: Told) -> dict[str, Any]:
    message = {"id": str(told.message), "code": told.code, "channel": told.channel} if told.message else None
    return {
        "to": told.to,
        "over": told.over,
        "at": told.at.isoformat(),
        "state": told.state,
        "reason": told.reason,
        "message": message,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
