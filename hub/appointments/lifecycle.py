"""An appointment's way from booking to arrival: each step writes its rows and says who is to be told."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub import audit
from hub.appointments.board import board_changed
from hub.appointments.states import Clearance, Consent, State, check_move
from hub.appointments.tables import Appointment, AppointmentNumber
from hub.appointments.wording import arrival_wording, clock_at
from hub.errors import Conflict, NotFound
from hub.inbox.kinds import Kind, Level
from hub.inbox.notify import Notice, Related, notify
from hub.people.patients import open_file
from hub.people.roles import Role
from hub.people.staff import get_clinician, get_staff
from hub.people.tables import Patient
from hub.people.tenants import read_clinic
from hub.work import Work


@dataclass(frozen=True, slots=True)
class Booking:
    """What is known of a visit when it is booked."""

    patient_name: str
    clinician_id: uuid.UUID
    starts_at: datetime
    minutes: int = 30
    patient_external_id: str | None = None
    patient_language: str | None = None
    external_id: str | None = None
    clearance: Clearance = Clearance.PENDING
    consent: Consent = Consent.MISSING


async def book(work: Work, booking: Booking) -> Appointment:
    """Book a visit: open the patient's file if it is the first one, number it, put it on the board.

    Raises Invalid for an unknown clinician. With an external id that is known, the same booking returns the
    appointment as it is; another one raises Conflict.
    """
    clinic = await read_clinic(work.session, work.tenant)
    clinician = await get_clinician(work.session, booking.clinician_id)
    # The board's row is locked first by everybody, and serialises a clinic's bookings: no deadlock, no lost number.
    await board_changed(work)
    earlier = await _by_external_id(work, booking.external_id)
    if earlier is not None:
        if not _is_same(earlier, await _patient_of(work, earlier), booking):
            raise Conflict(f"The external id belongs to appointment {earlier.number}, which was booked differently.")
        return earlier
    patient = await open_file(
        work,
        name=booking.patient_name,
        language=booking.patient_language,
        usual_language=clinic.languages[0],
        external_id=booking.patient_external_id,
    )
    appointment = Appointment(
        id=uuid.uuid4(),
        tenant_id=work.tenant,
        number=await _next_number(work, booking.starts_at.astimezone(clinic.zone).year),
        external_id=booking.external_id,
        patient_id=patient.id,
        clinician_id=clinician.id,
        starts_at=booking.starts_at.astimezone(UTC),
        minutes=booking.minutes,
        state=State.BOOKED,
        clearance=booking.clearance,
        consent=booking.consent,
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add(appointment)
    await work.session.flush()
    await audit.record(work, "appointment.booked", "appointment", appointment.id, after=_state_of(appointment))
    return appointment


async def arrive(
    work: Work, appointment_id: uuid.UUID, clearance: Clearance | None = None, consent: Consent | None = None
) -> Appointment:
    """The patient is at the desk: the clinician's bell rings with clearance and consent as they are now.

    Raises NotFound, and Conflict when the visit is not one that can begin.
    """
    await board_changed(work)
    query = select(Appointment).where(Appointment.id == appointment_id).with_for_update()
    appointment = (await work.session.execute(query)).scalar_one_or_none()
    if appointment is None:
        raise NotFound("There is no such appointment.")
    check_move(appointment.number, appointment.state, State.ARRIVED)
    before = _state_of(appointment)
    appointment.state = State.ARRIVED
    appointment.arrived_at = appointment.updated_at = work.now
    appointment.clearance = clearance or appointment.clearance
    appointment.consent = consent or appointment.consent
    await work.session.flush()
    await audit.record(work, "appointment.arrived", "appointment", appointment.id, before, _state_of(appointment))
    await _ring(work, appointment)
    return appointment


async def _ring(work: Work, appointment: Appointment) -> None:
    clinic = await read_clinic(work.session, work.tenant)
    patient = await _patient_of(work, appointment)
    clinician = await get_staff(work.session, appointment.clinician_id)
    in_order = appointment.clearance == Clearance.CLEARED and appointment.consent == Consent.SIGNED
    notice = Notice(
        kind=Kind.PATIENT_ARRIVED,
        wording=lambda language: arrival_wording(language, patient.name, appointment, clinic),
        level=Level.SUCCESS if in_order else Level.WARNING,
        related=Related("appointment", appointment.id, f"/console/appointments/{appointment.id}"),
        facts={
            "patient": patient.name,
            "number": appointment.number,
            "starts_at": appointment.starts_at.isoformat(),
            "time": clock_at(appointment.starts_at, clinic, "en"),
            "clearance": appointment.clearance,
            "consent": appointment.consent,
        },
    )
    # Somebody has to hear that a patient waits for a clinician who is no longer here.
    await notify(work, [clinician.id] if clinician.active else Role.ADMIN, notice)


async def _by_external_id(work: Work, external_id: str | None) -> Appointment | None:
    if external_id is None:
        return None
    query = select(Appointment).where(Appointment.external_id == external_id)
    return (await work.session.execute(query)).scalar_one_or_none()


async def _patient_of(work: Work, appointment: Appointment) -> Patient:
    return (await work.session.execute(select(Patient).where(Patient.id == appointment.patient_id))).scalar_one()


def _is_same(appointment: Appointment, patient: Patient, booking: Booking) -> bool:
    booked = (booking.clinician_id, booking.starts_at, booking.minutes)
    same_visit = (appointment.clinician_id, appointment.starts_at, appointment.minutes) == booked
    if booking.patient_external_id is not None:
        return same_visit and patient.external_id == booking.patient_external_id
    return same_visit and patient.name == booking.patient_name


async def _next_number(work: Work, year: int) -> str:
    add = insert(AppointmentNumber).values(tenant_id=work.tenant, year=year, last=1)
    upsert = add.on_conflict_do_update(index_elements=["tenant_id", "year"], set_={"last": AppointmentNumber.last + 1})
    number = (await work.session.execute(upsert.returning(AppointmentNumber.last))).scalar_one()
    return f"{year}-{number:06}"


def _state_of(appointment: Appointment) -> dict[str, Any]:
    return {
        "number": appointment.number,
        "state": appointment.state,
        "starts_at": appointment.starts_at.isoformat(),
        "clinician_id": str(appointment.clinician_id),
        "clearance": appointment.clearance,
        "consent": appointment.consent,
    }
