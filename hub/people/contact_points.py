"""Where patients are reached: numbers and addresses, sealed, found by a keyed hash, flagged when they do not work."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Literal

import idna
import phonenumbers
from babel.core import get_global
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.crypto import Keys
from hub.errors import FieldError, Invalid, NotFound
from hub.people.tables import ContactPoint, Patient
from hub.people.tenants import Clinic, read_clinic
from hub.work import Work

Kind = Literal["phone", "email"]
Flag = Literal["bounce", "complaint", "invalid"]

# So many failures that may pass, within so long and with no delivery between them, are a bounce. Warehouse takes more
# than 5 in a row; without a window, a mailbox that is full once a year would be flagged some day.
SOFT_LIMIT = 5
SOFT_WINDOW = timedelta(days=14)

LONGEST_NUMBER = 40
LONGEST_EMAIL, LONGEST_LOCAL_PART = 254, 64
# RFC 5322's dot-atom. No vendor takes other letters before the @; quoted ones exist in examples alone.
_local_part = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_number = re.compile(r"[\d\s+().\-\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def region_of(clinic: Clinic) -> str | None:
    """The country of the clinic's time zone, as two letters: numbers without a prefix are read as from there."""
    region: str | None = get_global("zone_territories").get(clinic.zone.key)
    return region


def normalise_phone(text: str, region: str | None) -> str:
    """A telephone number as E.164, whatever digits it is written in; raises Invalid.

    `region` is two letters, for numbers without a country's prefix. Whether somebody answers is for the vendor to say:
    numbering plans change faster than libraries.
    """
    written = text.strip()
    if not written or len(written) > LONGEST_NUMBER or not _number.fullmatch(written):
        raise _not_a_number("not a telephone number")
    try:
        parsed = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException as error:
        without = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        raise _not_a_number("without a country's prefix" if without else "not a telephone number") from error
    if not phonenumbers.is_possible_number(parsed):
        raise _not_a_number("too short or too long for its country")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def normalise_email(text: str) -> str:
    """An email address as it is sent to: composed, its domain in lower case and in ASCII; raises Invalid."""
    local, at, domain = unicodedata.normalize("NFC", text.strip()).rpartition("@")
    if not at or len(local) > LONGEST_LOCAL_PART or not _local_part.fullmatch(local):
        raise _not_an_address("not an email address")
    try:
        encoded = idna.encode(domain, uts46=True).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise _not_an_address("its domain cannot be") from error
    if "." not in encoded.strip(".") or encoded.rpartition(".")[2].isdecimal():
        raise _not_an_address("its domain is not complete")
    if len(local) + 1 + len(encoded) > LONGEST_EMAIL:
        raise _not_an_address("too long")
    return f"{local}@{encoded}"


