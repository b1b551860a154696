"""Who is told what about an appointment, over what and by which words: one table for the whole house (pure).

A clinic may switch each row, and choose another template for it; what it has not switched is as it stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """What happens to an appointment."""

    BOOKED = "booked"
    CONFIRMED = "confirmed"
    RESCHEDULED = "rescheduled"
    ARRIVED = "arrived"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    WISH = "wish"  # the patient asks for another time
    UNDONE = "undone"


class Recipient(StrEnum):
    """Who is told."""

    PATIENT = "patient"
    CLINICIAN = "clinician"
    DESK = "front_desk"


class Way(StrEnum):
    """Over what."""

    IN_APP = "in_app"
    TEXT = "text"  # SMS or WhatsApp, as the patient prefers; the other one when the first fails
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Telling:
    """One row of the table; `code` is the template, none in the app. `usual` is whether a new clinic tells it.

    One `of_the_patient` is told only when the patient did it: who did it at the desk need not be told there.
    """

    event: Event
    to: Recipient
    over: Way
    code: str | None = None
    usual: bool = True
    of_the_patient: bool = False

    @property
    def key(self) -> tuple[Event, Recipient, Way]:
        """What tells the rows apart."""
        return self.event, self.to, self.over


_PATIENT, _CLINICIAN, _DESK = Recipient.PATIENT, Recipient.CLINICIAN, Recipient.DESK

# in_progress is told to nobody.
TELLINGS: tuple[Telling, ...] = (
    Telling(Event.BOOKED, _PATIENT, Way.TEXT, "appointment_booked", usual=False),
    Telling(Event.BOOKED, _PATIENT, Way.EMAIL, "appointment_booked", usual=False),
    Telling(Event.BOOKED, _CLINICIAN, Way.IN_APP),
    Telling(Event.BOOKED, _CLINICIAN, Way.EMAIL, "staff_appointment_booked"),
    Telling(Event.CONFIRMED, _PATIENT, Way.TEXT, "appointment_confirmed"),
    Telling(Event.CONFIRMED, _PATIENT, Way.EMAIL, "appointment_confirmed"),
    Telling(Event.CONFIRMED, _CLINICIAN, Way.IN_APP),
    Telling(Event.RESCHEDULED, _PATIENT, Way.TEXT, "appointment_rescheduled"),
    Telling(Event.RESCHEDULED, _PATIENT, Way.EMAIL, "appointment_rescheduled"),
    Telling(Event.RESCHEDULED, _CLINICIAN, Way.IN_APP),
    Telling(Event.RESCHEDULED, _CLINICIAN, Way.EMAIL, "staff_appointment_rescheduled"),
    Telling(Event.ARRIVED, _CLINICIAN, Way.IN_APP),
    Telling(Event.COMPLETED, _PATIENT, Way.EMAIL, "appointment_completed"),
    Telling(Event.CANCELLED, _PATIENT, Way.TEXT, "appointment_cancelled"),
    Telling(Event.CANCELLED, _PATIENT, Way.EMAIL, "appointment_cancelled"),
    Telling(Event.CANCELLED, _CLINICIAN, Way.IN_APP),
    Telling(Event.CANCELLED, _CLINICIAN, Way.EMAIL, "staff_appointment_cancelled"),
    Telling(Event.CANCELLED, _DESK, Way.IN_APP, of_the_patient=True),
    Telling(Event.NO_SHOW, _PATIENT, Way.EMAIL, "appointment_no_show"),
    Telling(Event.NO_SHOW, _CLINICIAN, Way.IN_APP),
    Telling(Event.NO_SHOW, _CLINICIAN, Way.EMAIL, "staff_appointment_no_show"),
    Telling(Event.WISH, _CLINICIAN, Way.IN_APP),
    Telling(Event.WISH, _DESK, Way.IN_APP),
    Telling(Event.UNDONE, _CLINICIAN, Way.IN_APP),
)
BY_KEY = {telling.key: telling for telling in TELLINGS}
