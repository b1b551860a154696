"""The rows of what is planned: their kinds, what becomes of them, and writing many at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from hub.appointments.reminders import Planned
from hub.appointments.tables import Appointment
from hub.db import fetch_directly
from hub.work import Work


class Kind(StrEnum):
    """What is planned."""

    REMINDER = "reminder"
    NO_SHOW = "no_show"


class Fate(StrEnum):
    """What became of it."""

    PLANNED = "planned"
    TOLD = "told"
    SKIPPED = "skipped"  # its time had come, or was past already, and it was not worth telling
    CANCELLED = "cancelled"  # the visit, or the clinic's rules, changed before


# A row that was dropped may be planned again; a reminder that was told, skipped or waits stays as it is. That a patient
# was missed is told of each time it is said: whoever takes that back and says it again has told nobody yet.
WRITE = """
INSERT INTO planned_notices
    (tenant_id, appointment_id, occurrence, kind, ahead, due_at, reason, planned_at, state, settled_at)
SELECT $1, row.*, $2, CASE WHEN row.reason IS NULL THEN 'planned' ELSE 'skipped' END,
    CASE WHEN row.reason IS NOT NULL THEN $2::timestamptz END
FROM unnest($3::uuid[], $4::int[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
    AS row(appointment_id, occurrence, kind, ahead, due_at, reason)
ON CONFLICT (appointment_id, occurrence, kind, ahead) DO UPDATE SET due_at = excluded.due_at, state = excluded.state,
    reason = excluded.reason, planned_at = excluded.planned_at, settled_at = excluded.settled_at
WHERE planned_notices.state = 'cancelled' OR planned_notices.kind = 'no_show'
"""

Row = tuple[uuid.UUID, int, Kind, str, datetime, str | None]


def reminder_rows(appointment: Appointment, found: Iterable[Planned]) -> list[Row]:
    """Reminders of the visit's present time."""
    place = appointment.id, appointment.occurrence, Kind.REMINDER
    return [(*place, str(each.ahead), each.due_at, each.reason) for each in found]


async def write_rows(work: Work, rows: list[Row]) -> None:
    """Plan, in one statement; rows with a reason are skipped from the first."""
    if rows:
        await fetch_directly(work.session, WRITE, work.tenant, work.now, *zip(*rows, strict=True))
