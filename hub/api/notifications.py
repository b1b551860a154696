"""`/api/v1/notifications`: sending, reading and marking."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.api.auth import caller_of, house_of, inbox_owner_of
from hub.api.bodies import (
    MOST_PER_PAGE,
    PER_PAGE,
    Body,
    Line,
    Prose,
    Search,
    idempotency_of,
    read_body,
    read_number_cursor,
    read_query,
    write_cursor,
)
from hub.appointments.states import Clearance, Consent
from hub.idempotency import once
from hub.inbox import marks
from hub.inbox.feed import Filters, State, read_head, read_one, read_page, row_of
from hub.inbox.kinds import Kind, Level, Priority
from hub.inbox.notify import Notice, Related, Wording, notify
from hub.people.roles import Permission, Role
from hub.work import Actor

MOST_RECIPIENTS = 1000
MOST_FACTS = 20
Fact = Annotated[Prose, Field(max_length=500)]

NO_STORE = {"Cache-Control": "no-store"}


class To(Body):
    """Who is told: people by id, everybody in a role, or everybody."""

    people: Annotated[list[uuid.UUID], Field(min_length=1, max_length=MOST_RECIPIENTS)] | None = None
    role: Role | None = None
    everybody: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if [self.people, self.role, self.everybody].count(None) != 2:
            raise ValueError("give one of `people`, `role` and `everybody`")
        return self


class RelatedBody(Body):
    """The object it is about; `link` is a path on this hub."""

    type: Line
    id: uuid.UUID
    link: Annotated[str, Field(max_length=500, pattern=r"^/([a-zA-Z0-9._~?#=&%-][\x21-\x5b\x5d-\x7e]*)?$")] | None = (
        None
    )


def _shown_as_words(facts: dict[str, Any]) -> dict[str, Any]:
    """Pages and bell show these two as icon and word, so there must be one."""
    for name, known in (("clearance", Clearance), ("consent", Consent)):
        if facts.get(name) is not None and facts[name] not in set(known):
            raise ValueError(f"`{name}` is one of {', '.join(known)}")
    return facts


class Sending(Body):
    """A notification to send."""

    to: To
    title: Line
    body: Prose = ""
    kind: Kind = Kind.SYSTEM
    level: Level | None = None
    priority: Priority | None = None
    related: RelatedBody | None = None
    facts: Annotated[
        dict[Line, Fact | int | bool | None],
        Field(max_length=MOST_FACTS, default_factory=dict),
        AfterValidator(_shown_as_words),
    ]


class Marking(Body):
    """Which notifications to mark."""

    ids: Annotated[list[uuid.UUID], Field(min_length=1, max_length=marks.MOST_MARKED)]


class ReadingAll(Body):
    """Everything that last changed at this number or before; without it, everything."""

    upto: Annotated[int, Field(ge=0, le=2**53)] | None = None


class Listing(Body):
    """Which page of history."""

    state: State = "all"
    kind: Kind | None = None
    level: Level | None = None
    q: Search | None = None
    before: str | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


async def send(request: Request) -> Response:
    """POST: ring the bell of people, of a role or of everybody; the ids are listed unless there are too many."""
    caller = await caller_of(request)
    caller.needs(Permission.NOTIFICATIONS_SEND)
    sending = await read_body(request, Sending)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def ring() -> dict[str, Any]:
            to = sending.to
            ids = await notify(work, to.people or to.role or "everybody", _notice(sending))
            listed = {"ids": [str(each) for each in ids]} if len(ids) <= MOST_RECIPIENTS else {}
            return listed | {"recipients": len(ids)}

        answer = await once(work, idempotency, ring)
    return JSONResponse(answer, 201)


def _notice(sending: Sending) -> Notice:
    related = sending.related
    return Notice(
        kind=sending.kind,
        wording=Wording(sending.title, sending.body),
        level=sending.level,
        priority=sending.priority,
        related=Related(related.type, related.id, related.link) if related else None,
        facts=dict(sending.facts),
    )


async def list_(request: Request) -> Response:
    """GET: a page of the caller's own history, newest first."""
    person = await inbox_owner_of(request)
    listing = read_query(request, Listing)
    filters = Filters(listing.state, listing.kind, listing.level, listing.q or None)
    before, after = read_number_cursor(listing.before), read_number_cursor(listing.after)
    async with house_of(request).database.at_one_moment(person.tenant) as session:
        page = await read_page(session, person.id, filters, limit=listing.limit, before=before, after=after)
        head = await read_head(session, person.id)
    answer: dict[str, Any] = {
        "items": [row_of(found) for found in page.items],
        "unread": head.unread,
        "seq": head.seq,
        "older": write_cursor(page.older) if page.older is not None else None,
        "newer": write_cursor(page.newer) if page.newer is not None else None,
    }
    return JSONResponse(answer, headers=NO_STORE)


async def count(request: Request) -> Response:
    """GET: the exact number of unread ones."""
    person = await inbox_owner_of(request)
    async with house_of(request).database.of_tenant(person.tenant) as session:
        head = await read_head(session, person.id)
    return JSONResponse({"unread": head.unread, "seq": head.seq}, headers=NO_STORE)


async def show(request: Request) -> Response:
    """GET: one of the caller's own."""
    person = await inbox_owner_of(request)
    async with house_of(request).database.of_tenant(person.tenant) as session:
        found = await read_one(session, person.id, request.path_params["id"])
    return JSONResponse(row_of(found), headers=NO_STORE)


def mark_as(as_: marks.Mark) -> Callable[[Request], Awaitable[Response]]:
    """POST: mark some of the caller's own read, unread or archived."""

    async def mark(request: Request) -> Response:
        person = await inbox_owner_of(request)
        marking = await read_body(request, Marking)
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            head = await marks.mark(work, person.id, marking.ids, as_)
        return JSONResponse({"unread": head.unread, "seq": head.seq}, headers=NO_STORE)

    return mark


async def read_all(request: Request) -> Response:
    """POST: mark read what the caller has seen."""
    person = await inbox_owner_of(request)
    reading = await read_body(request, ReadingAll)
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        upto = 2**53 if reading.upto is None else reading.upto
        head = await marks.read_all(work, person.id, upto)
    return JSONResponse({"unread": head.unread, "seq": head.seq}, headers=NO_STORE)
