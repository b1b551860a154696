"""A patient's page of one visit, behind the link in a message and without a login: how it stands, and three answers.

It may be forwarded, so it names nobody and says nothing of why. Opening it changes nothing: scanners open links.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from babel.dates import get_timezone_location
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.appointments.answers import ANSWERS, LONGEST_NOTE, OPEN, Answer, Standing, answer, standing_of
from hub.appointments.board import read_visit
from hub.appointments.confirmation import VisitLink, read_token
from hub.appointments.tables import Appointment
from hub.console.message_words import Look
from hub.console.pages import Clinic, Page, address
from hub.console.preferences import ended
from hub.console.reader import go, page_of, pages_of, read_form, text_of
from hub.errors import FieldError, Invalid, NotFound
from hub.people.patients import read_patient
from hub.people.tenants import LANGUAGES, read_clinic
from hub.work import Actor

LONGEST_NUMBER = 9
# How it stands after an answer.
THANKED = frozenset({Standing.CONFIRMED, Standing.ASKED, Standing.WISHED, Standing.CANCELLED})


@dataclass(frozen=True, slots=True)
class _Seen:
    """The visit behind a link, and what every page of it needs."""

    appointment: Appointment
    page: Page
    link: VisitLink


@dataclass(frozen=True, slots=True)
class Reply:
    """What the page says about an answer: what became of it, or what was wrong with what came with it."""

    result: str = ""
    to: str = ""
    note: str = ""
    error: str = ""


async def page(request: Request) -> Response:
    """GET /v/…: how the visit stands."""
    try:
        seen = await _seen(request)
    except NotFound:
        return ended(request)
    return _show(request, seen, Reply("done" if "done" in request.query_params else ""))


async def save(request: Request) -> Response:
    """POST /v/…: the patient's answer to the time they saw.

    What could not be done because the visit is another one by now is said with 409, and a note too long with 422.
    """
    form = await read_form(request)
    to, occurrence, note = _answer_in(text_of(form, "answer")), text_of(form, "occurrence"), text_of(form, "note")
    if not occurrence.isascii() or not occurrence.isdecimal() or len(occurrence) > LONGEST_NUMBER:
        raise Invalid("Say which time of the visit this answers.", [FieldError("occurrence", "not a number")])
    try:
        seen = await _seen(request)
        actor = Actor("patient", seen.appointment.patient_id)
        async with house_of(request).open_work(seen.link.tenant, actor) as work:
            answered = await answer(work, seen.link.appointment, to, int(occurrence), note)
    except NotFound:
        return ended(request)
    except Invalid as error:
        reply = Reply("invalid", to, note, error.errors[0].detail)
        return _show(request, seen, reply, 422)
    if answered.result in ("done", "already"):
        return go(address(seen.page.path, {"lang": _chosen(request), "done": "1"}))
    return _show(request, replace(seen, appointment=answered.appointment), Reply(answered.result), 409)


async def _seen(request: Request) -> _Seen:
    """What a link opens, in the patient's language unless another one was asked for; raises NotFound."""
    house = house_of(request)
    link = read_token(house.keys, request.path_params["token"], house.clock())
    if link is None:
        raise NotFound("This link has ended.")
    async with house.database.of_tenant(link.tenant) as session:
        appointment = (await read_visit(session, link.appointment)).appointment
        language = (await read_patient(session, appointment.patient_id)).language
        clinic = await read_clinic(session, link.tenant)
    lang = _chosen(request) or language
    # A visit takes place at the clinic, and so by its clock.
    seen = replace(page_of(request, None), lang=lang, clinic=Clinic(clinic.name, clinic.zone.key))
    return _Seen(appointment, replace(seen, path=f"/v/{request.path_params['token']}"), link)


def _chosen(request: Request) -> str | None:
    language = request.query_params.get("lang", "")
    return language if language in LANGUAGES else None


def _answer_in(text: str) -> Answer:
    for each in ANSWERS:
        if text == each:
            return each
    raise Invalid("This is no answer.", [FieldError("answer", "unknown", list(ANSWERS))])


def _show(request: Request, seen: _Seen, reply: Reply, status: int = 200) -> Response:
    say, appointment, now = pages_of(request).gettext(seen.page.lang), seen.appointment, seen.page.now
    standing = standing_of(appointment, now)
    chosen = _chosen(request)
    context: dict[str, Any] = {
        "path": address(seen.page.path, {"lang": chosen}),
        "others": [(code, address(seen.page.path, lang=code)) for code in LANGUAGES if code != seen.page.lang],
        "starts_at": appointment.starts_at,
        "place": get_timezone_location(seen.page.zone, locale=seen.page.lang, return_city=True),
        "occurrence": appointment.occurrence,
        "standing": standing,
        "look": look_of(say, standing),
        "answers": OPEN.get(standing, frozenset()),
        "reply": reply if reply.result != "done" or standing in THANKED else Reply(),
        "longest": LONGEST_NOTE,
    }
    return HTMLResponse(pages_of(request).render("visit.html", seen.page, visit=context), status)


def look_of(_: Callable[[str], str], standing: Standing) -> Look:
    """How a visit stands, as a pill."""
    looks = {
        Standing.WAITING: Look(_("Waiting for your answer"), "info", "waiting"),
        Standing.MOVED: Look(_("New time: waiting for your answer"), "warn", "calendar"),
        Standing.CONFIRMED: Look(_("Your visit is confirmed"), "ok", "check"),
        Standing.ASKED: Look(_("You asked for another time"), "info", "again"),
        Standing.BEGUN: Look(_("The time has come"), "info", "clock"),
        Standing.OVER: Look(_("This visit is over"), "", "check"),
        Standing.PASSED: Look(_("The time of this visit is past"), "", "clock"),
        Standing.WISHED: Look(_("You asked for another visit"), "info", "again"),
        Standing.CANCELLED: Look(_("Your visit is cancelled"), "", "cross"),
    }
    return looks[standing]
