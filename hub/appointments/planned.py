"""What is planned ahead of a visit: written, moved and dropped in the transaction that causes it.

Whoever changes what is planned for a visit holds the lock of the visit's own row, and so does who tells it when it is
due: nothing is told and dropped at once.
"""

from __future__ import annotations

import uuid

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.planned_rows import Fate, Kind, reminder_rows, write_rows
from hub.appointments.reminders import plan
from hub.appointments.rules import drop_left_out, plan_added, read_rules
from hub.appointments.states import State
from hub.appointments.tables import Appointment, PlannedNotice
from hub.appointments.tellings import Event
from hub.messages.states import State as MessageState
from hub.messages.tables import Message
from hub.people.tenants import Clinic, read_clinic
from hub.work import Work


async def plan_reminders(work: Work, appointment: Appointment, clinic: Clinic) -> None:
    """Plan the reminders of the visit's present time by the clinic's rules; one that was told already stays told.

    Those whose time is past are skipped, because it was booked too late for them.
    """
    found = plan(appointment.starts_at, (await read_rules(work.session)).reminders, clinic.zone, work.now)
    await write_rows(work, reminder_rows(appointment, found))


async def plan_taken_back(work: Work, appointment: Appointment, by: int) -> None:
    """Plan, due at once, the reminders that the change `by` took back before they left, though the time is the same.

    Nobody tells the patient of such a move, so they would hear nothing at all.
    """
    place, taken = (appointment.id, appointment.occurrence, Kind.REMINDER), appointment.occurrence - 1
    query = select(Message.reference).where(
        Message.related_id == appointment.id,
        Message.withdrawn_by == by,
        Message.state == MessageState.CANCELLED,
        Message.reference.startswith(f"reminder/{appointment.id}/{taken}/"),
    )
    references = (await work.session.execute(query)).scalars()
    await write_rows(work, [(*place, str(each).rpartition("/")[2], work.now, None) for each in references])


async def plan_no_show(work: Work, appointment: Appointment) -> None:
    """Plan to tell, after the clinic's hold, that the patient was missed."""
    due = work.now + (await read_rules(work.session)).no_show_hold
    await write_rows(work, [(appointment.id, appointment.occurrence, Kind.NO_SHOW, "", due, None)])


async def cancel_planned(work: Work, appointment: uuid.UUID, event: Event) -> None:
    """Drop everything that is still planned for a visit; the reason kept is what happened to it."""
    await work.session.execute(
        update(PlannedNotice)
        .where(PlannedNotice.appointment_id == appointment, PlannedNotice.state == Fate.PLANNED)
        .values(state=Fate.CANCELLED, reason=event, settled_at=work.now)
    )


async def revive_planned(work: Work, appointment: Appointment, event: Event, of: int | None = None) -> None:
    """Plan again what was dropped for this reason and belongs to the visit as it stands now, due already or not.

    That is the reminders, by the clinic's rules of today; or, when the patient counts as missed again, that they were.
    `of` is the occurrence for which they were planned, when a time that came back counts as another one.
    """
    missed = appointment.state == State.NO_SHOW
    dropped = select(PlannedNotice.kind, PlannedNotice.ahead, PlannedNotice.due_at).where(
        PlannedNotice.appointment_id == appointment.id,
        PlannedNotice.occurrence == (of or appointment.occurrence),
        PlannedNotice.kind == (Kind.NO_SHOW if missed else Kind.REMINDER),
        PlannedNotice.state == Fate.CANCELLED,
        PlannedNotice.reason == event,
    )
    rows = (await work.session.execute(dropped)).all()
    place = appointment.id, appointment.occurrence
    await write_rows(work, [(*place, Kind(row.kind), row.ahead, row.due_at, None) for row in rows])
    if not missed:
        rules, clinic = await read_rules(work.session), await read_clinic(work.session, work.tenant)
        await drop_left_out(work, [appointment], rules)
        await plan_added(work, [appointment], clinic, rules.reminders, says_late=False)


async def read_planned(session: AsyncSession, appointment: uuid.UUID) -> list[PlannedNotice]:
    """Everything that is or was planned for a visit, by when it is due."""
    query = select(PlannedNotice).where(PlannedNotice.appointment_id == appointment)
    ordered = query.order_by(PlannedNotice.due_at, PlannedNotice.occurrence, PlannedNotice.kind, PlannedNotice.ahead)
    return list((await session.execute(ordered.execution_options(populate_existing=True))).scalars())
