"""`/api/v1/appointments`: booking, reading, and every step of a visit."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.appointment_shapes import (
    Arrival,
    BookingBody,
    Cancellation,
    Completion,
    Listing,
    Move,
    Readiness,
    Said,
    appointment_json,
    cursor_behind,
    story_json,
)
from hub.api.auth import Caller, caller_of, house_of
from hub.api.bodies import Body, Model, idempotency_of, read_body, read_query
from hub.appointments import lifecycle, undo
from hub.appointments.board import Visit, read_visit, read_visit_by_external_id, read_visits
from hub.appointments.planned import read_planned
from hub.appointments.readiness import note_readiness
from hub.appointments.story import read_story
from hub.appointments.tables import Appointment
from hub.errors import FieldError, Invalid, NotFound
from hub.idempotency import once
from hub.people.roles import Permission
from hub.work import Work

# What `book` refuses of a patient, and where that stands in the body.
IN_THE_PATIENT = frozenset({"phone", "email"})


def own_only(caller: Caller) -> uuid.UUID | None:
    """The clinician whose visits alone the caller may see, or None for all; raises Forbidden."""
    if Permission.APPOINTMENTS_READ in caller.allowed:
        return None
    caller.needs(Permission.APPOINTMENTS_READ_OWN)
    return caller.as_person.id


async def create(request: Request) -> Response:
    """POST: book a visit; one with an external id that is known is not booked twice, and a newer version moves it."""
    caller = await caller_of(request)
    caller.needs(Permission.APPOINTMENTS_WRITE)
    body = await read_body(request, BookingBody)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def booked() -> dict[str, Any]:
            return {"id": str((await _book(work, body)).id)}

        answer = await once(work, idempotency, booked)
        visit = await read_visit(work.session, uuid.UUID(answer["id"]))
    location = {"Location": f"/api/v1/appointments/{visit.appointment.id}"}
    return JSONResponse(appointment_json(visit), 201, location)


async def confirm(request: Request) -> Response:
    """POST: the patient comes at this time."""

    async def act(work: Work, visit: uuid.UUID, body: Said) -> Appointment:
        return await lifecycle.confirm(work, visit, source_version=body.version)

    return await _do(request, Said, act)


async def move(request: Request) -> Response:
    """POST: give the visit another time, length or clinician."""

    async def act(work: Work, visit: uuid.UUID, body: Move) -> Appointment:
        return await lifecycle.move(work, visit, body.to, reason=body.reason, source_version=body.version)

    return await _do(request, Move, act)


async def arrive(request: Request) -> Response:
    """POST: the patient is at the desk."""

    async def act(work: Work, visit: uuid.UUID, body: Arrival) -> Appointment:
        return await lifecycle.arrive(work, visit, body.clearance, body.consent, source_version=body.version)

    return await _do(request, Arrival, act)


async def start(request: Request) -> Response:
    """POST: the patient is with the clinician."""

    async def act(work: Work, visit: uuid.UUID, body: Said) -> Appointment:
        return await lifecycle.start(work, visit, source_version=body.version)

    return await _do(request, Said, act)


async def complete(request: Request) -> Response:
    """POST: the visit is over."""

    async def act(work: Work, visit: uuid.UUID, body: Completion) -> Appointment:
        return await lifecycle.complete(work, visit, next_steps=body.next_steps, source_version=body.version)

    return await _do(request, Completion, act)


async def cancel(request: Request) -> Response:
    """POST: the visit does not take place."""

    async def act(work: Work, visit: uuid.UUID, body: Cancellation) -> Appointment:
        return await lifecycle.cancel(work, visit, reason=body.reason, source_version=body.version)

    return await _do(request, Cancellation, act)


async def miss(request: Request) -> Response:
    """POST: the patient did not come."""

    async def act(work: Work, visit: uuid.UUID, body: Said) -> Appointment:
        return await lifecycle.miss(work, visit, source_version=body.version)

    return await _do(request, Said, act)


async def take_back(request: Request) -> Response:
    """POST: undo the latest step of somebody at the desk, within a quarter of an hour."""

    async def act(work: Work, visit: uuid.UUID, _body: Body) -> Appointment:
        return await undo.undo(work, visit)

    return await _do(request, Body, act)


async def change(request: Request) -> Response:
    """PATCH: how clearance and consent stand now; nobody is told."""

    async def act(work: Work, visit: uuid.UUID, body: Readiness) -> Appointment:
        return await note_readiness(work, visit, body.clearance, body.consent)

    return await _do(request, Readiness, act)


async def show(request: Request) -> Response:
    """GET: one visit with what is planned for it and what was told of it; a clinician sees their own only."""
    caller = await caller_of(request)
    mine = own_only(caller)
    house = house_of(request)
    async with house.database.at_one_moment(caller.tenant) as session:
        visit = await read_visit(session, request.path_params["id"], mine)
        story = await read_story(session, house.keys, visit.appointment.id)
        planned = await read_planned(session, visit.appointment.id)
    return JSONResponse(appointment_json(visit) | story_json(story, planned))


async def list_(request: Request) -> Response:
    """GET: visits by time, today's at the clinic unless others are asked for; a clinician sees their own only."""
    caller = await caller_of(request)
    mine = own_only(caller)
    listing = read_query(request, Listing)
    if listing.external_id is not None:
        return await _find(request, caller, listing.external_id, mine)
    after = listing.place()
    house = house_of(request)
    since, until = listing.bounds(caller.clinic, house.clock())
    async with house.database.of_tenant(caller.tenant) as session:
        visits = await read_visits(
            session,
            since,
            until,
            clinician=mine or listing.clinician_id,
            states=listing.state,
            search=listing.q,
            after=after,
            limit=listing.limit + 1,
        )
    shown = visits[: listing.limit]
    return _page(shown, cursor_behind(shown[-1]) if len(visits) > listing.limit else None)


async def _find(request: Request, caller: Caller, external_id: str, mine: uuid.UUID | None) -> Response:
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        visit = await read_visit_by_external_id(session, external_id, mine)
    return _page([visit] if visit else [], None)


def _page(visits: list[Visit], more: str | None) -> Response:
    return JSONResponse({"items": [appointment_json(visit) for visit in visits], "after": more})


async def _book(work: Work, body: BookingBody) -> Appointment:
    try:
        return await lifecycle.book(work, body.booking())
    except NotFound as error:
        raise Invalid("There is no such patient.", [FieldError("patient.id", "nobody has this id here")]) from error
    except Invalid as error:
        raise Invalid(error.detail, [_placed(each) for each in error.errors]) from error


def _placed(error: FieldError) -> FieldError:
    if error.field not in IN_THE_PATIENT:
        return error
    return FieldError(f"patient.{error.field}", error.detail, error.accepted)


async def _do(
    request: Request, model: type[Model], act: Callable[[Work, uuid.UUID, Model], Awaitable[Appointment]]
) -> Response:
    caller = await caller_of(request)
    caller.needs(Permission.APPOINTMENTS_WRITE)
    body = await read_body(request, model)
    idempotency = await idempotency_of(request)
    visit_id: uuid.UUID = request.path_params["id"]
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def acted() -> dict[str, Any]:
            return {"id": str((await act(work, visit_id, body)).id)}

        await once(work, idempotency, acted)
        visit = await read_visit(work.session, visit_id)
    return JSONResponse(appointment_json(visit))
