"""`/api/v1/staff`, `/api/v1/keys`, `/api/v1/live-tokens`: people and the proofs of who they are."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import caller_of, house_of
from hub.api.bodies import (
    MOST_PER_PAGE,
    PER_PAGE,
    Body,
    Email,
    Line,
    moment_in_cursor,
    read_body,
    read_cursor,
    read_query,
    write_cursor,
)
from hub.people import keys, live_tokens, sessions, staff
from hub.people.roles import Permission, Role
from hub.people.tables import ApiKey, Staff


class NewStaff(Body):
    """Somebody to add."""

    email: Email
    name: Line
    role: Role
    language: Literal["en", "ar"] = "en"
    password: Annotated[str, Field(max_length=staff.LONGEST_PASSWORD)]


class StaffChange(Body):
    """What to change; what is left out stays."""

    role: Role | None = None
    active: bool | None = None
    language: Literal["en", "ar"] | None = None


class NewKey(Body):
    """A key to make."""

    name: Line
    scopes: Annotated[list[str], Field(min_length=1, max_length=20)]


class TokenFor(Body):
    """Whose live connection another application opens."""

    staff_id: uuid.UUID


class Listing(Body):
    """Which page."""

    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


def staff_json(found: Staff) -> dict[str, Any]:
    """A member of staff as the API shows them."""
    return {
        "id": str(found.id),
        "email": found.email,
        "name": found.name,
        "role": found.role,
        "language": found.language,
        "active": found.active,
        "created_at": found.created_at.isoformat(),
    }


def key_json(found: ApiKey) -> dict[str, Any]:
    """A key as the API shows it; the key itself is not to be had."""
    return {
        "id": str(found.id),
        "name": found.name,
        "prefix": found.prefix,
        "scopes": found.scopes,
        "created_at": found.created_at.isoformat(),
        "last_used_at": found.last_used_at.isoformat() if found.last_used_at else None,
        "revoked_at": found.revoked_at.isoformat() if found.revoked_at else None,
    }


async def list_staff(request: Request) -> Response:
    """GET: the staff, by email address."""
    caller = await caller_of(request)
    caller.needs(Permission.STAFF_READ)
    listing = read_query(request, Listing)
    after = read_cursor(listing.after, 1)[0] if listing.after else None
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        found = await staff.list_staff(session, after, listing.limit + 1)
    shown = found[: listing.limit]
    more = write_cursor(shown[-1].email) if len(found) > listing.limit else None
    return JSONResponse({"items": [staff_json(each) for each in shown], "after": more})


async def add_staff(request: Request) -> Response:
    """POST: add somebody."""
    caller = await caller_of(request)
    caller.needs(Permission.STAFF_MANAGE)
    new = await read_body(request, NewStaff)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        added = await staff.add_staff(work, **new.model_dump())
    return JSONResponse(staff_json(added), 201)


async def change_staff(request: Request) -> Response:
    """PATCH: change somebody's role, access or language."""
    caller = await caller_of(request)
    caller.needs(Permission.STAFF_MANAGE)
    change = await read_body(request, StaffChange)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        changed = await staff.change_staff(work, request.path_params["id"], **change.model_dump())
    return JSONResponse(staff_json(changed))


async def show_me(request: Request) -> Response:
    """GET: who the caller is."""
    caller = await caller_of(request)
    person = caller.as_person
    return JSONResponse(
        {
            "id": str(person.id),
            "name": person.name,
            "role": person.role,
            "language": person.language,
            "clinic": {"id": str(person.tenant), "name": person.clinic.name, "zone": person.clinic.zone.key},
        }
    )


async def sign_out_everywhere(request: Request) -> Response:
    """POST: end every session of the caller's."""
    caller = await caller_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await sessions.end_all(work, caller.as_person.id)
    return Response(status_code=204)


async def list_keys(request: Request) -> Response:
    """GET: the keys, newest first."""
    caller = await caller_of(request)
    caller.needs(Permission.KEYS_MANAGE)
    listing = read_query(request, Listing)
    async with house_of(request).database.of_tenant(caller.tenant) as session:
        found = await keys.list_keys(session, _moment(listing.after), listing.limit + 1)
    shown = found[: listing.limit]
    more = write_cursor(shown[-1].created_at.isoformat()) if len(found) > listing.limit else None
    return JSONResponse({"items": [key_json(each) for each in shown], "after": more})


async def add_key(request: Request) -> Response:
    """POST: make a key; the answer is the only one that shows it."""
    caller = await caller_of(request)
    caller.needs(Permission.KEYS_MANAGE)
    new = await read_body(request, NewKey)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        added, text = await keys.add_key(work, new.name, new.scopes)
    return JSONResponse(key_json(added) | {"key": text}, 201, {"Cache-Control": "no-store"})


async def revoke_key(request: Request) -> Response:
    """DELETE: end a key at once."""
    caller = await caller_of(request)
    caller.needs(Permission.KEYS_MANAGE)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await keys.revoke_key(work, request.path_params["id"])
    return Response(status_code=204)


async def make_live_token(request: Request) -> Response:
    """POST: a short-lived token by which another application opens the live connection for one of the staff."""
    caller = await caller_of(request)
    caller.needs(Permission.LIVE_TOKENS)
    wanted = await read_body(request, TokenFor)
    house = house_of(request)
    async with house.database.of_tenant(caller.tenant) as session:
        token, made = await live_tokens.issue_token(
            session, house.keys, caller.tenant, wanted.staff_id, caller.actor.id, house.clock()
        )
    answer = {"id": str(made.id), "token": token, "expires_at": made.expires_at.isoformat()}
    return JSONResponse(answer, 201, {"Cache-Control": "no-store"})


async def revoke_live_token(request: Request) -> Response:
    """DELETE: end a token at once, with the connections it opened; one that is over already is no error."""
    caller = await caller_of(request)
    caller.needs(Permission.LIVE_TOKENS)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        await live_tokens.revoke_token(work, request.path_params["id"])
    return Response(status_code=204)


def _moment(cursor: str | None) -> datetime | None:
    return None if cursor is None else moment_in_cursor(read_cursor(cursor, 1)[0])
