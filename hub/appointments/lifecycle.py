"""An appointment's way from booking to thanks: each step writes its rows, plans ahead, and tells who is to know.

Everybody who changes an appointment locks the clinic's board first: a clinic's changes are one after the other, so that
no number is lost, nobody waits in a ring, and what is planned always belongs to the time that counts. The audit log
comes last: whoever has a message or a bell may be waiting for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from hub import audit
from hub.appointments.board import board_changed
from hub.appointments.changes import News, restored, snapshot, write_change
from hub.appointments.numbers import next_number
from hub.appointments.planned import cancel_planned, plan_no_show, plan_reminders, plan_taken_back
from hub.appointments.states import AHEAD, MAY_WISH, Clearance, Consent, State, check_move
from hub.appointments.tables import Appointment
from hub.appointments.tell import tell
from hub.appointments.tellings import Event
from hub.errors import Conflict, NotFound
from hub.messages.withdraw import withdraw
from hub.people.patients import Arriving, find_or_open_file, read_patient
from hub.people.staff import get_clinician
from hub.people.tables import Patient
from hub.people.tenants import read_clinic
from hub.work import Work

AT_ONCE = timedelta(0)
# After these, what was planned or written about the visit before is not true any more.
OVERTAKES = frozenset({Event.RESCHEDULED, Event.ARRIVED, Event.CANCELLED, Event.NO_SHOW})


@dataclass(frozen=True, slots=True)
class Booking:
    """What is known of a visit when it is booked. Unless `tell`, everybody knows of it: reminders alone are planned."""

    patient: Arriving
    clinician_id: uuid.UUID
    starts_at: datetime
    minutes: int = 30
    external_id: str | None = None
    source_version: int | None = None
    clearance: Clearance = Clearance.PENDING
    consent: Consent = Consent.MISSING
    tell: bool = True


@dataclass(frozen=True, slots=True)
class NewTime:
    """Where a visit moves to; what is None stays."""

    starts_at: datetime
    minutes: int | None = None
    clinician_id: uuid.UUID | None = None


async def book(work: Work, booking: Booking) -> Appointment:
    """Book a visit: open the patient's file if it is the first one, number it, plan its reminders, tell the clinician.

    With an external id that is known, the same booking returns the appointment as it is, one with a newer source
    version moves it, an older one changes nothing, and another booking without versions, or for another patient, raises
    Conflict. Raises Invalid for an unknown clinician and a number or address that cannot be, NotFound without patient.
    """
    clinic = await read_clinic(work.session, work.tenant)
    clinician = await get_clinician(work.session, booking.clinician_id)
    await board_changed(work)
    earlier = await _by_external_id(work, booking.external_id)
    if earlier is not None:
        return await _book_again(work, earlier, booking)
    patient = await find_or_open_file(work, booking.patient, clinic)
    appointment = Appointment(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        number=await next_number(work, booking.starts_at.astimezone(clinic.zone).year),
        external_id=booking.external_id,
        source_version=booking.source_version,
        patient_id=patient.id,
        clinician_id=clinician.id,
        starts_at=booking.starts_at.astimezone(UTC),
        minutes=booking.minutes,
        state=State.BOOKED,
        occurrence=1,
        clearance=booking.clearance,
        consent=booking.consent,
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(appointment)
    await work.session.flush()
    change = await write_change(work, appointment, Event.BOOKED)
    await plan_reminders(work, appointment, clinic)
    if booking.tell:
        await tell(work, appointment, News(change, Event.BOOKED))
    await audit.record(work, "appointment.booked", "appointment", appointment.id, after=snapshot(appointment))
    return appointment


async def confirm(
    work: Work, appointment_id: uuid.UUID, *, source_version: int | None = None, hold: timedelta = AT_ONCE
) -> Appointment:
    """The patient comes at this time, also after they had asked for another one. Raises NotFound and Conflict."""

    def confirmed(appointment: Appointment) -> None:
        appointment.confirmed_at, appointment.wish = work.now, None

    return await _change(work, appointment_id, State.CONFIRMED, confirmed, source_version=source_version, hold=hold)


async def move(
    work: Work,
    appointment_id: uuid.UUID,
    to: NewTime,
    *,
    reason: str = "",
    source_version: int | None = None,
    hold: timedelta = AT_ONCE,
) -> Appointment:
    """Give the visit another time; the same one changes nothing. Raises NotFound, Conflict, Invalid."""
    appointment = await lock_appointment(work, appointment_id)
    if _is_overtaken(appointment, source_version):
        return appointment
    return await _move(work, appointment, to, reason, source_version, hold)


async def arrive(
    work: Work,
    appointment_id: uuid.UUID,
    clearance: Clearance | None = None,
    consent: Consent | None = None,
    *,
    source_version: int | None = None,
) -> Appointment:
    """The patient is at the desk: the clinician's bell rings with clearance and consent as they are now.

    Raises NotFound, and Conflict when the visit is not one that can begin.
    """

    def arrived(appointment: Appointment) -> None:
        appointment.arrived_at, appointment.ended_at = work.now, None
        appointment.clearance = clearance or appointment.clearance
        appointment.consent = consent or appointment.consent

    return await _change(work, appointment_id, State.ARRIVED, arrived, source_version=source_version)


async def start(work: Work, appointment_id: uuid.UUID, *, source_version: int | None = None) -> Appointment:
    """The patient is with the clinician: nobody is told. Raises NotFound and Conflict."""

    def started(appointment: Appointment) -> None:
        appointment.started_at = work.now

    return await _change(work, appointment_id, State.IN_PROGRESS, started, source_version=source_version)


async def complete(
    work: Work,
    appointment_id: uuid.UUID,
    *,
    next_steps: str = "",
    source_version: int | None = None,
    hold: timedelta = AT_ONCE,
) -> Appointment:
    """The visit is over: the patient is thanked, and told the next steps. Raises NotFound and Conflict."""
    return await _change(
        work, appointment_id, State.COMPLETED, _ended(work), said=next_steps, source_version=source_version, hold=hold
    )


async def cancel(
    work: Work,
    appointment_id: uuid.UUID,
    *,
    reason: str = "",
    source_version: int | None = None,
    hold: timedelta = AT_ONCE,
) -> Appointment:
    """The visit does not take place. Raises NotFound and Conflict."""
    return await _change(
        work, appointment_id, State.CANCELLED, _ended(work), said=reason, source_version=source_version, hold=hold
    )


async def miss(work: Work, appointment_id: uuid.UUID, *, source_version: int | None = None) -> Appointment:
    """The patient did not come; that is told after the clinic's hold, unless they are seen until then.

    Raises NotFound, and Conflict, also when the visit has not begun yet.
    """

    def missed(appointment: Appointment) -> None:
        if appointment.starts_at > work.now:
            raise Conflict(f"Appointment {appointment.number} has not begun yet; nobody can have missed it.")
        appointment.ended_at = work.now

    return await _change(work, appointment_id, State.NO_SHOW, missed, source_version=source_version)


async def ask_for_another_time(work: Work, appointment_id: uuid.UUID, note: str = "") -> Appointment:
    """Write down that the patient asks for another time, and tell who can give one. Raises NotFound and Conflict."""
    appointment = await lock_appointment(work, appointment_id)
    if State(appointment.state) not in MAY_WISH:
        raise Conflict(f"Appointment {appointment.number} is {appointment.state}; its time cannot change any more.")
    before = snapshot(appointment)
    appointment.wish = "another_time"
    await _finish(work, appointment, Event.WISH, before, note)
    return appointment


async def lock_appointment(work: Work, appointment_id: uuid.UUID) -> Appointment:
    """The appointment, for whoever is about to change it, behind the board; raises NotFound."""
    await board_changed(work)
    query = select(Appointment).where(Appointment.id == appointment_id).with_for_update()
    appointment = (await work.session.execute(query)).scalar_one_or_none()
    if appointment is None:
        raise NotFound("There is no such appointment.")
    return appointment


async def _change(
    work: Work,
    appointment_id: uuid.UUID,
    to: State,
    set_: Callable[[Appointment], None],
    *,
    said: str = "",
    source_version: int | None = None,
    hold: timedelta = AT_ONCE,
) -> Appointment:
    appointment = await lock_appointment(work, appointment_id)
    if _is_overtaken(appointment, source_version):
        return appointment
    comes_after_all = to is State.CONFIRMED and appointment.state == State.CONFIRMED and appointment.wish is not None
    if not comes_after_all:
        check_move(appointment.number, appointment.state, to)
    before = snapshot(appointment)
    set_(appointment)
    appointment.state = to
    appointment.source_version = source_version if source_version is not None else appointment.source_version
    await _finish(work, appointment, Event(to), before, said, hold)
    return appointment


async def _move(
    work: Work,
    appointment: Appointment,
    to: NewTime,
    reason: str,
    source_version: int | None,
    hold: timedelta = AT_ONCE,
    *,
    tells: bool = True,
) -> Appointment:
    clinician = to.clinician_id or appointment.clinician_id
    if clinician != appointment.clinician_id:
        await get_clinician(work.session, clinician)
    before = snapshot(appointment)
    appointment.source_version = source_version if source_version is not None else appointment.source_version
    place = (to.starts_at.astimezone(UTC), to.minutes or appointment.minutes, clinician)
    if place == (appointment.starts_at, appointment.minutes, appointment.clinician_id):
        return appointment
    check_move(appointment.number, appointment.state, State.RESCHEDULED)
    # With somebody else, or for longer, at the same time: what the patient said of the time still holds.
    if place[0] != appointment.starts_at or State(appointment.state) not in AHEAD:
        appointment.state = State.RESCHEDULED
        appointment.confirmed_at = appointment.ended_at = appointment.wish = None
    appointment.starts_at, appointment.minutes, appointment.clinician_id = place
    appointment.occurrence += 1
    await _finish(work, appointment, Event.RESCHEDULED, before, reason, hold, tells=tells)
    return appointment


async def _finish(
    work: Work,
    appointment: Appointment,
    event: Event,
    before: dict[str, object],
    said: str = "",
    hold: timedelta = AT_ONCE,
    *,
    tells: bool = True,
) -> None:
    appointment.updated_at = work.now
    await work.session.flush()
    change = await write_change(work, appointment, event, before, said)
    if event in OVERTAKES:
        await cancel_planned(work, appointment.id, event)
        await withdraw(work, about=appointment.id, by=change)
    if event is Event.RESCHEDULED:
        if before["starts_at"] == appointment.starts_at.isoformat():
            await plan_taken_back(work, appointment, change)
        await plan_reminders(work, appointment, await read_clinic(work.session, work.tenant))
    if event is Event.NO_SHOW:
        await plan_no_show(work, appointment)
    elif tells:
        await tell(work, appointment, News(change, event, said, restored(before), hold))
    await audit.record(work, f"appointment.{event}", "appointment", appointment.id, before, snapshot(appointment))


async def _book_again(work: Work, earlier: Appointment, booking: Booking) -> Appointment:
    if _is_overtaken(earlier, booking.source_version):
        return earlier
    patient = await read_patient(work.session, earlier.patient_id)
    may_differ = booking.source_version is not None
    if _is_somebody_else(patient, booking.patient) or not (may_differ or _is_same(earlier, patient, booking)):
        raise Conflict(f"The external id belongs to appointment {earlier.number}, which was booked differently.")
    to = NewTime(booking.starts_at, booking.minutes, booking.clinician_id)
    return await _move(work, earlier, to, "", booking.source_version, tells=booking.tell)


def _ended(work: Work) -> Callable[[Appointment], None]:
    def ended(appointment: Appointment) -> None:
        appointment.ended_at, appointment.wish = work.now, None

    return ended


def _is_overtaken(appointment: Appointment, source_version: int | None) -> bool:
    """Whether the practice system said something newer before this, or this itself."""
    known = appointment.source_version
    return known is not None and source_version is not None and source_version <= known


async def _by_external_id(work: Work, external_id: str | None) -> Appointment | None:
    if external_id is None:
        return None
    query = select(Appointment).where(Appointment.external_id == external_id).with_for_update()
    return (await work.session.execute(query)).scalar_one_or_none()


def _is_somebody_else(patient: Patient, wanted: Arriving) -> bool:
    """By an id alone: a name may have been mended."""
    if wanted.id is not None:
        return wanted.id != patient.id
    return len({wanted.external_id, patient.external_id} - {None}) > 1


def _is_same(appointment: Appointment, patient: Patient, booking: Booking) -> bool:
    booked, wanted = (booking.clinician_id, booking.starts_at, booking.minutes), booking.patient
    if (appointment.clinician_id, appointment.starts_at, appointment.minutes) != booked:
        return False
    by_name = wanted.id is None and wanted.external_id is None
    return wanted.name == patient.name if by_name else wanted.external_id in (None, patient.external_id)
