"""What a patient may answer for one visit, by the link in a message: that they come, another time, or not at all.

Whoever has the link may ask twice, from two tabs, or a week late. An answer is to one time of the visit: whoever saw
another one has answered another question, and nothing happens.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, get_args

from hub.appointments.board import read_visit
from hub.appointments.changes import read_changes
from hub.appointments.lifecycle import ask_for_another_time, cancel, confirm, lock_appointment
from hub.appointments.states import AHEAD, State
from hub.appointments.tables import Appointment
from hub.errors import FieldError, Invalid
from hub.templates.pattern import UNSEEN
from hub.work import Work

Answer = Literal["confirm", "another_time", "cancel"]
# Not done because: so it stands already; it has moved since they looked; nobody can answer any more.
Result = Literal["done", "already", "moved", "closed"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
LONGEST_NOTE = 500
# Each rings somebody's bell; nobody who means it changes their mind so often.
MOST_ANSWERS = 20


class Standing(StrEnum):
    """How a visit stands in its patient's eyes."""

    WAITING = "waiting"
    MOVED = "moved"  # it has a new time, and waits for an answer
    CONFIRMED = "confirmed"
    ASKED = "asked"  # they asked for another time
    BEGUN = "begun"  # its time has come, or they are there
    OVER = "over"
    PASSED = "passed"  # its time is past, and they were not seen
    CANCELLED = "cancelled"
    WISHED = "wished"  # it does not take place, and they asked for another one


_ALL: frozenset[Answer] = frozenset(ANSWERS)
_WISH: frozenset[Answer] = frozenset({"another_time"})
# What may be answered; what is not named here can be looked at alone.
OPEN: dict[Standing, frozenset[Answer]] = {
    Standing.WAITING: _ALL,
    Standing.MOVED: _ALL,
    Standing.CONFIRMED: _ALL,
    Standing.ASKED: _ALL,
    Standing.PASSED: _WISH,
    Standing.CANCELLED: _WISH,
}
# Answered so already, whichever time of the visit was meant.
SETTLED: dict[Standing, frozenset[Answer]] = {
    Standing.CANCELLED: frozenset({"cancel"}),
    Standing.WISHED: frozenset({"cancel", "another_time"}),
}
# How it stands when an answer has been given.
AFTER: dict[Answer, Standing] = {
    "confirm": Standing.CONFIRMED,
    "another_time": Standing.ASKED,
    "cancel": Standing.CANCELLED,
}
_AHEAD = {State.BOOKED: Standing.WAITING, State.RESCHEDULED: Standing.MOVED, State.CONFIRMED: Standing.CONFIRMED}


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an answer, and the visit as it stands now."""

    result: Result
    appointment: Appointment


def standing_of(appointment: Appointment, now: datetime) -> Standing:
    """How the visit stands at this moment; whether its patient was missed is nobody's business here."""
    state = State(appointment.state)
    if state is State.COMPLETED:
        return Standing.OVER
    is_past = appointment.starts_at + timedelta(minutes=appointment.minutes) <= now
    if state is State.CANCELLED or state is State.NO_SHOW or (state in AHEAD and is_past):
        if appointment.wish:
            return Standing.WISHED
        return Standing.CANCELLED if state is State.CANCELLED else Standing.PASSED
    if state not in AHEAD or appointment.starts_at <= now:
        return Standing.BEGUN
    return Standing.ASKED if appointment.wish else _AHEAD[state]


async def answer(work: Work, appointment_id: uuid.UUID, answer: Answer, occurrence: int, note: str = "") -> Answered:
    """Do what the patient answered, if they saw the visit's time as it is and may still answer.

    `occurrence` is the time they saw. `note` is one line of at most 500 characters: for another time what would suit
    them, for a cancellation why. Raises NotFound, and Invalid for a longer note.
    """
    note = _read_note(note)
    seen = (await read_visit(work.session, appointment_id)).appointment
    result = _judge(seen, answer, occurrence, work.now)
    if result is None and await _was_said_often(work, appointment_id):
        result = "closed"
    if result is None:
        # What stands behind the lock may be newer than what was seen.
        work.session.expunge(seen)
        seen = await lock_appointment(work, appointment_id)
        result = _judge(seen, answer, occurrence, work.now)
    if result is None:
        return Answered("done", await _do(work, appointment_id, answer, note))
    return Answered(result, seen)


async def _was_said_often(work: Work, appointment_id: uuid.UUID) -> bool:
    changes = await read_changes(work.session, appointment_id)
    return sum(each.actor_kind == "patient" for each in changes) >= MOST_ANSWERS


async def _do(work: Work, appointment_id: uuid.UUID, answer: Answer, note: str) -> Appointment:
    match answer:
        case "confirm":
            return await confirm(work, appointment_id)
        case "another_time":
            return await ask_for_another_time(work, appointment_id, note)
        case "cancel":
            return await cancel(work, appointment_id, reason=note)


def _judge(appointment: Appointment, answer: Answer, occurrence: int, now: datetime) -> Result | None:
    standing = standing_of(appointment, now)
    if answer in SETTLED.get(standing, ()):
        return "already"
    if answer not in OPEN.get(standing, ()):
        return "closed"
    if occurrence != appointment.occurrence:
        return "moved"
    return "already" if standing is AFTER[answer] else None


def _read_note(note: str) -> str:
    """The note in one line, without what nobody can see."""
    line = " ".join(UNSEEN.sub("", note).split())
    if len(line) > LONGEST_NOTE:
        accepted = [f"at most {LONGEST_NOTE} characters"]
        raise Invalid("This is too long.", [FieldError("note", f"{len(line)} characters", accepted)])
    return line
