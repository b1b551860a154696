"""The arrivals board: today by clinician, live on every desk, arrival with one click or key."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.appointments.board import Visit, read_version, read_visit, read_visits
from hub.appointments.lifecycle import arrive
from hub.appointments.states import Clearance, Consent, State
from hub.console.reader import go, needs, own_path, page_of, pages_of, read_form, reader_of, show, text_of
from hub.errors import Conflict, Invalid
from hub.people.roles import Permission
from hub.people.sessions import Person
from hub.work import Actor

FRAGMENT = "x-fragment"
Choice = TypeVar("Choice", bound=StrEnum)


async def board(request: Request) -> Response:
    """GET: the board of a day."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_READ)
    return await _answer(request, person, _day_of(request, person))


async def mark_arrived(request: Request) -> Response:
    """POST: the patient is at the desk. Answers the board itself to a script, and leads back to it otherwise."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_WRITE)
    form = await read_form(request)
    problem = None
    try:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            clearance = _one_of(Clearance, text_of(form, "clearance"))
            consent = _one_of(Consent, text_of(form, "consent"))
            appointment = await arrive(work, request.path_params["id"], clearance, consent)
    except Conflict:
        _ = pages_of(request).gettext(person.language)
        problem = _("This patient has been marked as arrived already.")
        async with house_of(request).database.of_tenant(person.tenant) as session:
            appointment = (await read_visit(session, request.path_params["id"])).appointment
    day = appointment.starts_at.astimezone(person.clinic.zone).date()
    if request.headers.get(FRAGMENT) or problem:
        return await _answer(request, person, day, problem)
    board_row = f"/console/arrivals?day={day.isoformat()}#row-{request.path_params['id']}"
    return go(own_path(form.get("next"), board_row))


async def _answer(request: Request, person: Person, day: date, problem: str | None = None) -> Response:
    context = {"board": await _board(request, person, day, problem)}
    status = 409 if problem else 200
    if request.headers.get(FRAGMENT) == "board":
        html = pages_of(request).render("parts/board.html", page_of(request, person), **context)
        return HTMLResponse(html, status)
    return await show(request, "arrivals.html", person, status=status, **context)


async def _board(request: Request, person: Person, day: date, problem: str | None) -> dict[str, Any]:
    house = house_of(request)
    now = house.clock()
    since, until = person.clinic.bounds_of(day)
    async with house.database.at_one_moment(person.tenant) as session:
        version = await read_version(session)
        visits = await read_visits(session, since, until)
    groups: dict[str, dict[str, Any]] = {}
    for visit in visits:
        clinician = str(visit.appointment.clinician_id)
        group = groups.setdefault(clinician, {"clinician": {"id": clinician, "name": visit.clinician}, "rows": []})
        group["rows"].append(row_of(visit, now))
    return {
        "day": day,
        "today": day == person.clinic.today(now),
        "version": version,
        "previous": (day - timedelta(days=1)).isoformat(),
        "next": (day + timedelta(days=1)).isoformat(),
        "total": len(visits),
        "arrived": sum(visit.appointment.state == State.ARRIVED for visit in visits),
        "groups": sorted(groups.values(), key=lambda group: str(group["clinician"]["name"])),
        "problem": problem,
    }


def row_of(visit: Visit, now: datetime) -> dict[str, Any]:
    """A visit as the board and its own page show it."""
    found = visit.appointment
    booked = found.state == State.BOOKED
    return {
        "id": str(found.id),
        "number": found.number,
        "state": found.state,
        "time": found.starts_at,
        "minutes": found.minutes,
        "patient": visit.patient,
        "arrived_at": found.arrived_at,
        "waited_minutes": _minutes(found.arrived_at, now),
        "late_minutes": _minutes(found.starts_at, now) or None if booked and found.starts_at < now else None,
        "clearance": found.clearance,
        "consent": found.consent,
        "can_arrive": booked,
    }


def _minutes(since: datetime | None, now: datetime) -> int | None:
    return max(0, int((now - since).total_seconds() // 60)) if since else None


def _day_of(request: Request, person: Person) -> date:
    wanted = request.query_params.get("day", "")
    if not wanted:
        return person.clinic.today(house_of(request).clock())
    try:
        day = date.fromisoformat(wanted)
        datetime(day.year - 1, 1, 1, tzinfo=UTC), datetime(day.year + 1, 1, 1, tzinfo=UTC)
    except ValueError as error:
        raise Invalid("There is no such day. Days are written YYYY-MM-DD.") from error
    return day


def _one_of(kind: type[Choice], text: str) -> Choice | None:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError as error:
        raise Invalid(f"{text[:40]!r} is not one of {', '.join(kind)}.") from error
