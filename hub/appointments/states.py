"""What an appointment can be, and which moves there are (pure)."""

from __future__ import annotations

from enum import StrEnum

from hub.errors import Conflict


class State(StrEnum):
    """Where a visit stands."""

    BOOKED = "booked"
    CONFIRMED = "confirmed"  # the patient said yes to this time
    RESCHEDULED = "rescheduled"  # it has a new time, which nobody has confirmed yet
    ARRIVED = "arrived"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Clearance(StrEnum):
    """Whether the visit is paid for or covered."""

    CLEARED = "cleared"
    PENDING = "pending"
    ISSUE = "issue"


class Consent(StrEnum):
    """Whether the patient's consent form is in order."""

    SIGNED = "signed"
    MISSING = "missing"
    EXPIRED = "expired"


# Who was missed may still come late, or be given another time; who has left without being seen is cancelled.
MOVES: dict[State, frozenset[State]] = {
    State.BOOKED: frozenset({State.CONFIRMED, State.RESCHEDULED, State.ARRIVED, State.CANCELLED, State.NO_SHOW}),
    State.CONFIRMED: frozenset({State.RESCHEDULED, State.ARRIVED, State.CANCELLED, State.NO_SHOW}),
    State.RESCHEDULED: frozenset({State.CONFIRMED, State.RESCHEDULED, State.ARRIVED, State.CANCELLED, State.NO_SHOW}),
    State.ARRIVED: frozenset({State.IN_PROGRESS, State.COMPLETED, State.CANCELLED}),
    State.IN_PROGRESS: frozenset({State.COMPLETED}),
    State.COMPLETED: frozenset(),
    State.CANCELLED: frozenset(),
    State.NO_SHOW: frozenset({State.ARRIVED, State.RESCHEDULED}),
}
# The patient is still to come: these are reminded, and may answer.
AHEAD = frozenset({State.BOOKED, State.CONFIRMED, State.RESCHEDULED})
# Whoever did not come may still wish for a time.
MAY_WISH = AHEAD | {State.CANCELLED, State.NO_SHOW}


def check_move(number: str, now: str, to: State) -> None:
    """Raises Conflict, naming the moves that are possible, when an appointment cannot go from `now` to `to`."""
    possible = MOVES[State(now)]
    if to not in possible:
        moves = ", ".join(sorted(possible)) or "none"
        raise Conflict(f"Appointment {number} is {now}; it cannot become {to}. Possible from here: {moves}.")
