"""The board's forms: booking a visit, moving it, cancelling it, completing it with next steps.

Each is a dialog of the board to a script, which asks for the form alone, and a page of its own otherwise.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.api.patients import contact_value
from hub.appointments import lifecycle
from hub.appointments.board import Visit, read_visit
from hub.appointments.lifecycle import Booking, NewTime, lock_appointment
from hub.appointments.recent import read_wishes
from hub.appointments.states import Clearance, Consent
from hub.console.arrivals import FRAGMENT, UNDO_HOLD, one_of, refuse, settle
from hub.console.board_view import PATH, View, row_of
from hub.console.board_words import cancel_reasons, forms_in_words, move_reasons
from hub.console.reader import needs, own_path, page_of, pages_of, read_form, reader_of, show, text_of
from hub.console.visit_forms import NEW, OWN, Filled
from hub.crypto import Keys
from hub.errors import Conflict, Invalid, NotFound
from hub.idempotency import IdempotentRequest, once
from hub.people.contact_points import read_contacts
from hub.people.patients import read_patient, read_patients
from hub.people.roles import Permission
from hub.people.sessions import Person
from hub.people.staff import list_clinicians
from hub.people.tables import ContactPoint
from hub.work import Actor, Work

MOST_FOUND = 8
SHORTEST_SEARCH = 2
LONGEST_SEARCH = 200
USUAL_MINUTES = 30
ROUND_TO = timedelta(minutes=5)
REASONS = {"move": move_reasons, "cancel": cancel_reasons}


@dataclass(frozen=True, slots=True)
class Shape:
    """A form: which fields of it are kept as they were typed, and which step it takes."""

    name: str
    given: dict[str, str]
    errors: dict[str, str]
    visit: Visit | None = None
    status: int = 200


async def new(request: Request) -> Response:
    """GET: the form for a new visit; to a script that searches, the patients found alone."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_WRITE)
    query = request.query_params
    if request.headers.get(FRAGMENT) == "found":
        found = await _found(request, person, query.get("who", ""))
        context = {"found": found, "who": query.get("who", "").strip(), "chosen": ""}
        html = pages_of(request).render("parts/found_patients.html", page_of(request, person), **context)
        return HTMLResponse(html)
    now = house_of(request).clock()
    today = person.clinic.today(now)
    view = View.of(query, today)
    soon = (now + ROUND_TO - timedelta(seconds=1)).astimezone(person.clinic.zone)
    soon -= timedelta(minutes=soon.minute % 5)
    given = {
        "day": max(view.day, today).isoformat(),
        "time": f"{soon:%H:%M}" if view.day <= today == soon.date() else "",
        "clinician": view.clinician,
        "minutes": str(USUAL_MINUTES),
        "clearance": Clearance.PENDING,
        "consent": Consent.MISSING,
        "language": person.clinic.languages[0],
        "next": view.url,
    }
    return await _show(request, person, Shape("book", given, {}))


