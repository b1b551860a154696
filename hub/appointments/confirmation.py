"""The link in a message by which a patient answers for one visit without a login.

It says which visit by ids alone and ends a day after it. Opening it changes nothing: mail scanners open links.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.appointments.tables import Appointment
from hub.crypto import Keys
from hub.people import signed_links
from hub.work import Work

# As long as somebody may look where their visit was, or what becomes of it.
AFTERWARDS = timedelta(days=1)
AT_LEAST = timedelta(days=1)

_KIND = "visit-link"


@dataclass(frozen=True, slots=True)
class VisitLink:
    """Which visit of which clinic a link stands for."""

    tenant: uuid.UUID
    appointment: uuid.UUID


def link_of(work: Work, appointment: Appointment) -> str:
    """The address of the patient's own page of this visit."""
    return f"{work.public_url}/v/{make_token(work.keys, appointment, work.now)}"


def make_token(keys: Keys, appointment: Appointment, now: datetime) -> str:
    """The token of a visit's link, 63 letters; good for a day after the visit as it stands, and for a day from now."""
    over = appointment.starts_at + timedelta(minutes=appointment.minutes)
    said = appointment.tenant_id.bytes + appointment.id.bytes
    return signed_links.sign(keys, _KIND, said, max(over + AFTERWARDS, now + AT_LEAST))


def read_token(keys: Keys, token: str, now: datetime) -> VisitLink | None:
    """What a token stands for, or None when it is not ours, of another kind, damaged or over."""
    found = signed_links.read(keys, _KIND, token, now)
    if found is None:
        return None
    return VisitLink(uuid.UUID(bytes=found.said[:16]), uuid.UUID(bytes=found.said[16:]))
