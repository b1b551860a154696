"""Patients' files at a clinic: opened by hand, by the practice system or by a first visit; found and changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.channels.vendor import Channel
from hub.crypto import Keys
from hub.errors import Conflict, FieldError, Invalid, NotFound
from hub.people.contact_points import find_by_address, lock_patient, normalise_phone, region_of, set_contact
from hub.people.tables import Patient
from hub.people.tenants import LANGUAGES, Clinic, known_zones
from hub.work import Work

# In the order in which they are tried, for whoever has no wish of their own: the one everybody has first.
USUAL_CHANNELS = (Channel.SMS, Channel.WHATSAPP, Channel.EMAIL)
CHANGEABLE = ("name", "language", "zone", "channels")


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different about a patient; what is None stays. An empty zone is the clinic's."""

    name: str | None = None
    language: str | None = None
    zone: str | None = None
    channels: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Arriving:
    """Who a visit is for: somebody known by `id` or `external_id`, or a name to open a file under.

    A number or address that is given is the one that counts from now on.
    """

    name: str = ""
    id: uuid.UUID | None = None
    external_id: str | None = None
    language: str | None = None
    phone: str | None = None
    email: str | None = None


async def find_or_open_file(work: Work, who: Arriving, clinic: Clinic) -> Patient:
    """The file of whoever a visit is for. Raises NotFound for an id that is not here, Invalid for what cannot be."""
    if who.id is not None:
        patient = await read_patient(work.session, who.id)
    else:
        patient = await open_file(
            work,
            name=who.name,
            language=who.language,
            usual_language=clinic.languages[0],
            external_id=who.external_id,
        )
    if who.phone is not None:
        await set_contact(work, patient.id, "phone", who.phone)
    if who.email is not None:
        await set_contact(work, patient.id, "email", who.email)
    return patient


async def open_file(
    work: Work, *, name: str, language: str | None, usual_language: str, external_id: str | None
) -> Patient:
    """The patient's file at this clinic: the one with this external id, brought up to date, or a new one.

    A language that is not given leaves the one that is known.
    """
    values = {
        "id": uuid.uuid4(),
        "tenant_id": work.tenant,
        "external_id": external_id,
        "name": name,
        "language": language or usual_language,
    }
    news = {"name": name} | ({"language": language} if language else {})
    add = insert(Patient).values(**values, created_at=work.now)
    upsert = add.on_conflict_do_update(index_elements=["tenant_id", "external_id"], set_=news)
    file_id = (await work.session.execute(upsert.returning(Patient.id))).scalar_one()
    return (await work.session.execute(select(Patient).where(Patient.id == file_id))).scalar_one()


async def add_patient(
    work: Work,
    *,
    name: str,
    language: str,
    external_id: str | None = None,
    zone: str | None = None,
    channels: Sequence[str] = USUAL_CHANNELS,
) -> Patient:
    """Open a file. Raises Invalid, and Conflict when there is one with this external id."""
    _check(Change(name, language, zone, channels))
    patient = Patient(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        external_id=external_id,
        name=name,
        language=language,
        zone=zone or None,
        channels=[str(each) for each in channels],
        created_at=work.now,
    )
    work.session.add(patient)
    try:
        await work.session.flush()
    except IntegrityError as error:
        raise Conflict("There is a patient with this external id already; change that one.") from error
    await audit.record(work, "patient.added", "patient", patient.id, after=_settings_of(patient))
    return patient


async def change_patient(work: Work, patient_id: uuid.UUID, change: Change) -> Patient:
    """Change what is known of a patient. Raises Invalid and NotFound."""
    _check(change)
    patient = await lock_patient(work, patient_id)
    before = {name: getattr(patient, name) for name in CHANGEABLE}
    settings_before = _settings_of(patient)
    for name in CHANGEABLE:
        if (value := getattr(change, name)) is not None:
            setattr(patient, name, _as_kept(name, value))
    if before != {name: getattr(patient, name) for name in CHANGEABLE}:
        await work.session.flush()
        renamed = {"renamed": True} if before["name"] != patient.name else {}
        after = _settings_of(patient) | renamed
        await audit.record(work, "patient.changed", "patient", patient_id, settings_before, after)
    return patient


async def read_patient(session: AsyncSession, patient_id: uuid.UUID) -> Patient:
    """One patient's file; raises NotFound, also for another tenant's."""
    found = (await session.execute(select(Patient).where(Patient.id == patient_id))).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such patient.")
    return found


async def read_patients(
    session: AsyncSession,
    keys: Keys,
    clinic: Clinic,
    *,
    search: str | None = None,
    after: uuid.UUID | None = None,
    limit: int,
) -> list[Patient]:
    """Patients by name, those behind the one `after`.

    `search` is part of a name, a whole number or email address, or the practice system's own id.
    """
    query = select(Patient).order_by(Patient.name, Patient.id).limit(limit)
    if search and search.strip():
        query = query.where(await _matching(session, keys, clinic, search.strip()))
    if after is not None:
        last = select(Patient.name, Patient.id).where(Patient.id == after).scalar_subquery()
        query = query.where(tuple_(Patient.name, Patient.id) > last)
    return list((await session.execute(query)).scalars())


def zone_of(patient: Patient, clinic: Clinic) -> ZoneInfo:
    """The patient's time zone: their own, else the clinic's."""
    return ZoneInfo(patient.zone) if patient.zone else clinic.zone


async def _matching(session: AsyncSession, keys: Keys, clinic: Clinic, search: str) -> ColumnElement[bool]:
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    kind, address = ("email", search) if "@" in search else ("phone", _as_number(search, clinic))
    points = await find_by_address(session, keys, kind, address) if address else []
    return or_(
        Patient.name.ilike(f"%{escaped}%"),
        Patient.external_id == search,
        Patient.id.in_([point.patient_id for point in points]),
    )


def _as_number(search: str, clinic: Clinic) -> str | None:
    try:
        return normalise_phone(search, region_of(clinic))
    except Invalid:
        return None


def _as_kept(name: str, value: Any) -> Any:
    if name == "channels":
        return [str(each) for each in value]
    return None if name == "zone" and not value else value


def _check(change: Change) -> None:
    errors = []
    if change.name is not None and not change.name.strip():
        errors.append(FieldError("name", "empty"))
    if change.language is not None and change.language not in LANGUAGES:
        errors.append(FieldError("language", "not a known language", [*LANGUAGES]))
    if change.zone and change.zone not in known_zones():
        errors.append(FieldError("zone", "not an IANA time zone", ["Asia/Riyadh"]))
    if change.channels is not None and not _is_an_order(change.channels):
        errors.append(FieldError("channels", "one to three, each once", [*Channel]))
    if errors:
        raise Invalid("Some of what was said of this patient cannot be; nothing was changed.", errors)


def _is_an_order(channels: Sequence[str]) -> bool:
    return bool(channels) and len(set(channels)) == len(channels) and set(channels) <= set(Channel)


def _settings_of(patient: Patient) -> dict[str, Any]:
    """What the audit log keeps: never a name."""
    return {"language": patient.language, "zone": patient.zone, "channels": patient.channels}
