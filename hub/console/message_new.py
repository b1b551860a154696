"""Writing to one patient: a template with its values, or words of one's own, seen beforehand as the patient will."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.auth import house_of
from hub.api.message_shapes import PatientRef, Sent
from hub.api.problems import invalid
from hub.channels.vendor import Channel
from hub.console.message import SOME_LINK, said_of
from hub.console.messages import PATH, words_of
from hub.console.reader import go, needs, page_of, pages_of, read_form, reader_of, show, text_of
from hub.errors import FieldError, Invalid
from hub.idempotency import IdempotentRequest, once
from hub.messages import compose
from hub.people.patients import read_patient, read_patients, zone_of
from hub.people.roles import Permission
from hub.people.sessions import Person
from hub.people.tables import Patient
from hub.people.tenants import Clinic
from hub.templates import history
from hub.templates.render import Variable, Wording, render
from hub.templates.versions import published
from hub.work import Actor

NEW = f"{PATH}/new"
FRAGMENT = "x-fragment"
MOST_FOUND = 10
MOST_TEMPLATES = 500
LONGEST_SEARCH = 200
# What the hub knows by itself.
SUPPLIED = ("patient", *compose.GIVEN)


@dataclass(frozen=True, slots=True)
class Draft:
    """What is being written: to whom, and how far it has come."""

    patient: Patient
    code: str
    wordings: dict[Channel, Wording]
    given: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> list[Variable]:
        """What the template wants to know, and the hub does not know by itself."""
        declared = {each.name: each for wording in self.wordings.values() for each in wording.variables}
        return [each for name, each in declared.items() if name not in SUPPLIED]


async def page(request: Request) -> Response:
    """GET: choose a patient, then what to say."""
    person = await reader_of(request)
    needs(person, Permission.MESSAGES_SEND)
    query = request.query_params
    if not query.get("patient"):
        return await _choose(request, person, query.get("q", ""))
    async with house_of(request).database.of_tenant(person.tenant) as session:
        draft = await _draft(session, query.get("patient", ""), query.get("code", ""))
    return await _show(request, person, draft)


async def send(request: Request) -> Response:
    """POST: send it; or, to a script that asks for the preview alone, show how it would read."""
    person = await reader_of(request)
    needs(person, Permission.MESSAGES_SEND)
    form = await read_form(request)
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        draft = await _draft(session, text_of(form, "patient"), text_of(form, "code"), form)
    if request.headers.get(FRAGMENT) == "preview":
        context = {"draft": draft, "previews": _previews(draft, person.clinic), "words": words_of(request, person)}
        return HTMLResponse(pages_of(request).render("parts/message_preview.html", page_of(request, person), **context))
    try:
        sent = _sent(draft, person.clinic)
        key = text_of(form, "once") or uuid.uuid4().hex
        idempotency = IdempotentRequest.of(key, NEW, sent.model_dump_json().encode())
        write = compose.send_from_template if sent.code else compose.send_message
        async with house.open_work(person.tenant, Actor("staff", person.id)) as work:

            async def queue() -> dict[str, Any]:
                return {"id": str((await write(work, sent.to(draft.patient.id))).id)}

            answer = await once(work, idempotency, queue)
    except Invalid as error:
        draft.errors.update(_errors(error))
        return await _show(request, person, draft, status=422)
    return go(f"{PATH}/{answer['id']}")


async def _choose(request: Request, person: Person, search: str) -> Response:
    house = house_of(request)
    found = []
    if search.strip() and len(search) <= LONGEST_SEARCH and search.isprintable():
        async with house.database.of_tenant(person.tenant) as session:
            found = await read_patients(session, house.keys, person.clinic, search=search, limit=MOST_FOUND)
    return await show(request, "message_new.html", person, draft=None, found=found, search=search)


async def _draft(session: AsyncSession, patient: str, code: str, form: FormData | None = None) -> Draft:
    try:
        found = await read_patient(session, uuid.UUID(patient))
    except ValueError as error:
        raise Invalid("Choose a patient first.") from error
    wordings = await published(session, code) if code.isprintable() and code else {}
    given = {name: str(value).strip() for name, value in form.items()} if form else {}
    return Draft(found, code if wordings else "", wordings, given)


async def _show(request: Request, person: Person, draft: Draft, status: int = 200) -> Response:
    async with house_of(request).database.of_tenant(person.tenant) as session:
        templates = await history.read_templates(session, history.Filters(active=True), None, MOST_TEMPLATES)
    words = words_of(request, person)
    context = {
        "codes": {each.template.code: words.occasion(each.template.code) for each in templates if each.published},
        "previews": _previews(draft, person.clinic),
        "once": uuid.uuid4().hex,
        "words": words,
    }
    return await show(request, "message_new.html", person, status=status, draft=draft, **context)


def _sent(draft: Draft, clinic: Clinic) -> Sent:
    """The form as the API takes it, so that both refuse the same; raises Invalid."""
    given = draft.given
    own = {"text": given.get("text", ""), "subject": given.get("subject") or None, "topic": given.get("topic")}
    said = {"code": draft.code, "variables": _values(draft, clinic)} if draft.code else own
    try:
        return Sent.model_validate(
            {
                "patient": PatientRef(id=draft.patient.id),
                "channels": [given["channel"]] if given.get("channel") else None,
                "send_at": _moment(given["send_at"], clinic) if given.get("send_at") else None,
                **said,
            }
        )
    except ValidationError as error:
        raise invalid(error) from error


def _values(draft: Draft, clinic: Clinic) -> dict[str, Any]:
    """The values of the form in the types that the template declares; what is left empty is said by its type."""
    values: dict[str, Any] = {}
    for variable in draft.variables:
        given = draft.given.get(f"value-{variable.name}", "")
        match variable.type:
            case "number" if given:
                values[variable.name] = _number(given)
            case "moment" if given:
                values[variable.name] = _moment(given, clinic)
            case "money" if given:
                currency = draft.given.get(f"value-{variable.name}-currency", "").upper()
                values[variable.name] = {"amount": given, "currency": currency}
            case _:
                values[variable.name] = given
    return values


def _number(given: str) -> int | float | str:
    try:
        return int(given) if given.lstrip("-").isdecimal() else float(given)
    except ValueError:
        # The template says what it takes.
        return given


def _moment(given: str, clinic: Clinic) -> str:
    """A field's time of day, which is the clinic's."""
    try:
        return datetime.fromisoformat(given).replace(tzinfo=clinic.zone).isoformat()
    except ValueError:
        return given


def _previews(draft: Draft, clinic: Clinic) -> list[dict[str, Any]]:
    """How it would read over each channel it may go out by; an example stands where nothing was filled in."""
    wanted = draft.given.get("channel")
    channels = [Channel(each) for each in ([wanted] if wanted in set(Channel) else draft.patient.channels)]
    if not draft.code:
        text = {name: draft.given.get(name, "")[: compose.LONGEST_TEXT] for name in ("text", "subject")}
        return [said_of(channel, draft.patient.language, text) for channel in channels] if text["text"] else []
    values = {name: value for name, value in _values(draft, clinic).items() if value}
    supplied = {"patient": draft.patient.name} | compose.given_values(clinic, SOME_LINK)
    shown = []
    for channel in (each for each in channels if each in draft.wordings):
        wording = draft.wordings[channel]
        try:
            rendered = render(
                wording,
                channel,
                draft.patient.language,
                compose.only(wording, {**wording.examples, **supplied, **values}),
                clinic=clinic.name,
                zone=zone_of(draft.patient, clinic),
            )
        except Invalid:
            continue
        shown.append(said_of(channel, draft.patient.language, {"subject": rendered.subject, "text": rendered.text}))
    return shown


def _errors(error: Invalid) -> dict[str, str]:
    """What is wrong, by the field of the form."""
    fields = {_field_of(each): _said(each) for each in error.errors}
    return fields or {"": error.detail}


def _field_of(error: FieldError) -> str:
    name = error.field.removeprefix("variables.")
    return f"value-{name}" if name != error.field else error.field.partition(".")[0]


def _said(error: FieldError) -> str:
    return f"{error.detail} ({', '.join(error.accepted)})" if error.accepted else error.detail
