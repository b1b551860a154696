"""The history of the reader's own notifications, with filters that stand in the address."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.api.bodies import read_number_cursor, write_cursor
from hub.api.notifications import Listing
from hub.api.problems import invalid
from hub.console.pages import address
from hub.console.reader import go, own_path, pages_of, read_form, reader_of, show, text_of
from hub.errors import Invalid
from hub.inbox import marks
from hub.inbox.feed import Filters, read_head, read_page
from hub.inbox.kinds import Kind
from hub.inbox.tables import Notification
from hub.people.sessions import Person
from hub.work import Actor

PATH = "/console/notifications"
PER_PAGE = 30
MARKS: dict[str, marks.Mark] = {"read": "read", "unread": "unread", "archive": "archive"}


async def history(request: Request) -> Response:
    """GET: a page of history."""
    person = await reader_of(request)
    listing = _listing(request)
    filters = Filters(listing.state, listing.kind, listing.level, listing.q or None)
    before, after = read_number_cursor(listing.before), read_number_cursor(listing.after)
    async with house_of(request).database.at_one_moment(person.tenant) as session:
        page = await read_page(session, person.id, filters, limit=PER_PAGE, before=before, after=after)
        head = await read_head(session, person.id)
    kept = {"state": listing.state, "kind": listing.kind, "level": listing.level, "q": listing.q}
    context = {
        "items": [_row(found) for found in page.items],
        "filters": {name: value or "" for name, value in kept.items()},
        "kinds": kinds_in_words(request, person),
        "older": address(PATH, kept, before=write_cursor(page.older)) if page.older is not None else None,
        "newer": address(PATH, kept, after=write_cursor(page.newer)) if page.newer is not None else None,
        "unread": head.unread,
        "seq": head.seq,
    }
    return await show(request, "notifications.html", person, history=context)


async def mark(request: Request) -> Response:
    """POST: mark those chosen, and lead back to the page they were chosen on."""
    person = await reader_of(request)
    form = await read_form(request)
    as_ = MARKS.get(text_of(form, "as"))
    if as_ is None:
        raise Invalid(f"Choose one of {', '.join(MARKS)}.")
    try:
        ids = [uuid.UUID(str(each)) for each in form.getlist("ids")][: marks.MOST_MARKED]
    except ValueError as error:
        raise Invalid("One of the notifications chosen has no valid id.") from error
    if ids:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            await marks.mark(work, person.id, ids, as_)
    return go(own_path(form.get("next"), PATH))


def kinds_in_words(request: Request, person: Person) -> list[tuple[str, str]]:
    """Every kind, and what it is called in the reader's language."""
    _ = pages_of(request).gettext(person.language)
    words = {
        Kind.PATIENT_ARRIVED: _("Patient arrived"),
        Kind.APPOINTMENT_BOOKED: _("Appointment booked"),
        Kind.APPOINTMENT_CONFIRMED: _("Appointment confirmed"),
        Kind.APPOINTMENT_RESCHEDULED: _("Appointment moved"),
        Kind.APPOINTMENT_CANCELLED: _("Appointment cancelled"),
        Kind.APPOINTMENT_NO_SHOW: _("Missed appointment"),
        Kind.APPOINTMENT_WISH: _("Patient asks for another time"),
        Kind.APPOINTMENT_UNDONE: _("Change taken back"),
        Kind.LICENSE_EXPIRY: _("Licence expiry"),
        Kind.CME_DEADLINE: _("CME deadline"),
        Kind.COMPLIANCE_ALERT: _("Compliance alert"),
        Kind.SYSTEM: _("System"),
    }
    return [(kind.value, words[kind]) for kind in Kind]


def _listing(request: Request) -> Listing:
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        return Listing.model_validate(given)
    except ValidationError as error:
        raise invalid(error) from error


def _row(found: Notification) -> dict[str, Any]:
    related = None
    if found.related_type and found.link:
        related = {"type": found.related_type, "id": str(found.related_id), "link": found.link}
    shown = ("number", "seq", "title", "body", "kind", "level", "priority", "facts")
    times = ("read_at", "archived_at", "created_at", "updated_at")
    return {"id": str(found.id), "related": related} | {name: getattr(found, name) for name in shown + times}
