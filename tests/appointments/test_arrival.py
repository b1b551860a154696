"""Arrival: one bell rings, once, and says what the clinician needs to know."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from hub.appointments.lifecycle import arrive
from hub.appointments.states import Clearance, Consent
from hub.appointments.tables import Appointment, AppointmentChange
from hub.audit import AuditEntry
from hub.errors import Conflict, NotFound
from hub.inbox.tables import InboxHead, Notification
from hub.people.staff import change_staff
from hub.people.tables import Staff
from hub.realtime.pushes import InboxMoved, TopicChanged
from hub.wiring import House
from hub.work import SYSTEM, Actor
from tests.conftest import MovableClock
from tests.factories import Clinic, book_visit, open_clinic

AT = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)


async def mark(house: House, clinic: Clinic, visit: Appointment, *how: Clearance | Consent | None) -> Appointment:
    async with house.open_work(clinic.id, Actor("staff", clinic.desk.id)) as work:
        return await arrive(work, visit.id, *how)  # type: ignore[arg-type]


async def bells(house: House, clinic: Clinic) -> dict[uuid.UUID, list[Notification]]:
    """Every notification of the clinic, by person."""
    found: dict[uuid.UUID, list[Notification]] = {}
    async with house.database.of_tenant(clinic.id) as session:
        for row in (await session.execute(select(Notification).order_by(Notification.number))).scalars():
            found.setdefault(row.person_id, []).append(row)
    return found


async def latest_change(house: House, clinic: Clinic) -> int | None:
    """The number of the latest change of the clinic's visits."""
    async with house.database.of_tenant(clinic.id) as session:
        return (await session.execute(select(func.max(AppointmentChange.id)))).scalar_one()


async def test_arrival_rings_exactly_that_clinician_with_everything_to_know(
    house: House, clinic: Clinic, other_clinic: Clinic, clock: MovableClock
) -> None:
    visit = await book_visit(house, clinic, clinic.omar, patient="Sara Doe", at=AT)
    clock.stop(AT)
    arrived = await mark(house, clinic, visit, Clearance.ISSUE, Consent.EXPIRED)
    assert (arrived.state, arrived.arrived_at) == ("arrived", AT)
    assert (arrived.clearance, arrived.consent) == ("issue", "expired")
    rung = await bells(house, clinic)
    assert set(rung) == {clinic.omar.id}
    (bell,) = rung[clinic.omar.id]
    assert bell.facts == {
        "patient": "Sara Doe",
        "number": visit.number,
        "starts_at": AT.isoformat(),
        "time": "09:30",
        "change": await latest_change(house, clinic),
        "clearance": "issue",
        "consent": "expired",
    }
    assert (bell.kind, bell.priority, bell.created_at, bell.read_at) == ("patient_arrived", "high", AT, None)
    assert (bell.related_type, bell.related_id) == ("appointment", visit.id)
    assert bell.link == f"/console/appointments/{visit.id}"
    assert await bells(house, other_clinic) == {}


