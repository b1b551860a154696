"""Telling what happened to an appointment: each row of the table becomes a ring, a message, or a reason why not."""

from __future__ import annotations

from hub.appointments.changes import News
from hub.appointments.tables import Appointment, AppointmentChange
from hub.work import Work


async def tell(work: Work, appointment: Appointment, news: News) -> None:
    """Tell everybody whom the clinic's table names; what is not told, and why, is kept with the change.

    Nothing here refuses the change itself: a template that is gone or words that do not fit are a reason, not an error.
    """
    raise NotImplementedError


async def take_back(work: Work, appointment: Appointment, change: AppointmentChange, undoing: int) -> None:
    """Take back what was told of a change: unread rings go, what has not left stays; who has read it is told so."""
    raise NotImplementedError
