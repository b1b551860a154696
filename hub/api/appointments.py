"""`/api/v1/appointments`: booking, reading, arriving."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import Caller, caller_of, house_of
from hub.api.bodies import (
    MOST_PER_PAGE,
    PER_PAGE,
    Body,
    Day,
    ExternalId,
    Line,
    Moment,
    idempotency_of,
    moment_in_cursor,
    read_body,
    read_cursor,
    read_query,
    write_cursor,
)
from hub.appointments.board import Visit, read_visit, read_visits
from hub.appointments.lifecycle import Booking, arrive, book
from hub.appointments.states import Clearance, Consent
from hub.errors import FieldError, Invalid
from hub.idempotency import once
from hub.people.patients import Arriving
from hub.people.roles import Permission

LONGEST_VISIT_MINUTES = 24 * 60


class PatientBody(Body):
    """Who comes; `external_id` is the practice system's own id of the patient."""

    name: Line
    external_id: ExternalId | None = None
    language: Literal["en", "ar"] | None = None


class BookingBody(Body):
    """A visit to book."""

    patient: PatientBody
    clinician_id: uuid.UUID
    starts_at: Moment
    minutes: Annotated[int, Field(ge=1, le=LONGEST_VISIT_MINUTES)] = 30
    external_id: ExternalId | None = None
    clearance: Clearance = Clearance.PENDING
    consent: Consent = Consent.MISSING


class Arrival(Body):
    """How things stand at the desk; what is left out stays as it was."""

    clearance: Clearance | None = None
    consent: Consent | None = None


class Listing(Body):
    """Which visits: of one day at the clinic, of one clinician."""

    day: Day | None = None
    clinician_id: uuid.UUID | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


def appointment_json(visit: Visit) -> dict[str, Any]:
    """An appointment as the API shows it."""
    found = visit.appointment
    return {
        "id": str(found.id),
        "number": found.number,
        "external_id": found.external_id,
        "state": found.state,
        "starts_at": found.starts_at.isoformat(),
        "minutes": found.minutes,
        "patient": {"id": str(found.patient_id), "name": visit.patient},
        "clinician": {"id": str(found.clinician_id), "name": visit.clinician},
        "clearance": found.clearance,
        "consent": found.consent,
        "arrived_at": found.arrived_at.isoformat() if found.arrived_at else None,
        "created_at": found.created_at.isoformat(),
        "updated_at": found.updated_at.isoformat(),
    }


def own_only(caller: Caller) -> uuid.UUID | None:
    """The clinician whose visits alone the caller may see, or None for all; raises Forbidden."""
    if Permission.APPOINTMENTS_READ in caller.allowed:
        return None
    caller.needs(Permission.APPOINTMENTS_READ_OWN)
    return caller.as_person.id


async def create(request: Request) -> Response:
    """POST: book a visit."""
    caller = await caller_of(request)
    caller.needs(Permission.APPOINTMENTS_WRITE)
    body = await read_body(request, BookingBody)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def booked() -> dict[str, Any]:
            return {"id": str((await book(work, _booking(body))).id)}

        answer = await once(work, idempotency, booked)
        visit = await read_visit(work.session, uuid.UUID(answer["id"]))
    location = {"Location": f"/api/v1/appointments/{visit.appointment.id}"}
    return JSONResponse(appointment_json(visit), 201, location)


def _booking(body: BookingBody) -> Booking:
    return Booking(
        patient=Arriving(body.patient.name, external_id=body.patient.external_id, language=body.patient.language),
        clinician_id=body.clinician_id,
        starts_at=body.starts_at,
        minutes=body.minutes,
        external_id=body.external_id,
        clearance=body.clearance,
        consent=body.consent,
    )


async def mark_arrived(request: Request) -> Response:
    """POST: the patient is at the desk."""
    caller = await caller_of(request)
    caller.needs(Permission.APPOINTMENTS_WRITE)
    body = await read_body(request, Arrival)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def welcome() -> dict[str, Any]:
            arrived = await arrive(work, request.path_params["id"], body.clearance, body.consent)
            return {"id": str(arrived.id)}

        await once(work, idempotency, welcome)
        visit = await read_visit(work.session, request.path_params["id"])
    return JSONResponse(appointment_json(visit))


async def show(request: Request) -> Response:
    """GET: one visit; a clinician sees their own only."""
    caller = await caller_of(request)
    mine = own_only(caller)
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        visit = await read_visit(session, request.path_params["id"], mine)
    return JSONResponse(appointment_json(visit))


async def list_(request: Request) -> Response:
    """GET: a day's visits by time; today's at the clinic unless another day is named."""
    caller = await caller_of(request)
    mine = own_only(caller)
    listing = read_query(request, Listing)
    house = house_of(request)
    since, until = caller.clinic.bounds_of(listing.day or caller.clinic.today(house.clock()))
    async with house.database.of_tenant(caller.tenant) as session:
        visits = await read_visits(
            session,
            since,
            until,
            clinician=mine or listing.clinician_id,
            after=_after(listing.after),
            limit=listing.limit + 1,
        )
    shown = visits[: listing.limit]
    last = shown[-1].appointment if len(visits) > listing.limit else None
    more = write_cursor(last.starts_at.isoformat(), last.id) if last else None
    return JSONResponse({"items": [appointment_json(visit) for visit in shown], "after": more})


def _after(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    if cursor is None:
        return None
    starts_at, found = read_cursor(cursor, 2)
    try:
        return moment_in_cursor(starts_at), uuid.UUID(found)
    except ValueError as error:
        raise Invalid("This cursor was not made here.", [FieldError("cursor", "take it from the answer")]) from error
