"""Today's visits at the demo's clinic, in every state there is, and a few for tomorrow: with all that was told of them.

They are told by the verbs themselves, each at its moment: what a page shows of them is what the hub does.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import groupby

from sqlalchemy import select

from hub.appointments import lifecycle
from hub.appointments.board import read_visit_by_external_id, read_visits
from hub.appointments.due import tell_due
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.states import Clearance, Consent
from hub.appointments.tables import Appointment
from hub.demo.leaving import let_leave
from hub.demo.past import at
from hub.demo.patients import PATIENTS, DemoPatient
from hub.demo.people import NOOR
from hub.inbox.marks import read_all
from hub.people.patients import Arriving
from hub.people.roles import Role
from hub.people.tables import Staff
from hub.people.tenants import Clinic, read_clinic
from hub.wiring import House
from hub.work import SYSTEM, Actor, Work

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
BOOKED_AHEAD = 3 * DAY
# What is older was seen.
SEEN_AFTER = 2 * HOUR
# In the language of whoever reads it.
CANCELLED = {"en": "The clinician is in the operating theatre.", "ar": "الطبيب في غرفة العمليات."}
MOVED = {"en": "The clinician is at a conference that evening.", "ar": "الطبيب في مؤتمر طبي ذلك المساء."}
NEXT_STEPS = {
    "en": "Take the tablets with food for seven days, and come back if it is not better by then.",
    "ar": "تناول الأقراص مع الطعام لمدة سبعة أيام، وراجعنا إن لم تتحسن الحالة.",
}
WISH = {"en": "After four if possible, thank you", "ar": "بعد العصر إن أمكن، وشكرًا"}

Step = Callable[[Work, uuid.UUID], Awaitable[object]]
# When, by whom, and what; without a visit it is for all of them.
Event = tuple[datetime, Actor, Callable[[Work], Awaitable[object]]]


class Part(StrEnum):
    """What becomes of a visit of the demo."""

    MISSED = "missed"
    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    CAME_EARLY = "came_early"
    BOOKED = "booked"
    CONFIRMED = "confirmed"
    CONFIRMED_BY_PATIENT = "confirmed_by_patient"
    CANCELLED = "cancelled"
    MOVED = "moved"
    WISHES = "wishes"


# Minutes from now, and what becomes of the visits that begin then: one for each clinician.
TODAY: tuple[tuple[int, tuple[Part, Part, Part]], ...] = (
    (-80, (Part.MISSED, Part.COMPLETED, Part.COMPLETED)),
    (-35, (Part.IN_PROGRESS, Part.WAITING, Part.COMPLETED)),
    (-10, (Part.BOOKED, Part.WAITING, Part.IN_PROGRESS)),
    (30, (Part.CAME_EARLY, Part.CANCELLED, Part.WISHES)),
    (75, (Part.MOVED, Part.CONFIRMED_BY_PATIENT, Part.CONFIRMED)),
    (120, (Part.BOOKED, Part.CONFIRMED, Part.BOOKED)),
)
# By the clock on the clinic's wall, with which patient.
TOMORROW = (
    (time(9, 0), 0, Part.CONFIRMED_BY_PATIENT),
    (time(9, 0), 3, Part.BOOKED),
    (time(11, 30), 5, Part.WISHES),
    (time(14, 0), 7, Part.BOOKED),
    (time(16, 30), 12, Part.MOVED),
)
LAST = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Planned:
    """One visit of the demo, and what becomes of it."""

    external_id: str
    patient: DemoPatient
    clinician: uuid.UUID
    starts_at: datetime
    part: Part


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does it, where and when."""

    clinic: Clinic
    clinicians: Sequence[uuid.UUID]
    desk: Actor
    now: datetime


async def plan_visits(house: House) -> None:
    """Book today's visits around this moment and tomorrow's, unless that was done today; tell of them what is told."""
    now = house.clock()
    async with house.database.of_tenant(NOOR.id) as session:
        clinic = await read_clinic(session, NOOR.id)
        today = clinic.today(now)
        if await read_visit_by_external_id(session, _name(today, 1)):
            return
        people = (await session.execute(select(Staff).order_by(Staff.email))).scalars().all()
        known = {visit.patient for visit in await read_visits(session, *clinic.bounds_of(today))}
    clinicians = [person.id for person in people if person.role == Role.PROVIDER]
    desk = Actor("staff", next(person.id for person in people if person.role == Role.FRONT_DESK))
    crew = Crew(clinic, clinicians, desk, now)
    planned = [*_today(crew, today, known), *_tomorrow(crew, today + DAY)]
    async with at(house, now - BOOKED_AHEAD)(NOOR.id, desk) as work:
        visits = [(each, await _book(work, each)) for each in planned]
        await _live(work, crew, visits)


def _today(crew: Crew, today: date, known: set[str]) -> list[Planned]:
    """Visits around now; what would lie beyond midnight lies on this side of it, as something quieter."""
    since, until = crew.clinic.bounds_of(today)
    patients = [patient for patient in PATIENTS if patient.name not in known]
    found = []
    for minutes, parts in TODAY:
        starts_at, quieter = _round(crew.now + minutes * MINUTE), None
        if starts_at < since:
            starts_at, quieter = _round(crew.now + (150 - minutes) * MINUTE), Part.BOOKED
        elif starts_at > until - LAST:
            starts_at, quieter = _round(crew.now - (60 + minutes) * MINUTE), Part.COMPLETED
        found += [(starts_at, quieter or part, crew.clinicians[place]) for place, part in enumerate(parts)]
    return [
        Planned(_name(today, number), patient, clinician, starts_at, part)
        for number, (patient, (starts_at, part, clinician)) in enumerate(zip(patients, found, strict=False), 1)
    ]