async def test_what_is_not_said_at_the_desk_stays_as_it_was_booked(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    arrived = await mark(house, clinic, visit, Clearance.CLEARED)
    assert (arrived.clearance, arrived.consent) == ("cleared", "missing")


@pytest.mark.parametrize(
    ("clearance", "consent", "level"),
    [
        (Clearance.CLEARED, Consent.SIGNED, "success"),
        (Clearance.CLEARED, Consent.MISSING, "warning"),
        (Clearance.PENDING, Consent.SIGNED, "warning"),
    ],
)
async def test_only_a_visit_in_order_is_good_news(
    house: House, clinic: Clinic, clearance: Clearance, consent: Consent, level: str
) -> None:
    await mark(house, clinic, await book_visit(house, clinic), clearance, consent)
    assert [bell.level for bell in (await bells(house, clinic))[clinic.omar.id]] == [level]


@pytest.mark.parametrize(
    ("who", "title", "body"),
    [
        ("omar", "\u2068Sara Doe\u2069 has arrived", "09:30 appointment · clearance pending · consent missing"),
        (
            "huda",
            "وصول \u2068Sara Doe\u2069",
            "موعد الساعة \u206809:30\u2069 · الوضع المالي قيد المراجعة · الموافقة غير متوفرة",
        ),
    ],
)
async def test_the_bell_speaks_the_clinicians_language(
    house: House, clinic: Clinic, who: str, title: str, body: str
) -> None:
    clinician: Staff = getattr(clinic, who)
    await mark(house, clinic, await book_visit(house, clinic, clinician, patient="Sara Doe", at=AT))
    (bell,) = (await bells(house, clinic))[clinician.id]
    assert (bell.title, bell.body) == (title, body)


@pytest.mark.parametrize(
    ("zone", "at", "time"),
    [
        ("Asia/Riyadh", datetime(2026, 7, 1, 6, 30, tzinfo=UTC), "09:30"),
        ("America/Chicago", datetime(2026, 7, 1, 14, 30, tzinfo=UTC), "09:30"),
        ("America/Chicago", datetime(2026, 12, 1, 15, 30, tzinfo=UTC), "09:30"),
        ("America/Chicago", datetime(2026, 11, 1, 7, 30, tzinfo=UTC), "01:30"),
    ],
)
async def test_the_time_is_that_of_the_clinics_wall(house: House, zone: str, at: datetime, time: str) -> None:
    clinic = await open_clinic(house, zone=zone)
    await mark(house, clinic, await book_visit(house, clinic, at=at))
    assert [bell.facts["time"] for bell in (await bells(house, clinic))[clinic.omar.id]] == [time]


async def test_two_desks_at_once_are_one_arrival_one_refusal_and_one_bell(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    answers = await asyncio.gather(*(mark(house, clinic, visit) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, Appointment) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    assert len((await bells(house, clinic))[clinic.omar.id]) == 1
    async with house.database.of_tenant(clinic.id) as session:
        arrived = select(func.count()).where(AuditEntry.action == "appointment.arrived")
        assert (await session.execute(arrived)).scalar_one() == 1
        assert (await session.execute(select(InboxHead.unread))).scalars().all() == [1]


async def test_many_arrivals_at_once_end_in_order_and_without_deadlock(house: House, clinic: Clinic) -> None:
    visits = [await book_visit(house, clinic, doctor) for doctor in (clinic.omar, clinic.huda) for _ in range(8)]
    await asyncio.gather(*(mark(house, clinic, visit) for visit in visits))
    for clinician in (clinic.omar, clinic.huda):
        assert [bell.number for bell in (await bells(house, clinic))[clinician.id]] == list(range(1, 9))


async def test_a_refused_arrival_says_what_is_possible(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    await mark(house, clinic, visit)
    with pytest.raises(
        Conflict, match=rf"{visit.number} is arrived.*Possible from here: cancelled, completed, in_progress"
    ):
        await mark(house, clinic, visit)


async def test_anothers_visit_is_not_there(house: House, clinic: Clinic, other_clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    with pytest.raises(NotFound):
        await mark(house, other_clinic, visit)
    with pytest.raises(NotFound):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await arrive(work, uuid.uuid4())
    assert await bells(house, clinic) == {}


async def test_a_patient_of_a_clinician_who_left_is_told_to_the_administrators(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await change_staff(work, clinic.omar.id, active=False)
    assert (await mark(house, clinic, visit)).state == "arrived"
    assert set(await bells(house, clinic)) == {clinic.admin.id}


async def test_arrival_is_announced_to_the_clinician_and_to_every_desk(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    async with house.open_work(clinic.id, SYSTEM) as work:
        await arrive(work, visit.id)
        pushes = list(work.pushes)
    assert [(type(push), push.tenant) for push in pushes] == [(TopicChanged, clinic.id), (InboxMoved, clinic.id)]
    bell = pushes[1]
    assert isinstance(bell, InboxMoved)
    assert (bell.person, bell.moves_to, bell.unread) == (clinic.omar.id.bytes, 1, 1)


async def test_an_arrival_that_is_taken_back_rings_nobody(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    with pytest.raises(RuntimeError):
        async with house.open_work(clinic.id, SYSTEM) as work:
            await arrive(work, visit.id)
            raise RuntimeError("the power goes out")
    assert await bells(house, clinic) == {}
    assert (await mark(house, clinic, visit)).state == "arrived"


async def test_the_audit_log_tells_who_did_what(house: House, clinic: Clinic) -> None:
    visit = await book_visit(house, clinic)
    await mark(house, clinic, visit)
    async with house.database.of_tenant(clinic.id) as session:
        query = select(AuditEntry).where(AuditEntry.object_id == visit.id).order_by(AuditEntry.number)
        told = (await session.execute(query)).scalars().all()
    before, after = told[-1].before or {}, told[-1].after or {}
    assert [(each.action, each.actor_id) for each in told] == [
        ("appointment.booked", None),
        ("appointment.arrived", clinic.desk.id),
    ]
    assert (before["state"], after["state"]) == ("booked", "arrived")
    assert "Sara" not in f"{before}{after}", "the audit log holds no patient's name"
