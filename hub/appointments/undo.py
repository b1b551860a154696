"""Taking back a wrong click: the visit stands as before, and what was told is taken back where it has not left."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from hub import audit
from hub.appointments.changes import read_changes, restored, snapshot, write_change
from hub.appointments.lifecycle import lock_appointment
from hub.appointments.planned import cancel_planned, revive_planned
from hub.appointments.tables import Appointment, AppointmentChange
from hub.appointments.tell import take_back
from hub.appointments.tellings import Event
from hub.errors import Conflict
from hub.messages.withdraw import restore, withdraw
from hub.work import Work

# A click is noticed to be wrong soon, or by somebody who should say so by a change of its own.
UNDO_WITHIN = timedelta(minutes=15)
NEVER_UNDONE = frozenset({Event.BOOKED, Event.WISH, Event.UNDONE})


def last_undoable(changes: list[AppointmentChange], now: datetime) -> AppointmentChange | None:
    """The change that may be taken back now: the latest, by staff, a few minutes old."""
    standing = [each for each in changes if each.undone_at is None and each.event != Event.UNDONE]
    if not standing:
        return None
    last = standing[-1]
    may = last.event not in NEVER_UNDONE and last.actor_kind == "staff" and now - last.at <= UNDO_WITHIN
    return last if may else None


async def undo(work: Work, appointment_id: uuid.UUID) -> Appointment:
    """Take the latest change back. Raises NotFound, and Conflict when there is none that may be taken back."""
    appointment = await lock_appointment(work, appointment_id)
    change = last_undoable(await read_changes(work.session, appointment_id), work.now)
    if change is None or change.before is None:
        raise Conflict(
            "There is nothing to take back: only the latest change by the desk, for a quarter of an hour. "
            "Change the appointment again instead."
        )
    before = snapshot(appointment)
    for name, value in restored(change.before).items():
        setattr(appointment, name, value)
    appointment.updated_at, change.undone_at = work.now, work.now
    await work.session.flush()
    undoing = await write_change(work, appointment, Event.UNDONE, before)
    await _plan_again(work, appointment, change, undoing)
    await take_back(work, appointment, change, undoing)
    await restore(work, about=appointment.id, withdrawn_by=change.id)
    after = snapshot(appointment) | {"undid": change.event}
    await audit.record(work, "appointment.undone", "appointment", appointment.id, before, after)
    return appointment


async def _plan_again(work: Work, appointment: Appointment, change: AppointmentChange, undoing: int) -> None:
    if change.event == Event.RESCHEDULED:
        await withdraw(work, about=appointment.id, by=undoing, prefix=f"reminder/{appointment.id}/")
        # A time that came back is another one: what was already sent for it before must not count as sent now.
        appointment.occurrence += 1
        await work.session.flush()
        await cancel_planned(work, appointment.id, Event.UNDONE)
        await revive_planned(work, appointment, Event.RESCHEDULED, of=change.occurrence - 1)
    elif change.event in (Event.ARRIVED, Event.CANCELLED, Event.NO_SHOW):
        await cancel_planned(work, appointment.id, Event.UNDONE)
        await revive_planned(work, appointment, Event(change.event))
