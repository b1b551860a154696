"""Patients, for the desk: finding them, and one's file with where they are reached and what they allow."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import permutations
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.api.patients import contact_value, link_for, read_after, write_after
from hub.console.message_words import Words
from hub.console.pages import address
from hub.console.preferences import allowed_in, changed_in
from hub.console.reader import go, needs, pages_of, read_form, reader_of, show, text_of
from hub.errors import FieldError, Invalid
from hub.people.choices import Source, Topic, choose_each, read_choices, read_consents, read_history
from hub.people.contact_points import read_contacts, set_contact
from hub.people.patients import USUAL_CHANNELS, Change, add_patient, change_patient, read_patient, read_patients
from hub.people.preference_links import LIFE
from hub.people.roles import ALLOWED, Permission
from hub.people.sessions import Person
from hub.people.tables import Patient, PatientChoice
from hub.wiring import House
from hub.work import Actor, Work

PATH = "/console/patients"
PER_PAGE = 50
LONGEST_SEARCH = 200
Say = Callable[[str], str]
FIELDS = ("name", "language", "zone", "channels", "phone", "email")


async def page(request: Request) -> Response:
    """GET: the patients by name, or those found."""
    person = await reader_of(request)
    needs(person, Permission.PATIENTS_READ)
    return await _list(request, person)


async def add(request: Request) -> Response:
    """POST: open a file, and show it."""
    person = await reader_of(request)
    needs(person, Permission.PATIENTS_WRITE)
    form = await read_form(request)
    try:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            patient = await add_patient(work, name=_name(form), language=text_of(form, "language"))
            await _set_contacts(work, patient.id, form)
    except Invalid as refused:
        return await _list(request, person, form, refused)
    return go(f"{PATH}/{patient.id}")


async def file(request: Request) -> Response:
    """GET: one patient's file."""
    person = await reader_of(request)
    needs(person, Permission.PATIENTS_READ)
    return await _file(request, person)


async def save(request: Request) -> Response:
    """POST: what is known of a patient, and where they are reached."""
    person = await reader_of(request)
    needs(person, Permission.PATIENTS_WRITE)
    form = await read_form(request)
    patient = request.path_params["id"]
    try:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            change = Change(
                _name(form), text_of(form, "language"), text_of(form, "zone"), text_of(form, "channels").split()
            )
            await change_patient(work, patient, change)
            await _set_contacts(work, patient, form)
    except Invalid as refused:
        return await _file(request, person, form, refused)
    return go(f"{PATH}/{patient}?saved=1")


async def save_choices(request: Request) -> Response:
    """POST: what the patient says at the desk that they allow; what was not touched stays as it is by now."""
    person = await reader_of(request)
    needs(person, Permission.PATIENTS_WRITE)
    form = await read_form(request)
    patient = request.path_params["id"]
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        await read_patient(work.session, patient)
        await choose_each(work, patient, changed_in(form), Source.DESK)
    return go(f"{PATH}/{patient}?saved=1")


async def make_link(request: Request) -> Response:
    """POST: a link to the patient's own page; this answer is the only one that shows it."""
    person = await reader_of(request)
    needs(person, Permission.PATIENTS_WRITE)
    house = house_of(request)
    async with house.open_work(person.tenant, Actor("staff", person.id)) as work:
        patient = await read_patient(work.session, request.path_params["id"])
        link = await link_for(work, house.settings.public_url, patient.id)
    return await _file(request, person, link=link)


async def _set_contacts(work: Work, patient: uuid.UUID, form: FormData) -> None:
    await set_contact(work, patient, "phone", text_of(form, "phone"))
    await set_contact(work, patient, "email", text_of(form, "email"))


def _name(form: FormData) -> str:
    name = text_of(form, "name")
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise Invalid("Give the patient a name of 1 to 200 characters.", [FieldError("name", "1 to 200 characters")])
    return name


async def _list(
    request: Request, person: Person, form: FormData | None = None, refused: Invalid | None = None
) -> Response:
    search = request.query_params.get("q", "").strip()
    if len(search) > LONGEST_SEARCH or not search.isprintable():
        raise Invalid(f"Search for at most {LONGEST_SEARCH} characters.")
    after = read_after(request.query_params.get("after") or None)
    house = house_of(request)
    async with house.database.at_one_moment(person.tenant) as session:
        found = await read_patients(session, house.keys, person.clinic, search=search, after=after, limit=PER_PAGE + 1)
        contacts = await read_contacts(session, [patient.id for patient in found])
    shown = found[:PER_PAGE]
    kept = {"q": search}
    context = {
        "items": [
            {
                "id": str(patient.id),
                "name": patient.name,
                "external_id": patient.external_id,
                "language": patient.language,
                "contacts": {kind: point.flag for kind, point in sorted(contacts.get(patient.id, {}).items())},
                "created_at": patient.created_at,
            }
            for patient in shown
        ],
        "q": search,
        "is_first": after is None,
        "more": address(PATH, kept, after=write_after(shown[-1])) if len(found) > PER_PAGE else None,
        "may_write": Permission.PATIENTS_WRITE in ALLOWED[person.role],
        "form": {name: text_of(form, name) if form else "" for name in ("name", "language", "phone", "email")},
        "errors": _errors(request, person, refused),
        "languages": list(person.clinic.languages),
    }
    return await show(request, "patients.html", person, list=context, status=422 if refused else 200)