def _tomorrow(crew: Crew, day: date) -> list[Planned]:
    return [
        Planned(
            _name(day, number).replace("-", "-ahead-", 1),
            PATIENTS[patient],
            crew.clinicians[number % len(crew.clinicians)],
            datetime.combine(day, wall, crew.clinic.zone),
            part,
        )
        for number, (wall, patient, part) in enumerate(TOMORROW, 1)
    ]


async def _book(work: Work, planned: Planned) -> Appointment:
    dice = random.Random(planned.external_id)  # noqa: S311 - invents a day, guards nothing
    patient = planned.patient
    booking = Booking(
        patient=Arriving(patient.name, language=patient.language, external_id=patient.external_id),
        clinician_id=planned.clinician,
        starts_at=planned.starts_at + (4 * HOUR if planned.part is Part.MOVED else timedelta(0)),
        minutes=dice.choice((15, 20, 30)),
        external_id=planned.external_id,
        clearance=dice.choice((Clearance.CLEARED, Clearance.CLEARED, Clearance.PENDING, Clearance.ISSUE)),
        consent=dice.choice((Consent.SIGNED, Consent.SIGNED, Consent.MISSING, Consent.EXPIRED)),
        tell=False,
    )
    return await lifecycle.book(work, booking)


async def _live(work: Work, crew: Crew, visits: Sequence[tuple[Planned, Appointment]]) -> None:
    """Everything that was done until now, in order, and what was told of it."""
    events: list[Event] = [
        (moment, actor, lambda now, step=step, visit=visit.id: step(now, visit))  # type: ignore[misc]
        for planned, visit in visits
        for moment, actor, step in _steps(crew, planned, visit)
    ]
    starts = {visit.starts_at for _, visit in visits}
    reminded = {start - ahead for start in starts for ahead in (DAY, 2 * HOUR)}
    events += [(moment, SYSTEM, tell_due) for moment in reminded if work.now < moment <= crew.now]
    events += [
        (crew.now - SEEN_AFTER, SYSTEM, lambda now, person=person: read_all(now, person, 2**53))  # type: ignore[misc]
        for person in crew.clinicians
    ]
    events.sort(key=lambda event: event[0])
    for moment, together in groupby(events, key=lambda event: event[0]):
        for _, actor, do in together:
            await do(replace(work, now=moment, actor=actor))
        await let_leave(replace(work, now=moment), min(moment + HOUR, crew.now))


def _steps(crew: Crew, planned: Planned, visit: Appointment) -> list[tuple[datetime, Actor, Step]]:
    """What was done with one visit, and when: nothing later than now."""
    start, now, desk = planned.starts_at, crew.now, crew.desk
    clinician, patient = Actor("staff", planned.clinician), Actor("patient", visit.patient_id)
    came = min(start - 9 * MINUTE, now - 19 * MINUTE)
    began = min(start + 4 * MINUTE, now - 11 * MINUTE)
    ended = min(start + 24 * MINUTE, now - 3 * MINUTE)
    # In the morning the desk telephones.
    asked = now - 100 * MINUTE
    language = planned.patient.language

    def complete(work: Work, visit: uuid.UUID) -> Awaitable[object]:
        return lifecycle.complete(work, visit, next_steps=NEXT_STEPS[language])

    def cancel(work: Work, visit: uuid.UUID) -> Awaitable[object]:
        return lifecycle.cancel(work, visit, reason=CANCELLED[language])

    def move(work: Work, visit: uuid.UUID) -> Awaitable[object]:
        return lifecycle.move(work, visit, NewTime(start), reason=MOVED[language])

    def wish(work: Work, visit: uuid.UUID) -> Awaitable[object]:
        return lifecycle.ask_for_another_time(work, visit, WISH[language])

    steps: dict[Part, list[tuple[datetime, Actor, Step]]] = {
        Part.MISSED: [(min(now, start + 20 * MINUTE), desk, lifecycle.miss)],
        Part.COMPLETED: [(came, desk, lifecycle.arrive), (began, clinician, lifecycle.start), (ended, desk, complete)],
        Part.IN_PROGRESS: [(came, desk, lifecycle.arrive), (began, clinician, lifecycle.start)],
        Part.WAITING: [(came, desk, lifecycle.arrive)],
        Part.CAME_EARLY: [(now - 4 * MINUTE, desk, lifecycle.arrive)],
        Part.BOOKED: [],
        Part.CONFIRMED: [(asked, desk, lifecycle.confirm)],
        Part.CONFIRMED_BY_PATIENT: [(asked + 25 * MINUTE, patient, lifecycle.confirm)],
        Part.CANCELLED: [(now - 50 * MINUTE, desk, cancel)],
        Part.MOVED: [(asked, desk, move)],
        Part.WISHES: [(now - 25 * MINUTE, patient, wish)],
    }
    return steps[planned.part]


def _name(day: date, number: int) -> str:
    """By what a visit of the demo is known again."""
    return f"demo-{day.isoformat()}-{number}"


def _round(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 5 * 5, second=0, microsecond=0)
