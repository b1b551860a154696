"""`/api/v1/messages`: sending one, following it to its end, trying it again, and counting them."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import Caller, caller_of, house_of
from hub.api.bodies import idempotency_of, read_body, read_query
from hub.api.message_shapes import (
    Listing,
    PatientRef,
    Sent,
    Span,
    StatusBody,
    message_json,
    read_message_cursor,
    statistics_json,
    story_json,
    write_message_cursor,
)
from hub.errors import FieldError, Forbidden, Invalid
from hub.idempotency import once
from hub.messages import by_hand, compose
from hub.messages.figures import statistics
from hub.messages.log import read_listed, read_messages, read_story
from hub.messages.tables import Message
from hub.people.roles import Permission, Role
from hub.people.tables import Patient
from hub.work import Work

DAYS_COUNTED = 30
Verb = Callable[[Work, uuid.UUID], Awaitable[Message]]


async def list_(request: Request) -> Response:
    """GET: a page of messages, newest first."""
    caller = await caller_of(request)
    caller.needs(Permission.MESSAGES_READ)
    listing = read_query(request, Listing)
    before, after = read_message_cursor(listing.before), read_message_cursor(listing.after)
    house = house_of(request)
    filters = listing.filters(caller.clinic)
    async with house.database.at_one_moment(caller.tenant) as session:
        page = await read_messages(session, house.keys, filters, limit=listing.limit, before=before, after=after)
    return JSONResponse(
        {
            "items": [message_json(each) for each in page.items],
            "older": write_message_cursor(page.older),
            "newer": write_message_cursor(page.newer),
        }
    )


async def send(request: Request) -> Response:
    """POST: send one message, now or later; the same `reference`, or Idempotency-Key, is sent once."""
    caller = await caller_of(request)
    caller.needs(Permission.MESSAGES_SEND)
    body = await read_body(request, Sent)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def queue() -> dict[str, Any]:
            sending = body.to(await find_patient(work.session, body.patient))
            write = compose.send_from_template if body.code else compose.send_message
            return {"id": str((await write(work, sending)).id)}

        answer = await once(work, idempotency, queue)
        listed = await read_listed(work.session, uuid.UUID(answer["id"]))
    location = {"Location": f"/api/v1/messages/{listed.message.id}"}
    return JSONResponse(message_json(listed), 201, location)


async def show(request: Request) -> Response:
    """GET: one message with its words and its story."""
    caller = await caller_of(request)
    caller.needs(Permission.MESSAGES_READ)
    house = house_of(request)
    async with house.database.at_one_moment(caller.tenant) as session:
        story = await read_story(session, house.keys, request.path_params["id"])
    return JSONResponse(story_json(story))


async def count(request: Request) -> Response:
    """GET: figures of some days, the last thirty unless told otherwise."""
    caller = await caller_of(request)
    caller.needs(Permission.MESSAGES_READ)
    span = read_query(request, Span)
    house = house_of(request)
    until = span.until or caller.clinic.today(house.clock())
    since = span.since or until - timedelta(days=DAYS_COUNTED - 1)
    async with house.database.at_one_moment(caller.tenant) as session:
        found = await statistics(session, since, until, caller.clinic.zone)
    return JSONResponse(statistics_json(found))


async def retry(request: Request) -> Response:
    """POST: send one again that is over, or was held."""
    return await _do(request, Permission.MESSAGES_RETRY, by_hand.retry)


async def cancel(request: Request) -> Response:
    """POST: do not send one that has not left."""
    return await _do(request, Permission.MESSAGES_SEND, by_hand.cancel)


async def update_status(request: Request) -> Response:
    """PATCH: record what is known from elsewhere; for administrators and programs."""
    caller = await caller_of(request)
    caller.needs(Permission.MESSAGES_RETRY)
    if caller.person is not None and caller.person.role != Role.ADMIN:
        raise Forbidden("Only an administrator, or a program by its key, sets a message's state.")
    body = await read_body(request, StatusBody)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await by_hand.update_status(work, request.path_params["id"], body.state, body.reason)
        listed = await read_listed(work.session, request.path_params["id"])
    return JSONResponse(message_json(listed))


async def find_patient(session: AsyncSession, ref: PatientRef) -> uuid.UUID:
    """The id of whom it is for; raises Invalid when there is no such patient."""
    same = Patient.id == ref.id if ref.id else Patient.external_id == ref.external_id
    found = (await session.execute(select(Patient.id).where(same))).scalar_one_or_none()
    if found is None:
        field = "patient.id" if ref.id else "patient.external_id"
        raise Invalid("There is no such patient.", [FieldError(field, "nobody has this id here")])
    return found


async def _do(request: Request, permission: Permission, verb: Verb) -> Response:
    caller: Caller = await caller_of(request)
    caller.needs(permission)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def act() -> dict[str, Any]:
            return {"id": str((await verb(work, request.path_params["id"])).id)}

        answer = await once(work, idempotency, act)
        listed = await read_listed(work.session, uuid.UUID(answer["id"]))
    return JSONResponse(message_json(listed))
