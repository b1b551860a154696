"""What a clinic decides about appointments: when it reminds, and how long it waits before it speaks of a no-show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hub import audit
from hub.appointments.board import board_changed
from hub.appointments.planned_rows import Fate, Kind, Row, reminder_rows, write_rows
from hub.appointments.reminders import MOST_REMINDERS, USUAL, Ahead, plan, read_ahead
from hub.appointments.states import AHEAD
from hub.appointments.tables import Appointment, AppointmentRules, PlannedNotice
from hub.errors import FieldError, Invalid
from hub.people.tenants import Clinic, read_clinic
from hub.work import Work

# Systems mark visits as missed too early, and patients who came were told off.
USUAL_HOLD = timedelta(hours=2)
LONGEST_HOLD = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# What a reminder says that was dropped, or whose time was past already, when the clinic decided anew.
RULES_CHANGED = "rules_changed"
# So many visits are planned anew by one statement.
AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """One clinic's rules; those of a clinic that never decided are SPEC's. `reminders` begin with the earliest."""

    reminders: tuple[Ahead, ...] = USUAL
    no_show_hold: timedelta = USUAL_HOLD


async def read_rules(session: AsyncSession) -> Rules:
    """The rules of the clinic whose rows this session sees."""
    query = select(AppointmentRules.reminders, AppointmentRules.no_show_hold_minutes)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return Rules()
    return Rules(tuple(map(read_ahead, row.reminders)), row.no_show_hold_minutes * MINUTE)


async def lock_rules(work: Work) -> Rules:
    """The rules, for whoever is about to decide anew on top of them."""
    await board_changed(work)
    return await read_rules(work.session)


async def change_rules(work: Work, reminders: Sequence[str], no_show_hold_minutes: int) -> Rules:
    """Decide anew, and plan every visit ahead by it. Raises Invalid. Audited.

    What was told stays told, and a no-show that waits already waits as long as it was going to.
    """
    rules = _checked(reminders, no_show_hold_minutes)
    before = await lock_rules(work)
    if rules == before:
        return rules
    row = _row(rules)
    add = insert(AppointmentRules).values(tenant_id=work.tenant, changed_at=work.now, **row)
    await work.session.execute(
        add.on_conflict_do_update(index_elements=["tenant_id"], set_=row | {"changed_at": work.now})
    )
    if rules.reminders != before.reminders:
        clinic = await read_clinic(work.session, work.tenant)
        added = tuple(ahead for ahead in rules.reminders if ahead not in before.reminders)
        async for visits in _visits_ahead(work):
            await drop_left_out(work, visits, rules)
            await plan_added(work, visits, clinic, added)
    # Last, as the verbs do: it holds up everybody who changes anything.
    await audit.record(work, "rules.changed", "appointment_rules", None, _row(before), row)
    return rules


async def drop_left_out(work: Work, appointments: Sequence[Appointment], rules: Rules) -> None:
    """Drop what is planned for these visits and not in the rules; the caller has locked the visits."""
    await work.session.execute(
        update(PlannedNotice)
        .where(
            PlannedNotice.appointment_id.in_([each.id for each in appointments]),
            PlannedNotice.kind == Kind.REMINDER,
            PlannedNotice.state == Fate.PLANNED,
            PlannedNotice.ahead.not_in(map(str, rules.reminders)),
        )
        .values(state=Fate.CANCELLED, reason=RULES_CHANGED, settled_at=work.now)
    )


async def plan_added(
    work: Work,
    appointments: Sequence[Appointment],
    clinic: Clinic,
    aheads: tuple[Ahead, ...],
    *,
    says_late: bool = True,
) -> None:
    """Plan these for visits booked before; what comes too late is skipped and says so, unless it is left out."""
    rows: list[Row] = []
    for each in appointments:
        found = plan(each.starts_at, aheads, clinic.zone, work.now)
        late = [replace(one, reason=RULES_CHANGED) for one in found if one.reason and says_late]
        rows += reminder_rows(each, [one for one in found if not one.reason] + late)
    await write_rows(work, rows)


def _checked(reminders: Sequence[str], no_show_hold_minutes: int) -> Rules:
    errors = []
    aheads = sorted({read_ahead(each) for each in reminders}, key=lambda ahead: (-ahead.length, -ahead.days))
    if len(aheads) < len(reminders):
        errors.append(FieldError("reminders", "the same time twice"))
    if len(reminders) > MOST_REMINDERS:
        errors.append(FieldError("reminders", f"more than {MOST_REMINDERS}"))
    if not 0 <= no_show_hold_minutes <= LONGEST_HOLD // MINUTE:
        errors.append(FieldError("no_show_hold_minutes", f"not between 0 and {LONGEST_HOLD // MINUTE}"))
    if errors:
        raise Invalid("These rules cannot be kept; change what is named and try again.", errors)
    return Rules(tuple(aheads), no_show_hold_minutes * MINUTE)


def _row(rules: Rules) -> dict[str, Any]:
    minutes = rules.no_show_hold // MINUTE
    return {"reminders": [str(ahead) for ahead in rules.reminders], "no_show_hold_minutes": minutes}


async def _visits_ahead(work: Work) -> AsyncIterator[list[Appointment]]:
    """Every visit that is still to come, slice by slice, locked."""
    place = tuple_(Appointment.starts_at, Appointment.id)
    ahead = select(Appointment).where(Appointment.state.in_(AHEAD)).order_by(Appointment.starts_at, Appointment.id)
    after = Appointment.starts_at > work.now
    while True:
        query = ahead.where(after).limit(AT_ONCE).with_for_update(key_share=True)
        visits = list((await work.session.execute(query)).scalars())
        yield visits
        if len(visits) < AT_ONCE:
            return
        after = place > tuple_(visits[-1].starts_at, visits[-1].id)
