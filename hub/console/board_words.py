"""What the arrivals board calls states, clicks that can be taken back, and the usual reasons."""

from __future__ import annotations

from collections.abc import Callable

from hub.appointments.states import State
from hub.appointments.tellings import Event

Say = Callable[[str], str]


def states_in_words(_: Say) -> dict[str, str]:
    """What each state is called."""
    return {
        State.BOOKED: _("Booked"),
        State.CONFIRMED: _("Confirmed"),
        State.RESCHEDULED: _("Rescheduled"),
        State.ARRIVED: _("Arrived"),
        State.IN_PROGRESS: _("In progress"),
        State.COMPLETED: _("Completed"),
        State.CANCELLED: _("Cancelled"),
        State.NO_SHOW: _("No-show"),
    }


def done_in_words(_: Say) -> dict[str, str]:
    """What a click has done, as the offer to take it back says it."""
    return {
        Event.CONFIRMED: _("Confirmed"),
        Event.RESCHEDULED: _("Moved"),
        Event.ARRIVED: _("Marked as arrived"),
        Event.IN_PROGRESS: _("Started"),
        Event.COMPLETED: _("Completed"),
        Event.CANCELLED: _("Cancelled"),
        Event.NO_SHOW: _("Marked as no-show"),
    }


def cancel_reasons(_: Say) -> dict[str, str]:
    """Why visits are usually cancelled; the patient reads it in their own language."""
    return {
        "patient": _("At the patient’s request"),
        "clinician": _("The clinician is not available"),
        "closed": _("The clinic is closed at that time"),
        "mistake": _("Booked by mistake"),
    }


def move_reasons(_: Say) -> dict[str, str]:
    """Why visits are usually moved; the patient reads it in their own language."""
    return {
        "patient": _("At the patient’s request"),
        "clinician": _("The clinician is not available then"),
        "delay": _("The clinic is running late"),
    }


def forms_in_words(_: Say) -> dict[str, tuple[str, str]]:
    """What each form of the board is called, and the button that sends it."""
    return {
        "book": (_("Book a visit"), _("Book")),
        "move": (_("Move the visit"), _("Move")),
        "cancel": (_("Cancel the visit"), _("Cancel the visit")),
        "complete": (_("Complete the visit"), _("Complete")),
    }