async def _file(
    request: Request,
    person: Person,
    form: FormData | None = None,
    refused: Invalid | None = None,
    link: str | None = None,
) -> Response:
    house = house_of(request)
    say = pages_of(request).gettext(person.language)
    words = Words(say, person.language)
    async with house.database.at_one_moment(person.tenant) as session:
        patient = await read_patient(session, request.path_params["id"])
        context = await _facts(session, house, patient, words, say)
    if form is not None:
        context["form"] = {name: text_of(form, name) for name in FIELDS}
    allowed = ALLOWED[person.role]
    context |= {
        "orders": _orders(patient, words, say),
        "errors": _errors(request, person, refused),
        "clinic_zone": person.clinic.zone.key,
        "link": link,
        "link_days": LIFE["preferences"] // timedelta(days=1),
        "saved": "saved" in request.query_params,
        "may_write": Permission.PATIENTS_WRITE in allowed,
        "may_send": Permission.MESSAGES_SEND in allowed,
    }
    return await show(request, "patient.html", person, file=context, words=words, status=422 if refused else 200)


async def _facts(session: AsyncSession, house: House, patient: Patient, words: Words, say: Say) -> dict[str, Any]:
    contacts = (await read_contacts(session, [patient.id])).get(patient.id, {})
    choices = (await read_choices(session, [patient.id]))[patient.id]
    consents = await read_consents(session, patient.id)
    values = {kind: contact_value(point, house.keys) or "" for kind, point in contacts.items()}
    allowed = choices.topics | choices.channels
    return {
        "id": str(patient.id),
        "name": patient.name,
        "external_id": patient.external_id,
        "created_at": patient.created_at,
        "form": {
            "name": patient.name,
            "language": patient.language,
            "zone": patient.zone or "",
            "channels": " ".join(patient.channels),
            "phone": values.get("phone", ""),
            "email": values.get("email", ""),
        },
        "flags": {kind: each.flag for kind, each in contacts.items() if each.flag},
        "topics": [_choice(topic, words.topics[topic], allowed, consents, say) for topic in Topic],
        "channels": [_choice(channel, words.channels[channel], allowed, consents, say) for channel in USUAL_CHANNELS],
        "was": allowed_in(choices),
        "history": [_told(row, words, say) for row in reversed(await read_history(session, patient.id))],
    }


def _choice(
    name: str, word: str, allowed: Mapping[str, bool], consents: Mapping[str, PatientChoice], say: Say
) -> dict[str, Any]:
    row = consents.get(name)
    chosen = {"at": row.at, "source": source_in_words(say, row.source)} if row else None
    return {"name": str(name), "word": word, "allowed": allowed[name], "chosen": chosen}


def _told(row: PatientChoice, words: Words, say: Say) -> dict[str, Any]:
    about = (words.topics | words.channels)[row.topic or row.channel or ""]
    says = say("%(about)s: allowed") if row.allowed else say("%(about)s: refused")
    return {"at": row.at, "text": says % {"about": about}, "who": source_in_words(say, row.source)}


def _orders(patient: Patient, words: Words, say: Say) -> list[tuple[str, str]]:
    """The orders in which channels can be tried; one that somebody set otherwise stays to be chosen."""
    orders = [[*map(str, order)] for order in permutations(USUAL_CHANNELS)]
    if patient.channels not in orders:
        orders.insert(0, [*patient.channels])
    then = say(", then ")
    return [(" ".join(order), then.join(words.channels[each] for each in order)) for order in orders]


def source_in_words(_: Say, source: str) -> str:
    """How a choice came to us, in the reader's language."""
    words = {
        Source.DESK: _("Said at the desk"),
        Source.API: _("From the practice system"),
        Source.LINK: _("On the patient’s own page"),
        Source.REPLY: _("By an answer to a message"),
        Source.UNSUBSCRIBE: _("By the unsubscribe link"),
        Source.VENDOR: _("Told by the provider"),
    }
    return words[Source(source)]


def _errors(request: Request, person: Person, refused: Invalid | None) -> dict[str, str]:
    """What is wrong with each field, in the reader's language."""
    if refused is None:
        return {}
    _ = pages_of(request).gettext(person.language)
    words = {
        "name": _("Give a name of 1 to 200 characters."),
        "language": _("Choose one of the languages."),
        "zone": _("There is no such time zone. Write it like Asia/Riyadh, or leave it empty."),
        "channels": _("Choose one of the orders."),
        "phone": _("This is no telephone number. Write it with its country’s prefix, like +966501234567."),
        "email": _("This is no email address."),
    }
    return {error.field: words[error.field] for error in refused.errors}
