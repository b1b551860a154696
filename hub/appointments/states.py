"""What an appointment can be, and which moves there are (pure)."""

from __future__ import annotations

from enum import StrEnum

from hub.errors import Conflict


class State(StrEnum):
    """Where a visit stands."""

    BOOKED = "booked"
    ARRIVED = "arrived"


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


MOVES: dict[State, frozenset[State]] = {
    State.BOOKED: frozenset({State.ARRIVED}),
    State.ARRIVED: frozenset(),
}


def check_move(number: str, now: str, to: State) -> None:
    """Raises Conflict, naming the moves that are possible, when an appointment cannot go from `now` to `to`."""
    possible = MOVES[State(now)]
    if to not in possible:
        moves = ", ".join(sorted(possible)) or "none"
        raise Conflict(f"Appointment {number} is {now}; it cannot become {to}. Possible from here: {moves}.")
