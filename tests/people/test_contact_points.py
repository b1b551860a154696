"""Where a patient is reached: written in many ways, kept sealed, found again, and flagged when it does not work."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select, text

from hub.audit import AuditEntry
from hub.crypto import Keys
from hub.errors import Invalid, NotFound
from hub.people.contact_points import (
    SOFT_LIMIT,
    SOFT_WINDOW,
    Kind,
    clear_flag,
    count_soft_failure,
    delivered_to,
    find_by_address,
    flag_contact,
    normalise_email,
    normalise_phone,
    open_contact,
    read_contacts,
    set_contact,
)
from hub.people.tables import ContactPoint, Patient
from hub.wiring import House
from hub.work import SYSTEM, Work
from tests.conftest import MovableClock
from tests.factories import Clinic, add_patient

PHONE, EMAIL = "+966501234567", "sara@example.org"
FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))


@asynccontextmanager
async def work_of(house: House, clinic: Clinic, keys: Keys | None = None) -> AsyncIterator[Work]:
    async with house.open_work(clinic.id, SYSTEM) as work:
        work.keys = keys or work.keys
        yield work


async def point_of(house: House, clinic: Clinic, patient: Patient, kind: Kind = "email") -> ContactPoint:
    async with house.database.of_tenant(clinic.id) as session:
        return (await read_contacts(session, [patient.id]))[patient.id][kind]


async def everything_kept(house: House, clinic: Clinic) -> bytes:
    """Every column of every contact point and audit entry, as Postgres holds them."""
    kept = b""
    async with house.database.of_tenant(clinic.id) as session:
        for table in ("contact_points", "audit_entries"):
            for row in (await session.execute(text(f"SELECT * FROM {table}"))).all():
                kept += b"".join(each if isinstance(each, bytes) else str(each).encode() for each in row)
    return kept


def said(refused: Invalid) -> str:
    return " ".join([refused.detail, *(error.detail for error in refused.errors)])


@pytest.mark.parametrize(
    ("written", "region"),
    [
        (PHONE, None),
        ("00966 50 123 4567", "SA"),
        ("0501234567", "SA"),
        ("٠٥٠١٢٣٤٥٦٧", "SA"),
        ("۰۵۰-۱۲۳-۴۵۶۷", "SA"),
        ("+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧", None),
        (" (050) 123.4567 ", "SA"),
        ("\u202a+966 50 123 4567\u202c", None),
        (PHONE, "US"),
    ],
)
def test_a_number_is_read_as_people_write_it(written: str, region: str | None) -> None:
    assert normalise_phone(written, region) == PHONE


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("", "SA"),
        ("0501234567", None),
        ("+", None),
        ("123", "SA"),
        ("+96650", None),
        ("+9665012345678901", None),
        ("+999501234567", None),
        ("050123456x", "SA"),
        ("050 123 4567 ext. 5", "SA"),
        ("1-800-FLOWERS", "US"),
        ("+966501234567;+966501234568", None),
        ("\x00", "SA"),
        ("+" * 50, "SA"),
    ],
)
def test_what_is_no_number_is_refused_without_repeating_it(written: str, region: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        normalise_phone(written, region)
    assert refused.value.errors[0].field == "phone"
    assert len(written) < 3 or written not in said(refused.value)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" Sara.Doe+x@Example.ORG ", "Sara.Doe+x@example.org"),
        ("sara@bücher.example", "sara@xn--bcher-kva.example"),
        ("sara@عيادة.example", "sara@xn--mgber2b7e.example"),
        ("sara@cafe\u0301.example", "sara@xn--caf-dma.example"),
    ],
)
def test_an_address_is_made_fit_for_sending(written: str, kept: str) -> None:
    assert normalise_email(written) == kept
    assert normalise_email(kept) == kept


@pytest.mark.parametrize(
    "written",
    [
        "",
        "sara",
        "sara@",
        "@example.org",
        "sara@localhost",
        "sara@127.0.0.1",
        "sara@[::1]",
        "sara doe@example.org",
        "sara@exam ple.org",
        ".sara@example.org",
        "sa..ra@example.org",
        "سارة@example.org",
        '"sara"@example.org',
        "sara@example.org\nbcc: omar@example.org",
        "sara@example..org",
        "sara@-example.org",
        f"{'s' * 65}@example.org",
        f"sara@{'.'.join(['a' * 60] * 5)}.org",
        "sara@example.org,omar@example.org",
        "<sara@example.org>",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalise_email(written)
    assert refused.value.errors[0].field == "email"
    assert not written or written not in said(refused.value)


@given(st.text(max_size=60) | st.from_regex(r"[\w.@\-]{1,40}", fullmatch=True))
@example("a@ß.x")
def test_whatever_is_written_is_read_or_refused(written: str) -> None:
    for read in (normalise_email, lambda each: normalise_phone(each, "SA"), lambda each: normalise_phone(each, None)):
        try:
            assert read(read(written)) == read(written)
        except Invalid:
            continue


async def test_nothing_of_it_can_be_read_in_the_database(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic, phone=PHONE, email="sara.canary@example.org")
    kept = await everything_kept(house, clinic)
    for part in (b"canary", b"example.org", b"501234567"):
        assert part not in kept
    point = await point_of(house, clinic, patient, "phone")
    assert open_contact(house.keys, point) == PHONE


async def test_a_number_without_a_prefix_is_one_of_the_clinics_country(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic, phone="٠٥٠ ١٢٣ ٤٥٦٧")
    assert open_contact(house.keys, await point_of(house, clinic, patient, "phone")) == PHONE


async def test_a_new_address_takes_the_place_of_the_old_one(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic)
    first = await point_of(house, clinic, patient)
    async with work_of(house, clinic) as work:
        same = await set_contact(work, patient.id, "email", " Sara@EXAMPLE.org".replace("S", "s"))
        assert same is not None
        assert same.id == first.id, "the same changes nothing"
        second = await set_contact(work, patient.id, "email", "sara@example.com")
        assert second is not None
        assert second.id != first.id
    async with house.database.of_tenant(clinic.id) as session:
        rows = (await session.execute(select(ContactPoint).filter_by(patient_id=patient.id, kind="email"))).scalars()
        assert {row.id: row.removed_at is None for row in rows} == {first.id: False, second.id: True}
        assert await find_by_address(session, house.keys, "email", EMAIL) == []
        actions = select(AuditEntry.action).filter_by(object_id=patient.id).order_by(AuditEntry.number)
        assert list((await session.execute(actions)).scalars()) == [
            "patient.added",
            "patient.contact_changed",
            "patient.contact_changed",
            "patient.contact_changed",
        ]


async def test_an_address_can_be_taken_away(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic, phone=None)
    for nothing in ("", None, " "):
        async with work_of(house, clinic) as work:
            assert await set_contact(work, patient.id, "email", nothing) is None
    async with house.database.of_tenant(clinic.id) as session:
        assert await read_contacts(session, [patient.id, uuid.uuid4()]) == {}


async def test_two_at_once_leave_one(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic, email=None)

    async def write(number: int) -> None:
        async with work_of(house, clinic) as work:
            await set_contact(work, patient.id, "email", f"sara{number}@example.org")

    await asyncio.gather(*map(write, range(6)))
    async with house.database.of_tenant(clinic.id) as session:
        rows = list((await session.execute(select(ContactPoint).filter_by(kind="email"))).scalars())
    assert len(rows) == 6
    assert sum(row.removed_at is None for row in rows) == 1


async def test_whoever_has_an_address_is_found_whatever_its_capitals(
    house: House, clinic: Clinic, other_clinic: Clinic
) -> None:
    mother = await add_patient(house, clinic, phone=PHONE, email="Family@Example.org")
    child = await add_patient(house, clinic, name="Lina Doe", phone=PHONE, email=None)
    await add_patient(house, other_clinic, phone=PHONE, email="family@example.org")
    async with house.database.of_tenant(clinic.id) as session:
        found = await find_by_address(session, house.keys, "phone", PHONE)
        assert {point.patient_id for point in found} == {mother.id, child.id}
        (point,) = await find_by_address(session, house.keys, "email", "FAMILY@example.ORG")
        assert point.patient_id == mother.id
        assert open_contact(house.keys, point) == "Family@example.org", "it is written to as it was given"
        assert await find_by_address(session, house.keys, "email", PHONE) == []
        assert await find_by_address(session, house.keys, "phone", "0501234567") == [], "a vendor names the country"


async def test_an_older_key_still_opens_and_finds(house: House, clinic: Clinic) -> None:
    old, both = Keys({"old": FIRST}), Keys({"new": SECOND, "old": FIRST})
    patient = await add_patient(house, clinic, phone=None, email=None)
    async with work_of(house, clinic, old) as work:
        await set_contact(work, patient.id, "email", EMAIL)
    async with work_of(house, clinic, both) as work:
        (found,) = await find_by_address(work.session, both, "email", EMAIL)
        assert open_contact(both, found) == EMAIL
        same = await set_contact(work, patient.id, "email", EMAIL)
        assert same is not None
        assert same.id == found.id
        newer = await set_contact(work, patient.id, "phone", PHONE)
        assert newer is not None
    async with house.database.of_tenant(clinic.id) as session:
        assert await find_by_address(session, Keys({"new": SECOND}), "email", EMAIL) == []
        assert await find_by_address(session, old, "phone", PHONE) == [], "the newest key seals"


async def test_another_clinics_patient_has_no_file_here(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    patient = await add_patient(house, other_clinic)
    for stranger in (patient.id, uuid.uuid4()):
        async with work_of(house, clinic) as work:
            with pytest.raises(NotFound):
                await set_contact(work, stranger, "email", EMAIL)


async def test_an_address_is_flagged_once_for_everybody_who_has_it(house: House, clinic: Clinic) -> None:
    mother, child = await add_patient(house, clinic), await add_patient(house, clinic, name="Lina Doe")
    event, point = uuid.uuid4(), await point_of(house, clinic, mother)
    for first in (True, False):
        async with work_of(house, clinic) as work:
            assert await flag_contact(work, point.id, "bounce", event) is first
    for patient in (mother, child):
        flagged = await point_of(house, clinic, patient)
        assert (flagged.flag, flagged.flag_event_id) == ("bounce", event)
        assert (await point_of(house, clinic, patient, "phone")).flag is None
    late = await add_patient(house, clinic, name="Omar Doe")
    assert (await point_of(house, clinic, late)).flag == "bounce", "what is known of an address stays known"
    async with house.database.of_tenant(clinic.id) as session:
        entries = list(
            (await session.execute(select(AuditEntry).filter_by(action="patient.contact_flagged"))).scalars()
        )
    assert {entry.object_id for entry in entries} == {mother.id, child.id}
    assert all(entry.after and entry.after["event"] == str(event) for entry in entries)


async def test_a_flag_is_cleared_by_hand_and_it_is_written_down(house: House, clinic: Clinic) -> None:
    mother, child = await add_patient(house, clinic), await add_patient(house, clinic, name="Lina Doe")
    point = await point_of(house, clinic, mother)
    async with work_of(house, clinic) as work:
        await flag_contact(work, point.id, "complaint", None)
    for _ in range(2):
        async with work_of(house, clinic) as work:
            await clear_flag(work, point.id)
    for patient in (mother, child):
        cleared = await point_of(house, clinic, patient)
        assert (cleared.flag, cleared.flagged_at, cleared.flag_event_id) == (None, None, None)
    async with house.database.of_tenant(clinic.id) as session:
        entries = list((await session.execute(select(AuditEntry).filter_by(action="patient.flag_cleared"))).scalars())
    assert len(entries) == 2
    async with work_of(house, clinic) as work:
        with pytest.raises(NotFound):
            await clear_flag(work, uuid.uuid4())


async def test_a_report_about_an_address_that_was_replaced_flags_nobody(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic)
    old = await point_of(house, clinic, patient)
    async with work_of(house, clinic) as work:
        await set_contact(work, patient.id, "email", "sara@example.com")
        assert await flag_contact(work, old.id, "bounce", None) is False
        assert await flag_contact(work, uuid.uuid4(), "bounce", None) is False
    assert (await point_of(house, clinic, patient)).flag is None


async def test_failures_that_pass_are_flagged_when_they_are_many_at_once(
    house: House, clinic: Clinic, clock: MovableClock
) -> None:
    patient = await add_patient(house, clinic)
    point = await point_of(house, clinic, patient)

    async def fail(times: int) -> list[bool]:
        async with work_of(house, clinic) as work:
            return [await count_soft_failure(work, point.id) for _ in range(times)]

    assert not any(await fail(SOFT_LIMIT - 1))
    async with work_of(house, clinic) as work:
        await delivered_to(work, point.id)
    assert not any(await fail(SOFT_LIMIT - 1)), "a delivery forgets them"
    clock.move(SOFT_WINDOW + timedelta(minutes=1))
    assert not any(await fail(SOFT_LIMIT - 1)), "so does time"
    assert await fail(2) == [True, False], "flagged once"
    assert (await point_of(house, clinic, patient)).flag == "bounce"
    async with work_of(house, clinic) as work:
        assert await count_soft_failure(work, uuid.uuid4()) is False


async def test_twenty_reports_at_once_are_one_flag(house: House, clinic: Clinic) -> None:
    point = await point_of(house, clinic, await add_patient(house, clinic))

    async def report() -> bool:
        async with work_of(house, clinic) as work:
            return await flag_contact(work, point.id, "bounce", uuid.uuid4())

    assert sum(await asyncio.gather(*(report() for _ in range(20)))) == 1


async def test_a_dead_address_stays_flagged_when_it_is_taken_away_and_given_again(house: House, clinic: Clinic) -> None:
    patient = await add_patient(house, clinic, email=EMAIL)
    point = await point_of(house, clinic, patient)
    async with work_of(house, clinic) as work:
        await flag_contact(work, point.id, "bounce", None)
        await set_contact(work, patient.id, "email", None)
        await set_contact(work, patient.id, "email", EMAIL)
    again = await point_of(house, clinic, patient)
    assert (again.flag, again.id != point.id) == ("bounce", True)
    async with work_of(house, clinic) as work:
        await clear_flag(work, again.id)
        await set_contact(work, patient.id, "email", None)
        await set_contact(work, patient.id, "email", EMAIL)
    assert (await point_of(house, clinic, patient)).flag is None
