"""The link in a message by which a patient answers for one visit without a login (pure but for `link_of`).

It says which visit by ids alone and ends a day after it. Opening it changes nothing: mail scanners open links.
"""

from __future__ import annotations

from hub.appointments.tables import Appointment
from hub.work import Work


def link_of(work: Work, appointment: Appointment) -> str:
    """The address of the patient's own page of this visit."""
    raise NotImplementedError
