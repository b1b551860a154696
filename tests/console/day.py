"""A day at a clinic with a visit in every state, as the front desk has it about noon."""

from __future__ import annotations

from datetime import datetime, timedelta

from hub.appointments import lifecycle
from hub.appointments.lifecycle import Booking, NewTime
from hub.appointments.states import Clearance, Consent
from hub.appointments.tables import Appointment
from hub.people.patients import Arriving
from hub.people.tables import Staff
from hub.wiring import House
from hub.work import Actor
from tests.factories import Clinic

Day = dict[str, Appointment]


async def fill_a_day(house: House, clinic: Clinic, now: datetime) -> Day:
    """Visits by the name of their state; "late", "waiting" and "wish" are three more. All times are round `now`."""
    day: Day = {}
    desk, patient = Actor("staff", clinic.desk.id), Actor("patient")

    async def put(name: str, patient: str, minutes: int, clinician: Staff, **more: object) -> None:
        async with house.open_work(clinic.id, desk) as work:
            booking = Booking(
                Arriving(patient),
                clinician.id,
                now + timedelta(minutes=minutes),
                tell=False,
                **more,  # type: ignore[arg-type]
            )
            day[name] = await lifecycle.book(work, booking)

    fine = {"clearance": Clearance.CLEARED, "consent": Consent.SIGNED}
    await put("completed", "Mariam Al-Zahrani", -95, clinic.omar, **fine)
    await put("no_show", "Peter Novak", -70, clinic.omar)
    await put("in_progress", "فيصل بن عبد العزيز القحطاني", -45, clinic.omar, **fine)
    await put("waiting", "Sara Doe", -40, clinic.omar, clearance=Clearance.ISSUE, consent=Consent.EXPIRED)
    await put("late", "Omar Haddad", -12, clinic.omar, consent=Consent.SIGNED)
    await put("booked", "ليلى حسن", 15, clinic.omar)
    await put("confirmed", "Emily Thompson-Richardson", 30, clinic.huda, **fine)
    await put("rescheduled", "خالد العتيبي", 20, clinic.huda, clearance=Clearance.CLEARED)
    await put("wish", "Nora Al-Harbi", 60, clinic.huda)
    await put("cancelled", "Yusuf Khan", -20, clinic.huda)
    await put("arrived", "أحمد الخالدي", -10, clinic.huda, clearance=Clearance.CLEARED)
    for name, minutes in (("completed", 90), ("in_progress", 50), ("waiting", 34), ("arrived", 4)):
        async with house.open_work(clinic.id, desk) as work:
            work.now -= timedelta(minutes=minutes)
            await lifecycle.arrive(work, day[name].id)
    async with house.open_work(clinic.id, desk) as work:
        work.now -= timedelta(minutes=40)
        await lifecycle.start(work, day["in_progress"].id)
        await lifecycle.start(work, day["completed"].id)
        await lifecycle.complete(work, day["completed"].id)
        await lifecycle.miss(work, day["no_show"].id)
        await lifecycle.confirm(work, day["confirmed"].id)
        await lifecycle.move(work, day["rescheduled"].id, NewTime(now + timedelta(minutes=45)), reason="Running late")
        await lifecycle.cancel(work, day["cancelled"].id, reason="Has a cold")
    async with house.open_work(clinic.id, patient) as work:
        await lifecycle.ask_for_another_time(work, day["wish"].id, "Tuesday or Wednesday afternoon, please")
    return day
