"""`/api/v1/patients`: their files, where they are reached, and what they allow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub import audit
from hub.api.auth import Caller, caller_of, house_of
from hub.api.bodies import (
    MOST_PER_PAGE,
    PER_PAGE,
    Body,
    ExternalId,
    Line,
    Search,
    idempotency_of,
    read_body,
    read_cursor,
    read_query,
    write_cursor,
)
from hub.channels.vendor import Channel
from hub.crypto import CannotOpen, Keys
from hub.errors import FieldError, Invalid
from hub.idempotency import once
from hub.people.choices import Choices, Source, Topic, choose, read_choices, read_consents
from hub.people.contact_points import open_contact, read_contacts, set_contact
from hub.people.patients import (
    USUAL_CHANNELS,
    Change,
    add_patient,
    change_patient,
    read_patient,
    read_patients,
    zone_of,
)
from hub.people.preference_links import LIFE, make_link
from hub.people.roles import Permission
from hub.people.tables import ContactPoint, Patient, PatientChoice
from hub.people.tenants import Clinic
from hub.work import Work

# What these mean is checked where it is kept; here, only that it is no more than anybody writes.
Written = Annotated[str, Field(max_length=254)]
Order = Annotated[list[Channel], Field(min_length=1, max_length=len(Channel))]


class NewPatient(Body):
    """A file to open; a number without a country's prefix is one of the clinic's country."""

    name: Line
    language: Literal["en", "ar"] | None = None
    external_id: ExternalId | None = None
    zone: Annotated[str, Field(max_length=64)] | None = None
    channels: Order = Field(default_factory=lambda: list(USUAL_CHANNELS))
    phone: Written | None = None
    email: Written | None = None


class PatientChange(Body):
    """What to change; what is left out stays, and null takes a zone, number or address away."""

    name: Line | None = None
    language: Literal["en", "ar"] | None = None
    zone: Annotated[str, Field(max_length=64)] | None = None
    channels: Order | None = None
    phone: Written | None = None
    email: Written | None = None


class ChoiceBody(Body):
    """One topic or one channel, allowed or not."""

    topic: Topic | None = None
    channel: Channel | None = None
    allowed: bool

    @model_validator(mode="after")
    def _is_about_one(self) -> Self:
        if (self.topic is None) == (self.channel is None):
            raise ValueError("name one topic, or one channel")
        return self


class Listing(Body):
    """Which patients: `q` is part of a name, a whole number or address, or the practice system's own id."""

    q: Search | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE)] = PER_PAGE


def patient_json(
    found: Patient, clinic: Clinic, contacts: Mapping[str, ContactPoint], choices: Choices, keys: Keys
) -> dict[str, Any]:
    """A patient as the API shows them; `zone` is the one that counts, `own_zone` the one that is theirs."""
    return {
        "id": str(found.id),
        "external_id": found.external_id,
        "name": found.name,
        "language": found.language,
        "zone": zone_of(found, clinic).key,
        "own_zone": found.zone,
        "channels": found.channels,
        "phone": contact_json(contacts.get("phone"), keys),
        "email": contact_json(contacts.get("email"), keys),
        "allows": {"topics": choices.topics, "channels": choices.channels},
        "created_at": found.created_at.isoformat(),
    }


def contact_json(point: ContactPoint | None, keys: Keys) -> dict[str, Any] | None:
    """A number or address with what is known against it; its value is null when its key is not here any more."""
    if point is None:
        return None
    return {
        "id": str(point.id),
        "value": contact_value(point, keys),
        "flag": point.flag,
        "flagged_at": point.flagged_at.isoformat() if point.flagged_at else None,
    }


def contact_value(point: ContactPoint, keys: Keys) -> str | None:
    """The number or address itself, or None when its key is not here any more."""
    try:
        return open_contact(keys, point)
    except CannotOpen:
        return None


def consent_json(name: str, row: PatientChoice) -> dict[str, Any]:
    """A choice as the API shows it."""
    about = {"topic": name if row.topic else None, "channel": name if row.channel else None}
    return about | {"allowed": row.allowed, "source": row.source, "at": row.at.isoformat()}


async def list_(request: Request) -> Response:
    """GET: patients by name."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_READ)
    listing = read_query(request, Listing)
    after = read_after(listing.after)
    house = house_of(request)
    async with house.database.at_one_moment(caller.tenant) as session:
        found = await read_patients(
            session, house.keys, caller.clinic, search=listing.q, after=after, limit=listing.limit + 1
        )
        items = await _shown(session, house.keys, caller.clinic, found[: listing.limit])
    more = write_after(found[listing.limit - 1]) if len(found) > listing.limit else None
    return JSONResponse({"items": items, "after": more})


async def create(request: Request) -> Response:
    """POST: open a file."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_WRITE)
    body = await read_body(request, NewPatient)
    idempotency = await idempotency_of(request)
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:

        async def opened() -> dict[str, Any]:
            language = body.language or caller.clinic.languages[0]
            what = body.model_dump(exclude={"phone", "email"}) | {"language": language}
            patient = await add_patient(work, **what)
            await _set_contacts(work, patient.id, {"phone": body.phone, "email": body.email})
            return {"id": str(patient.id)}

        answer = await once(work, idempotency, opened)
        (shown,) = await _one(work, caller, uuid.UUID(answer["id"]))
    return JSONResponse(shown, 201, {"Location": f"/api/v1/patients/{answer['id']}"})


