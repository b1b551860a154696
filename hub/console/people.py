"""Staff and API keys, for administrators."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.api.bodies import MOST_PER_PAGE
from hub.console.reader import go, needs, read_form, reader_of, show, text_of
from hub.errors import Invalid
from hub.people import keys, staff
from hub.people.roles import SCOPES, Permission
from hub.people.sessions import Person
from hub.work import Actor

PATH = "/console/people"


async def page(request: Request) -> Response:
    """GET: who works here, and which programs have a key."""
    person = await reader_of(request)
    needs(person, Permission.STAFF_MANAGE)
    return await _show(request, person)


async def add_key(request: Request) -> Response:
    """POST: make a key; this answer is the only one that shows it."""
    person = await reader_of(request)
    needs(person, Permission.KEYS_MANAGE)
    form = await read_form(request)
    name = text_of(form, "name")
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise Invalid("Give the key a name of 1 to 200 characters.")
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        _, text = await keys.add_key(work, name, [str(scope) for scope in form.getlist("scopes")])
    return await _show(request, person, text)


async def revoke_key(request: Request) -> Response:
    """POST: end a key at once."""
    person = await reader_of(request)
    needs(person, Permission.KEYS_MANAGE)
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        await keys.revoke_key(work, request.path_params["id"])
    return go(PATH)


async def activate(request: Request) -> Response:
    """POST: give somebody their access back."""
    return await _set_active(request, active=True)


async def deactivate(request: Request) -> Response:
    """POST: take somebody's access away; their sessions and open sockets end."""
    return await _set_active(request, active=False)


async def _set_active(request: Request, *, active: bool) -> Response:
    person = await reader_of(request)
    needs(person, Permission.STAFF_MANAGE)
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        await staff.change_staff(work, request.path_params["id"], active=active)
    return go(PATH)


async def _show(request: Request, person: Person, new_key: str | None = None) -> Response:
    after = request.query_params.get("after")
    if after is not None and not after.isprintable():
        raise Invalid("There is no such page of people.")
    async with house_of(request).database.of_tenant(person.tenant) as session:
        people = await staff.list_staff(session, after, MOST_PER_PAGE + 1)
        seen = await staff.last_seen(session, [each.id for each in people])
        found = await keys.list_keys(session, None, MOST_PER_PAGE)
    shown = people[:MOST_PER_PAGE]
    context: dict[str, Any] = {
        "people": [
            {name: getattr(each, name) for name in ("id", "name", "email", "role", "active")}
            | {"last_seen_at": seen.get(each.id)}
            for each in shown
        ],
        "more": shown[-1].email if len(people) > MOST_PER_PAGE else None,
        "keys": found,
        "new_key": new_key,
        "scopes": sorted(SCOPES),
    }
    return await show(request, "people.html", person, **context)
