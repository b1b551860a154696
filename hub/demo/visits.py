"""Today's visits at the demo's clinic."""

from __future__ import annotations

import random
from datetime import timedelta

from sqlalchemy import select

from hub.appointments.board import read_visits
from hub.appointments.lifecycle import Booking, arrive, book
from hub.appointments.states import Clearance, Consent
from hub.demo.past import at
from hub.demo.patients import PATIENTS
from hub.demo.people import NOOR
from hub.people.patients import Arriving
from hub.people.roles import Role
from hub.people.tables import Staff
from hub.people.tenants import read_clinic
from hub.wiring import House
from hub.work import SYSTEM, Actor

# A day of visits, in minutes from now: some are waiting, one is late, most are still to come.
VISITS_FROM_NOW = range(-60, 240, 17)


async def plan_today(house: House) -> None:
    """Book a day of visits around this moment, unless today has some."""
    async with house.database.of_tenant(NOOR.id) as session:
        clinic = await read_clinic(session, NOOR.id)
        now = house.clock()
        since, until = clinic.bounds_of(clinic.today(now))
        if await read_visits(session, since, until, limit=1):
            return
        people = (await session.execute(select(Staff).order_by(Staff.email))).scalars().all()
    clinicians = [person.id for person in people if person.role == Role.PROVIDER]
    desk = next(person.id for person in people if person.role == Role.FRONT_DESK)
    dice = random.Random(now.toordinal())  # noqa: S311 - invents a day, guards nothing
    # Late in the evening the day is planned backwards, so that it always has visits.
    latest = until - timedelta(minutes=10)
    first = min(now + timedelta(minutes=VISITS_FROM_NOW[0]), latest - timedelta(minutes=300))
    first = max(since, first)
    for index, patient in enumerate(PATIENTS):
        starts_at = first + timedelta(minutes=17 * index)
        starts_at = starts_at.replace(minute=starts_at.minute // 5 * 5, second=0, microsecond=0)
        if starts_at >= until:
            break
        booking = Booking(
            patient=Arriving(patient.name, language=patient.language, external_id=patient.external_id),
            clinician_id=clinicians[index % len(clinicians)],
            starts_at=starts_at,
            minutes=dice.choice((15, 20, 30)),
            clearance=dice.choice((Clearance.CLEARED, Clearance.CLEARED, Clearance.PENDING, Clearance.ISSUE)),
            consent=dice.choice((Consent.SIGNED, Consent.SIGNED, Consent.MISSING, Consent.EXPIRED)),
            tell=False,
        )
        async with at(house, first - timedelta(days=3, minutes=-11 * index))(NOOR.id, SYSTEM) as work:
            booked = await book(work, booking)
        if index in (0, 1):
            came = min(now, starts_at) - timedelta(minutes=6 + 5 * index)
            async with at(house, came)(NOOR.id, Actor("staff", desk)) as work:
                await arrive(work, booked.id)