async def show(request: Request) -> Response:
    """GET: one patient."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_READ)
    house = house_of(request)
    async with house.database.at_one_moment(caller.tenant) as session:
        patient = await read_patient(session, request.path_params["id"])
        (shown,) = await _shown(session, house.keys, caller.clinic, [patient])
    return JSONResponse(shown)


async def change(request: Request) -> Response:
    """PATCH: change what is known of a patient."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_WRITE)
    body = await read_body(request, PatientChange)
    given = body.model_dump(include=body.model_fields_set)
    contacts: dict[str, str | None] = {kind: given.pop(kind) for kind in ("phone", "email") if kind in given}
    _must_stay(given)
    if "zone" in given:
        given["zone"] = given["zone"] or ""
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        patient = await change_patient(work, request.path_params["id"], Change(**given))
        await _set_contacts(work, patient.id, contacts)
        (shown,) = await _one(work, caller, patient.id)
    return JSONResponse(shown)


def _must_stay(given: Mapping[str, Any]) -> None:
    missing = [name for name in ("name", "language", "channels") if given.get(name, "") is None]
    if missing:
        errors = [FieldError(name, "cannot be taken away; leave it out to keep it") for name in missing]
        raise Invalid("Some of this belongs to every patient; nothing was changed.", errors)


async def show_choices(request: Request) -> Response:
    """GET: what the patient allows, and each choice that counts with its source and time."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_READ)
    async with house_of(request).database.at_one_moment(caller.tenant) as session:
        answer = await _choices(session, request.path_params["id"])
    return JSONResponse(answer)


async def add_choice(request: Request) -> Response:
    """POST: write down a choice of the patient's about one topic or one channel."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_WRITE)
    body = await read_body(request, ChoiceBody)
    source = Source.DESK if caller.person else Source.API
    async with house_of(request).open_work(caller.tenant, caller.actor) as work:
        patient_id = request.path_params["id"]
        await choose(work, patient_id, topic=body.topic, channel=body.channel, allowed=body.allowed, source=source)
        answer = await _choices(work.session, patient_id)
    return JSONResponse(answer)


async def make_preference_link(request: Request) -> Response:
    """POST: a link to the patient's own page, to be handed to them and to nobody else."""
    caller = await caller_of(request)
    caller.needs(Permission.PATIENTS_WRITE)
    house = house_of(request)
    async with house.open_work(caller.tenant, caller.actor) as work:
        patient = await read_patient(work.session, request.path_params["id"])
        link = await link_for(work, house.settings.public_url, patient.id)
        expires_at = work.now + LIFE["preferences"]
    answer = {"url": link, "expires_at": expires_at.isoformat()}
    return JSONResponse(answer, 201, {"Cache-Control": "no-store"})


async def link_for(work: Work, public_url: str, patient: uuid.UUID) -> str:
    """The address of the patient's own page; that somebody of the clinic took it is written down."""
    await audit.record(work, "patient.link_made", "patient", patient)
    return f"{public_url}/p/{make_link(work.keys, work.tenant, patient, 'preferences', None, work.now)}"


def read_after(cursor: str | None) -> uuid.UUID | None:
    """Behind whom a page of patients begins; raises Invalid."""
    if cursor is None:
        return None
    (found,) = read_cursor(cursor, 1)
    try:
        return uuid.UUID(found)
    except ValueError as error:
        raise Invalid("This cursor was not made here.", [FieldError("cursor", "take it from the answer")]) from error


def write_after(last: Patient) -> str:
    """The cursor behind this patient; addresses are kept in many places, so it holds no name."""
    return write_cursor(last.id)


async def _set_contacts(work: Work, patient: uuid.UUID, contacts: Mapping[str, str | None]) -> None:
    if "phone" in contacts:
        await set_contact(work, patient, "phone", contacts["phone"])
    if "email" in contacts:
        await set_contact(work, patient, "email", contacts["email"])


async def _one(work: Work, caller: Caller, patient: uuid.UUID) -> list[dict[str, Any]]:
    return await _shown(work.session, work.keys, caller.clinic, [await read_patient(work.session, patient)])


async def _shown(session: AsyncSession, keys: Keys, clinic: Clinic, found: list[Patient]) -> list[dict[str, Any]]:
    ids = [patient.id for patient in found]
    contacts, choices = await read_contacts(session, ids), await read_choices(session, ids)
    return [patient_json(patient, clinic, contacts.get(patient.id, {}), choices[patient.id], keys) for patient in found]


async def _choices(session: AsyncSession, patient_id: uuid.UUID) -> dict[str, Any]:
    await read_patient(session, patient_id)
    choices = (await read_choices(session, [patient_id]))[patient_id]
    consents = await read_consents(session, patient_id)
    chosen = [consent_json(name, row) for name, row in sorted(consents.items())]
    return {"topics": choices.topics, "channels": choices.channels, "chosen": chosen}
