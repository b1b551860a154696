"""Which part of a day the arrivals board shows, and each visit as the board and its own page show it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from hub.appointments.board import MOST_VISITS, Visit, read_version, read_visits
from hub.appointments.recent import read_undoable, read_wishes
from hub.appointments.states import AHEAD, MOVES, State
from hub.appointments.tables import Appointment, AppointmentChange
from hub.console.board_words import Say, done_in_words
from hub.console.pages import address
from hub.crypto import Keys
from hub.errors import Invalid
from hub.people.sessions import Person

PATH = "/console/arrivals"
# How long what was just done stays in sight here, whatever the filters leave, and how long its undo stands out.
STAYS = timedelta(minutes=1)
STANDS_OUT = timedelta(seconds=10)
# What each move is called in the address that makes it.
WAYS = {
    State.CONFIRMED: "confirm",
    State.ARRIVED: "arrive",
    State.IN_PROGRESS: "start",
    State.COMPLETED: "complete",
    State.RESCHEDULED: "move",
    State.CANCELLED: "cancel",
    State.NO_SHOW: "no-show",
}
HAS_COME = frozenset({State.ARRIVED, State.IN_PROGRESS, State.COMPLETED})
OVER = frozenset({State.COMPLETED, State.CANCELLED, State.NO_SHOW})
# The choices of the filter, in the order of a visit's life.
SHOWN: dict[str, Callable[[Appointment], bool]] = {
    "expected": lambda visit: visit.state in AHEAD,
    "wish": lambda visit: visit.wish is not None,
    "arrived": lambda visit: visit.state == State.ARRIVED,
    "in_progress": lambda visit: visit.state == State.IN_PROGRESS,
    "completed": lambda visit: visit.state == State.COMPLETED,
    "cancelled": lambda visit: visit.state == State.CANCELLED,
    "no_show": lambda visit: visit.state == State.NO_SHOW,
}


@dataclass(frozen=True, slots=True)
class View:
    """One day at the clinic, of one clinician or all, in one state or all."""

    day: date
    clinician: str = ""
    state: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], today: date) -> View:
        """What an address asks for; raises Invalid."""
        clinician, state = query.get("clinician", ""), query.get("state", "")
        if state and state not in SHOWN:
            raise Invalid(f"There is no such state. Choose one of: {', '.join(SHOWN)}.")
        return cls(_day(query.get("day", ""), today), str(_id(clinician)) if clinician else "", state)

    @property
    def kept(self) -> dict[str, str]:
        """The view as the query of an address."""
        return {"day": self.day.isoformat(), "clinician": self.clinician, "state": self.state}

    @property
    def url(self) -> str:
        """Where this view is."""
        return address(PATH, self.kept)


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks, when, and what may be taken back: by visit."""

    person: Person
    now: datetime
    undoable: Mapping[uuid.UUID, AppointmentChange]
    wishes: Mapping[uuid.UUID, str | None]
    words: Mapping[str, str]


async def read_board(session: AsyncSession, keys: Keys, person: Person, view: View, now: datetime, say: Say) -> Any:
    """The board as its page shows it: the day's figures, and the visits that the view leaves."""
    since, until = person.clinic.bounds_of(view.day)
    version = await read_version(session)
    everybody = await read_visits(session, since, until)
    undoable = await read_undoable(session, [visit.appointment.id for visit in everybody], now)
    wishing = [visit.appointment.id for visit in everybody if visit.appointment.wish]
    look = Look(person, now, undoable, await read_wishes(session, keys, wishing), done_in_words(say))
    clinicians: dict[str, dict[str, Any]] = {}
    for visit in everybody:
        key = str(visit.appointment.clinician_id)
        clinician = clinicians.setdefault(key, {"id": key, "name": visit.clinician, "visits": 0})
        clinician["visits"] += 1
    theirs = [visit for visit in everybody if view.clinician in ("", str(visit.appointment.clinician_id))]
    expected = [visit for visit in theirs if visit.appointment.state != State.CANCELLED]
    today = person.clinic.today(now)
    return {
        "day": view.day,
        "today": view.day == today,
        "is_ahead": view.day > today,
        "version": version,
        "url": view.url,
        "kept": view.kept,
        "previous": address(PATH, view.kept, day=(view.day - timedelta(days=1)).isoformat()),
        "next": address(PATH, view.kept, day=(view.day + timedelta(days=1)).isoformat()),
        "visits": len(theirs),
        "total": len(expected),
        "arrived": sum(visit.appointment.state in HAS_COME for visit in expected),
        "counts": {name: sum(fits(visit.appointment) for visit in theirs) for name, fits in SHOWN.items()},
        "clinicians": sorted(clinicians.values(), key=lambda each: str(each["name"])),
        "groups": _groups([visit for visit in theirs if _is_shown(visit, view, look)], look),
        "is_cut_off": len(everybody) == MOST_VISITS,
        "problem": "",
        "focus": "",
        "said": "",
    }