async def lock_patient(work: Work, patient: uuid.UUID) -> Patient:
    """The patient's file, for one transaction at a time to change what belongs to it; raises NotFound.

    It holds up nobody who only refers to it, such as a message on its way.
    """
    query = select(Patient).where(Patient.id == patient).with_for_update(key_share=True)
    found = (await work.session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such patient.")
    return found


async def set_contact(work: Work, patient: uuid.UUID, kind: Kind, value: str | None) -> ContactPoint | None:
    """Make this the patient's number or address, or have them without one; the same again changes nothing.

    An address that is flagged with somebody else is flagged here too. Raises Invalid, and NotFound for the patient.
    """
    await lock_patient(work, patient)
    plain = await _normalised(work, kind, value) if value is not None and value.strip() else None
    before = (await read_contacts(work.session, [patient])).get(patient, {}).get(kind)
    if before is not None:
        if plain is not None and open_contact(work.keys, before) == plain:
            return before
        before.removed_at = work.now
        await work.session.flush()
    elif plain is None:
        return None
    after = await _add(work, patient, kind, plain) if plain is not None else None
    await _note(work, "patient.contact_changed", patient, kind, before, after)
    return after


async def _normalised(work: Work, kind: Kind, value: str) -> str:
    if kind == "email":
        return normalise_email(value)
    clinic = await read_clinic(work.session, work.tenant)
    return normalise_phone(value, region_of(clinic))


async def _add(work: Work, patient: uuid.UUID, kind: Kind, plain: str) -> ContactPoint:
    point_id = uuid.uuid4()
    lookups = _lookups(work.keys, kind, plain)
    flagged = await _flagged(work.session, kind, lookups)
    point = ContactPoint(
        id=point_id,
        tenant_id=work.tenant,
        patient_id=patient,
        kind=kind,
        sealed=work.keys.seal(plain.encode(), _place(point_id)),
        lookup=lookups[0],
        flag=flagged.flag if flagged else None,
        flagged_at=flagged.flagged_at if flagged else None,
        flag_event_id=flagged.flag_event_id if flagged else None,
        soft_failures=0,
        created_at=work.now,
    )
    work.session.add(point)
    await work.session.flush()
    return point


async def _flagged(session: AsyncSession, kind: Kind, lookups: list[bytes]) -> ContactPoint | None:
    """Whoever has, or once had, this number or address with a flag: removing one does not mend it."""
    query = select(ContactPoint).where(
        ContactPoint.kind == kind, ContactPoint.lookup.in_(lookups), ContactPoint.flag.is_not(None)
    )
    return (await session.execute(query.order_by(ContactPoint.flagged_at.desc()).limit(1))).scalar_one_or_none()


def open_contact(keys: Keys, point: ContactPoint) -> str:
    """The number or address itself; raises CannotOpen when its key is not here."""
    return keys.open(point.sealed, _place(point.id)).decode()


async def read_contacts(
    session: AsyncSession, patients: Collection[uuid.UUID]
) -> dict[uuid.UUID, dict[str, ContactPoint]]:
    """Where each of these patients is reached, by kind; who is not is not in the answer."""
    query = select(ContactPoint).where(ContactPoint.patient_id.in_(patients), ContactPoint.removed_at.is_(None))
    found: dict[uuid.UUID, dict[str, ContactPoint]] = {}
    for point in (await session.execute(query)).scalars():
        found.setdefault(point.patient_id, {})[point.kind] = point
    return found


async def find_by_address(session: AsyncSession, keys: Keys, kind: str, value: str) -> list[ContactPoint]:
    """Every patient's contact point with this number (as E.164) or address, in order of id; families share them."""
    try:
        plain = normalise_email(value) if kind == "email" else normalise_phone(value, None)
    except Invalid:
        return []
    query = select(ContactPoint).where(
        ContactPoint.kind == kind,
        ContactPoint.lookup.in_(_lookups(keys, kind, plain)),
        ContactPoint.removed_at.is_(None),
    )
    return list((await session.execute(query.order_by(ContactPoint.id))).scalars())


async def flag_contact(work: Work, point_id: uuid.UUID, flag: Flag, event_id: uuid.UUID | None) -> bool:
    """Have an admin look at this number or address, for whomever it belongs to, before it is used again.

    False when there was nothing to flag: it is flagged already, or the patient has another one by now.
    """
    unflagged = [point for point in await _same_address(work, point_id) if point.flag is None]
    for point in unflagged:
        point.flag, point.flagged_at, point.flag_event_id = flag, work.now, event_id
    await work.session.flush()
    for point in unflagged:
        event = str(event_id) if event_id else None
        after = {"kind": point.kind, "contact_point": str(point.id), "flag": flag, "event": event}
        await audit.record(work, "patient.contact_flagged", "patient", point.patient_id, after=after)
    return bool(unflagged)


async def clear_flag(work: Work, point_id: uuid.UUID) -> None:
    """An admin's decision that this number or address may be used again; its failures are forgotten.

    Raises NotFound. Clearing what is not flagged changes nothing.
    """
    same = await _same_address(work, point_id, also_removed=True)
    if not any(point.id == point_id and point.removed_at is None for point in same):
        raise NotFound("There is no such number or address; the patient may have another one by now.")
    flagged = [(point, point.flag) for point in same if point.flag is not None]
    for point, _ in flagged:
        point.flag = point.flagged_at = point.flag_event_id = point.soft_since = None
        point.soft_failures = 0
    await work.session.flush()
    for point, flag in flagged:
        before = {"kind": point.kind, "contact_point": str(point.id), "flag": flag}
        await audit.record(work, "patient.flag_cleared", "patient", point.patient_id, before, before | {"flag": None})


async def count_soft_failure(work: Work, point_id: uuid.UUID) -> bool:
    """Count a failure that may pass; too many within the window flag the address. True when this one did."""
    query = select(ContactPoint).where(ContactPoint.id == point_id).with_for_update(key_share=True)
    point = (await work.session.execute(query)).scalar_one_or_none()
    if point is None:
        return False
    if point.soft_since is None or work.now - point.soft_since > SOFT_WINDOW:
        point.soft_since, point.soft_failures = work.now, 0
    point.soft_failures += 1
    await work.session.flush()
    return point.soft_failures >= SOFT_LIMIT and await flag_contact(work, point_id, "bounce", None)


async def delivered_to(work: Work, point_id: uuid.UUID) -> None:
    """Something arrived: failures that were counted are forgotten."""
    forget = update(ContactPoint).where(ContactPoint.id == point_id, ContactPoint.soft_failures > 0)
    await work.session.execute(forget.values(soft_failures=0, soft_since=None))


async def _same_address(work: Work, point_id: uuid.UUID, *, also_removed: bool = False) -> list[ContactPoint]:
    """This contact point and those of others with the same number or address, locked; none when it was removed."""
    in_use = select(ContactPoint).where(ContactPoint.removed_at.is_(None))
    point = (await work.session.execute(in_use.where(ContactPoint.id == point_id))).scalar_one_or_none()
    if point is None:
        return []
    lookups = _lookups(work.keys, point.kind, open_contact(work.keys, point))
    points = select(ContactPoint) if also_removed else in_use
    same = points.where(ContactPoint.kind == point.kind, ContactPoint.lookup.in_(lookups)).order_by(ContactPoint.id)
    locked = same.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list((await work.session.execute(locked)).scalars())


async def _note(
    work: Work,
    action: str,
    patient: uuid.UUID,
    kind: Kind,
    before: ContactPoint | None,
    after: ContactPoint | None,
) -> None:
    def told(point: ContactPoint | None) -> dict[str, Any]:
        return {"kind": kind, "contact_point": str(point.id) if point else None}

    await audit.record(work, action, "patient", patient, told(before), told(after))


def _place(point_id: uuid.UUID) -> bytes:
    return f"contact_points|sealed|{point_id}".encode()


def _lookups(keys: Keys, kind: str, plain: str) -> list[bytes]:
    # No mailbox in use tells capitals apart; it is written to as it was given.
    return keys.keyed_hashes(f"contact_points|lookup|{kind}", plain.lower())


def _not_a_number(detail: str) -> Invalid:
    accepted = ["+966501234567", "a number of the clinic's own country"]
    return Invalid("This telephone number cannot be used.", [FieldError("phone", detail, accepted)])


def _not_an_address(detail: str) -> Invalid:
    return Invalid("This email address cannot be used.", [FieldError("email", detail, ["name@example.org"])])
