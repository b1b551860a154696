"""The arrivals board: a day by clinician, live on every desk; each step with one click or key, and undone."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from babel.dates import format_datetime
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.appointments import lifecycle
from hub.appointments.board import Visit, read_visit
from hub.appointments.changes import read_changes
from hub.appointments.lifecycle import lock_appointment
from hub.appointments.states import AHEAD, Clearance, Consent
from hub.appointments.undo import last_undoable, undo
from hub.console.board_view import PATH, View, read_board
from hub.console.board_words import states_in_words
from hub.console.reader import go, needs, own_path, page_of, pages_of, read_form, reader_of, show, text_of
from hub.errors import Conflict, Invalid
from hub.people.roles import Permission
from hub.people.sessions import Person
from hub.work import Actor, Work

FRAGMENT = "x-fragment"
# A click at the desk may be wrong: what leaves the house waits, so that undoing it can take it back.
UNDO_HOLD = timedelta(seconds=15)
Choice = TypeVar("Choice", bound=StrEnum)
Step = Callable[[Work, uuid.UUID, FormData], Awaitable[object]]


async def board(request: Request) -> Response:
    """GET: the board of a day."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_READ)
    return await answer(request, person, View.of(request.query_params, _today(request, person)))


async def confirm(request: Request) -> Response:
    """POST: the patient says at the desk or on the phone that they come."""
    return await click(request, lambda work, visit, _: lifecycle.confirm(work, visit, hold=UNDO_HOLD))


async def mark_arrived(request: Request) -> Response:
    """POST: the patient is at the desk, with clearance and consent as the row says them."""

    async def arrive(work: Work, visit: uuid.UUID, form: FormData) -> object:
        clearance = one_of(Clearance, text_of(form, "clearance"))
        return await lifecycle.arrive(work, visit, clearance, one_of(Consent, text_of(form, "consent")))

    return await click(request, arrive)


async def start(request: Request) -> Response:
    """POST: the patient is with the clinician."""
    return await click(request, lambda work, visit, _: lifecycle.start(work, visit))


async def miss(request: Request) -> Response:
    """POST: the patient did not come."""
    return await click(request, lambda work, visit, _: lifecycle.miss(work, visit))


async def take_back(request: Request) -> Response:
    """POST: undo the latest change, if it still is the one that the desk saw."""

    async def take(work: Work, visit: uuid.UUID, form: FormData) -> object:
        await lock_appointment(work, visit)
        latest = last_undoable(await read_changes(work.session, visit), work.now)
        if latest is not None and text_of(form, "change") not in ("", str(latest.id)):
            raise Conflict("Something else was done since. Look at the visit again.")
        return await undo(work, visit)

    return await click(request, take, is_undo=True)


async def click(request: Request, step: Step, *, is_undo: bool = False) -> Response:
    """Take one step with a visit, and answer with the board; when somebody was quicker, that is said."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_WRITE)
    form = await read_form(request)
    visit = request.path_params["id"]
    try:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            await step(work, visit, form)
    except Conflict:
        return await refuse(request, person, form, visit, is_undo=is_undo)
    return await settle(request, person, form, visit, is_undo=is_undo)


async def settle(
    request: Request, person: Person, form: FormData, visit_id: uuid.UUID, *, is_undo: bool = False
) -> Response:
    """After a step: the board of the visit's day to a script, and the way back to it, or to `next`, otherwise."""
    view, visit = await _where(request, person, form, visit_id)
    if request.headers.get(FRAGMENT):
        say = pages_of(request).gettext(person.language)
        state = states_in_words(say)[visit.appointment.state]
        done = say("Undone; now %(state)s") % {"state": state} if is_undo else state
        return await answer(request, person, view, focus=str(visit_id), said=f"\u2068{visit.patient}\u2069: {done}")
    wanted = str(form.get("next") or "")
    back = "" if urlsplit(wanted).path == PATH else wanted
    return go(own_path(back, f"{view.url}#row-{visit_id}"))


async def refuse(
    request: Request, person: Person, form: FormData, visit_id: uuid.UUID, *, is_undo: bool = False
) -> Response:
    """The board as it is, and why what was asked for cannot be done any more."""
    view, visit = await _where(request, person, form, visit_id)
    say = pages_of(request).gettext(person.language)
    found, problem = visit.appointment, ""
    if is_undo:
        problem = say("There is nothing to undo any more: something else was done since, or too long ago.")
    elif found.state in AHEAD and request.url.path.endswith("/no-show"):
        problem = say("This visit has not begun yet; nobody can have missed it.")
    else:
        problem = say("Somebody was quicker: the visit of %(patient)s is now “%(state)s”, %(time)s.") % {
            "patient": f"\u2068{visit.patient}\u2069",
            "state": states_in_words(say)[found.state],
            "time": format_datetime(
                found.starts_at, "EEEE d MMMM HH:mm", tzinfo=person.clinic.zone, locale=person.language
            ),
        }
    return await answer(request, person, view, problem=problem)


async def answer(request: Request, person: Person, view: View, **more: Any) -> Response:
    """The board: alone to a script, as a page otherwise."""
    house = house_of(request)
    say = pages_of(request).gettext(person.language)
    async with house.database.at_one_moment(person.tenant) as session:
        found = await read_board(session, house.keys, person, view, house.clock(), say)
    context = {"board": found | more}
    status = 409 if more.get("problem") else 200
    if request.headers.get(FRAGMENT) == "board":
        html = pages_of(request).render("parts/board.html", page_of(request, person), **context)
        return _packed(request, html, status)
    return await show(request, "arrivals.html", person, status=status, **context)


def _packed(request: Request, html: str, status: int) -> Response:
    """Small on its way: every desk fetches the board at every change. Nothing in it repeats what a stranger chose."""
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(html, status, headers)
    packed = gzip.compress(html.encode(), compresslevel=2, mtime=0)
    return HTMLResponse(packed, status, headers | {"Content-Encoding": "gzip"})


def one_of(kind: type[Choice], text: str) -> Choice | None:
    """One of a closed list, or None when nothing was chosen; raises Invalid."""
    if not text:
        return None
    try:
        return kind(text)
    except ValueError as error:
        raise Invalid(f"{text[:40]!r} is not one of {', '.join(kind)}.") from error


async def _where(request: Request, person: Person, form: FormData, visit_id: uuid.UUID) -> tuple[View, Visit]:
    """The visit as it is now, and the view its row is in: the one the desk came from, on the visit's own day."""
    async with house_of(request).database.of_tenant(person.tenant) as session:
        visit = await read_visit(session, visit_id)
    came_from = urlsplit(str(form.get("next") or ""))
    asked = dict(parse_qsl(came_from.query)) if came_from.path == PATH else {}
    try:
        view = View.of(asked, _today(request, person))
    except Invalid:
        view = View(_today(request, person))
    return replace(view, day=visit.appointment.starts_at.astimezone(person.clinic.zone).date()), visit


def _today(request: Request, person: Person) -> date:
    return person.clinic.today(house_of(request).clock())