def row_of(visit: Visit, now: datetime, look: Look | None = None) -> dict[str, Any]:
    """A visit as the board and its own page show it; `can` names what may be done with it now."""
    found = visit.appointment
    is_ahead = found.state in AHEAD
    can = [way for to, way in WAYS.items() if _may_become(found, to, now)]
    change = look.undoable.get(found.id) if look else None
    return {
        "id": str(found.id),
        "number": found.number,
        "state": found.state,
        "time": found.starts_at,
        "minutes": found.minutes,
        "patient": visit.patient,
        "arrived_at": found.arrived_at,
        "started_at": found.started_at,
        "waited_minutes": _minutes(found.arrived_at, now) if found.state == State.ARRIVED else None,
        "seen_minutes": _minutes(found.started_at, now) if found.state == State.IN_PROGRESS else None,
        "late_minutes": _minutes(found.starts_at, now) or None if is_ahead and found.starts_at < now else None,
        "clearance": found.clearance,
        "consent": found.consent,
        "is_over": found.state in OVER,
        "is_unconfirmed": is_ahead and found.state != State.CONFIRMED,
        "wishes": found.wish is not None,
        "wish": look.wishes.get(found.id) or "" if look else "",
        "can": can,
        "main": _main_of(found, can, look),
        "undo": _undo_of(change, look) if look and change else None,
    }


def _groups(visits: list[Visit], look: Look) -> list[dict[str, Any]]:
    """Rows by clinician, each group by time."""
    groups: dict[str, dict[str, Any]] = {}
    for visit in visits:
        clinician = str(visit.appointment.clinician_id)
        group = groups.setdefault(clinician, {"clinician": {"id": clinician, "name": visit.clinician}, "rows": []})
        group["rows"].append(row_of(visit, look.now, look))
    return sorted(groups.values(), key=lambda group: str(group["clinician"]["name"]))


def _is_shown(visit: Visit, view: View, look: Look) -> bool:
    if not view.state or SHOWN[view.state](visit.appointment):
        return True
    change = look.undoable.get(visit.appointment.id)
    return change is not None and change.actor_id == look.person.id and look.now - change.at < STAYS


def _undo_of(change: AppointmentChange, look: Look) -> dict[str, Any]:
    is_fresh = change.actor_id == look.person.id and look.now - change.at < STANDS_OUT
    return {"change": change.id, "word": look.words[change.event], "at": change.at, "is_fresh": is_fresh}


def _main_of(visit: Appointment, can: list[str], look: Look | None) -> str | None:
    """The step that comes next: nobody arrives for a visit of another day, but they may say that they come."""
    if visit.state not in AHEAD:
        return {State.ARRIVED: "start", State.IN_PROGRESS: "complete"}.get(State(visit.state))
    if look is not None and look.person.clinic.today(visit.starts_at) > look.person.clinic.today(look.now):
        return "confirm" if "confirm" in can else None
    return "arrive"


def _may_become(visit: Appointment, to: State, now: datetime) -> bool:
    """Nobody has missed what has not begun; and who asked for another time may still say yes to this one."""
    if to == visit.state == State.CONFIRMED:
        return visit.wish is not None
    return to in MOVES[State(visit.state)] and (to != State.NO_SHOW or visit.starts_at <= now)


def _minutes(since: datetime | None, now: datetime) -> int | None:
    return max(0, int((now - since).total_seconds() // 60)) if since else None


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Invalid("There is no such clinician.") from error


def _day(wanted: str, today: date) -> date:
    if not wanted:
        return today
    try:
        day = date.fromisoformat(wanted)
        datetime(day.year - 1, 1, 1, tzinfo=UTC), datetime(day.year + 1, 1, 1, tzinfo=UTC)
    except ValueError as error:
        raise Invalid("There is no such day. Days are written YYYY-MM-DD.") from error
    return day
