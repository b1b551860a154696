"""What must be in order before a visit: clearance and consent, as they come in, before or after the patient does."""

from __future__ import annotations

import uuid

from hub import audit
from hub.appointments.changes import read_changes, snapshot
from hub.appointments.lifecycle import lock_appointment
from hub.appointments.states import Clearance, Consent, State
from hub.appointments.tables import Appointment
from hub.errors import Conflict
from hub.work import Work

# Nothing is still to be made ready for these.
OVER = frozenset({State.COMPLETED, State.CANCELLED})


async def note_readiness(
    work: Work, appointment_id: uuid.UUID, clearance: Clearance | None = None, consent: Consent | None = None
) -> Appointment:
    """Write down how clearance and consent stand now; what is None stays. The board shows it, and nobody is told.

    It stays so also when a click before it is taken back. Raises NotFound, and Conflict when the visit is over.
    """
    appointment = await lock_appointment(work, appointment_id)
    if State(appointment.state) in OVER:
        raise Conflict(
            f"Appointment {appointment.number} is {appointment.state}; its clearance and consent stay as they were."
        )
    before = snapshot(appointment)
    noted = {name: str(value) for name, value in (("clearance", clearance), ("consent", consent)) if value is not None}
    for name, value in noted.items():
        setattr(appointment, name, value)
    after = snapshot(appointment)
    if after != before:
        appointment.updated_at = work.now
        for change in await read_changes(work.session, appointment_id):
            change.before = change.before and change.before | noted
        await work.session.flush()
        await audit.record(work, "appointment.readiness", "appointment", appointment.id, before, after)
    return appointment