async def book(request: Request) -> Response:
    """POST: book it. Who may be known already is asked for before a second file is opened."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_WRITE)
    form = await read_form(request)
    filled = _filled(request, person, form)
    booking = Booking(
        patient=filled.patient(),
        clinician_id=filled.clinician(),
        starts_at=filled.starts_at(),
        minutes=filled.minutes(),
        clearance=one_of(Clearance, text_of(form, "clearance")) or Clearance.PENDING,
        consent=one_of(Consent, text_of(form, "consent")) or Consent.MISSING,
    )
    is_unchosen = not filled.given.get("patient") and "who" not in filled.errors
    if is_unchosen and await _found(request, person, booking.patient.name):
        filled.errors["who"] = filled.say("Somebody like this is known. Choose who it is, or open a new file.")
    if not filled.errors:
        try:
            booked = await _book(request, person, filled, booking)
        except Invalid as error:
            filled.refuse(error)
        except NotFound:
            filled.errors["who"] = filled.say("There is no such patient.")
        else:
            return await settle(request, person, form, booked)
    return await _show(request, person, Shape("book", filled.given, filled.errors, status=422))


async def change_form(request: Request) -> Response:
    """GET: the form to move, cancel or complete a visit."""
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_WRITE)
    name = _name_of(request)
    visit = await _read(request, person)
    found = visit.appointment
    here = str(request.query_params.get("next") or "")
    if name not in row_of(visit, house_of(request).clock())["can"]:
        return await refuse(request, person, FormData([("next", here)]), found.id)
    local = found.starts_at.astimezone(person.clinic.zone)
    given = {
        "day": local.date().isoformat(),
        "time": f"{local:%H:%M}",
        "clinician": str(found.clinician_id),
        "minutes": str(found.minutes),
        "occurrence": str(found.occurrence),
        "next": own_path(here, ""),
    }
    return await _show(request, person, Shape(name, given, {}, visit))


async def move(request: Request) -> Response:
    """POST: another time, another clinician, or both; everybody is told, unless it is undone at once."""

    def read(filled: Filled, language: str) -> Step:
        to = NewTime(filled.starts_at(), filled.minutes(), filled.clinician())
        reason = filled.reason(move_reasons(pages_of(request).gettext(language)), required=False)
        return lambda work, visit: lifecycle.move(work, visit, to, reason=reason, hold=UNDO_HOLD)

    return await _change(request, read)


async def cancel(request: Request) -> Response:
    """POST: the visit does not take place; the reason is told to the patient."""

    def read(filled: Filled, language: str) -> Step:
        reason = filled.reason(cancel_reasons(pages_of(request).gettext(language)), required=True)
        return lambda work, visit: lifecycle.cancel(work, visit, reason=reason, hold=UNDO_HOLD)

    return await _change(request, read)


async def complete(request: Request) -> Response:
    """POST: the visit is over, with next steps or without."""

    def read(filled: Filled, _language: str) -> Step:
        steps = filled.next_steps()
        return lambda work, visit: lifecycle.complete(work, visit, next_steps=steps, hold=UNDO_HOLD)

    return await _change(request, read)


Step = Callable[[Work, uuid.UUID], Any]


async def _change(request: Request, read: Callable[[Filled, str], Step]) -> Response:
    person = await reader_of(request)
    needs(person, Permission.APPOINTMENTS_WRITE)
    form = await read_form(request)
    filled = _filled(request, person, form)
    visit = await _read(request, person)
    async with house_of(request).database.of_tenant(person.tenant) as session:
        language = (await read_patient(session, visit.appointment.patient_id)).language
    step = read(filled, language)
    if not filled.errors:
        try:
            async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
                await _check_seen(work, visit.appointment.id, filled.given.get("occurrence", ""))
                await step(work, visit.appointment.id)
        except Invalid as error:
            filled.refuse(error)
        except Conflict:
            return await refuse(request, person, form, visit.appointment.id)
        else:
            return await settle(request, person, form, visit.appointment.id)
    return await _show(request, person, Shape(_name_of(request), filled.given, filled.errors, visit, 422))


async def _check_seen(work: Work, visit: uuid.UUID, occurrence: str) -> None:
    """Raises Conflict when the visit has had another time since the form was opened."""
    if occurrence and occurrence != str((await lock_appointment(work, visit)).occurrence):
        raise Conflict("The visit was moved meanwhile. Look at its time again.")


async def _book(request: Request, person: Person, filled: Filled, booking: Booking) -> uuid.UUID:
    asked = json.dumps(filled.given, sort_keys=True).encode()
    idempotency = IdempotentRequest.of(filled.given.get("once") or uuid.uuid4().hex, PATH, asked)
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:

        async def booked() -> dict[str, Any]:
            return {"id": str((await lifecycle.book(work, booking)).id)}

        return uuid.UUID((await once(work, idempotency, booked))["id"])


async def _show(request: Request, person: Person, shape: Shape) -> Response:
    house, say = house_of(request), pages_of(request).gettext(person.language)
    visit = shape.visit.appointment if shape.visit else None
    found: list[dict[str, Any]] = []
    wish = ""
    if shape.name == "book" and shape.given.get("who"):
        found = await _found(request, person, shape.given["who"])
    async with house.database.of_tenant(person.tenant) as session:
        clinicians = [(str(each.id), each.name) for each in await list_clinicians(session)]
        if visit is not None and visit.wish:
            wish = (await read_wishes(session, house.keys, [visit.id])).get(visit.id) or ""
    title, do_word = forms_in_words(say)[shape.name]
    context = {
        "form": shape,
        "title": title,
        "do_word": do_word,
        "row": row_of(shape.visit, house.clock()) if shape.visit else None,
        "action": f"{PATH}/{visit.id}/{shape.name}" if visit else PATH,
        "back": own_path(shape.given.get("next"), PATH),
        "clinicians": clinicians,
        "found": found,
        "wish": wish,
        "reasons": REASONS[shape.name](say) if shape.name in REASONS else {},
        "own": OWN,
        "new": NEW,
        "today": person.clinic.today(house.clock()).isoformat(),
        "once": uuid.uuid4().hex,
    }
    if request.headers.get(FRAGMENT):
        html = pages_of(request).render("parts/visit_dialog.html", page_of(request, person), **context)
        return HTMLResponse(html, shape.status)
    return await show(request, "visit_form.html", person, status=shape.status, **context)


async def _found(request: Request, person: Person, search: str) -> list[dict[str, Any]]:
    """Patients like this, with what tells two of the same name apart."""
    search = search.strip()
    if not SHORTEST_SEARCH <= len(search) <= LONGEST_SEARCH or not search.isprintable():
        return []
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        found = await read_patients(session, house.keys, person.clinic, search=search, limit=MOST_FOUND)
        contacts = await read_contacts(session, [patient.id for patient in found])
    return [
        {
            "id": str(patient.id),
            "name": patient.name,
            "language": patient.language,
            "external_id": patient.external_id,
            "since": patient.created_at,
            "phone": _ending(contacts.get(patient.id, {}).get("phone"), house.keys),
        }
        for patient in found
    ]


def _ending(phone: ContactPoint | None, keys: Keys) -> str:
    return (contact_value(phone, keys) or "")[-4:] if phone else ""


async def _read(request: Request, person: Person) -> Visit:
    async with house_of(request).database.of_tenant(person.tenant) as session:
        return await read_visit(session, request.path_params["id"])


def _filled(request: Request, person: Person, form: FormData) -> Filled:
    return Filled(form, pages_of(request).gettext(person.language), person.clinic, house_of(request).clock())


def _name_of(request: Request) -> str:
    return request.url.path.rsplit("/", 1)[-1]
