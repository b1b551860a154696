"""One visit on a page of its own: how it stands, what may be done with it, and its story with what lies ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.appointments.board import Visit, read_visit
from hub.appointments.confirmation import make_token
from hub.appointments.planned_rows import Kind
from hub.appointments.recent import read_undoable
from hub.appointments.reminders import read_ahead
from hub.appointments.states import AHEAD
from hub.appointments.story import Changed, Place, Planned, Story, Told, Written, read_story
from hub.appointments.tellings import Event, Recipient
from hub.console.appointment_words import (
    WAY_ICONS,
    Say,
    events_in_words,
    fates_in_words,
    look_of,
    reason_of,
    recipients_in_words,
    ways_in_words,
    why,
)
from hub.console.board_view import OVER, row_of
from hub.console.board_view import Look as Eye
from hub.console.board_words import done_in_words
from hub.console.message_words import Words
from hub.console.reader import pages_of, reader_of, show
from hub.console.words import who_did
from hub.messages.states import SETTLED
from hub.people.roles import ALLOWED, Permission
from hub.people.sessions import Person


@dataclass(frozen=True, slots=True)
class _Teller:
    """Tells a story in one reader's words; who may not read messages sees what became of them, and no more."""

    say: Say
    words: Words
    person: Person
    patient: str

    @property
    def _reads(self) -> bool:
        return Permission.MESSAGES_READ in ALLOWED[self.person.role]

    def happened(self, story: Story) -> list[dict[str, Any]]:
        """Every paragraph, oldest first."""
        events = events_in_words(self.say)
        undid = {each.undone_at: each for each in story.happened if isinstance(each, Changed) and each.undone_at}
        return [self._paragraph(each, events, undid) for each in story.happened]

    def planned(self, each: Planned, now: datetime) -> dict[str, Any]:
        """Something planned: a reminder by how long ahead it is, or that the patient was missed."""
        ahead = read_ahead(each.ahead) if each.kind == Kind.REMINDER else None
        return {
            "kind": each.kind,
            "days": ahead.days if ahead else 0,
            "minutes": ahead.minutes if ahead else 0,
            "due_at": each.due_at,
            "is_late": each.due_at <= now,
            "look": fates_in_words(self.say)[each.state],
            "reason": why(self.say, each.reason),
        }

    def _paragraph(
        self, each: Changed | Planned | Written, events: dict[str, str], undid: dict[datetime, Changed]
    ) -> dict[str, Any]:
        shared = {"at": each.at, "who": "", "said": "", "undone_at": None, "dropped": [], "undid": None, "moved": None}
        shared["told"] = [self._told(told, each.at) for told in each.told]
        if isinstance(each, Planned):
            return shared | self.planned(each, each.at)
        shared["who"] = who_did(self.say, each.actor_kind, each.who)
        if isinstance(each, Written):
            return shared | {"kind": "written", "head": self.say("A message about the visit")}
        back = undid.get(each.at) if each.event is Event.UNDONE else None
        return shared | {
            "kind": each.event,
            "head": events[each.event],
            "said": self.say("The words cannot be read: their key is missing") if each.said is None else each.said,
            "undone_at": each.undone_at,
            "undid": {"head": events[back.event], "at": back.at} if back else None,
            "moved": _moved(each.was, each.became) if each.was and each.became else None,
            "dropped": [self.planned(planned, each.at) for planned in each.dropped],
        }

    def _told(self, told: Told, at: datetime) -> dict[str, Any]:
        may_open = self._reads and told.message is not None
        return {
            "to": self.patient if told.to is Recipient.PATIENT else told.who or recipients_in_words(self.say)[told.to],
            "over": self.words.channels[told.channel] if told.channel else ways_in_words(self.say)[told.over],
            "icon": f"channel-{told.channel}" if told.channel else WAY_ICONS[told.over],
            "look": look_of(self.say, self.words, told),
            "reason": self._reason(told),
            "link": f"/console/messages/{told.message}" if may_open else "",
            "goes_on": told.message is not None and told.state not in SETTLED,
            "people": told.people,
            "seen": told.seen,
            "at": told.at if told.at != at else None,
        }

    def _reason(self, told: Told) -> str:
        """Why somebody's own choices kept a message back is not for everybody to read."""
        if told.message is not None and not self._reads:
            return ""
        return reason_of(self.say, self.words, told, self.person.clinic.zone)


async def page(request: Request) -> Response:
    """GET: the visit; a clinician sees their own only."""
    person = await reader_of(request)
    allowed = ALLOWED[person.role]
    mine = None if Permission.APPOINTMENTS_READ in allowed else person.id
    house = house_of(request)
    now = house.clock()
    async with house.database.at_one_moment(person.tenant) as session:
        visit = await read_visit(session, request.path_params["id"], mine)
        found = visit.appointment
        story = await read_story(session, house.keys, found.id)
        undoable = await read_undoable(session, [found.id], now)
    say = pages_of(request).gettext(person.language)
    teller = _Teller(say, Words(say, person.language), person, visit.patient)
    appointment = row_of(visit, now, Eye(person, now, undoable, {}, done_in_words(say)))
    told_of = teller.happened(story)
    appointment |= _facts(visit, story) | {
        "goes_on": found.state not in OVER or any(told["goes_on"] for each in told_of for told in each["told"]),
        "story": told_of,
        "ahead": [teller.planned(each, now) for each in story.ahead],
        "patient_link": f"/console/patients/{found.patient_id}" if Permission.PATIENTS_READ in allowed else "",
        "may_read_rules": Permission.APPOINTMENTS_READ in allowed,
        "link": "",
    }
    if Permission.APPOINTMENTS_WRITE not in allowed:
        appointment |= {"can": [], "undo": None}
    elif found.state in AHEAD:
        appointment["link"] = f"{house.settings.public_url}/v/{make_token(house.keys, found, now)}"
    return await show(request, "appointment.html", person, appointment=appointment)


def _facts(visit: Visit, story: Story) -> dict[str, Any]:
    """How the visit stands, and what was said of it last."""
    found = visit.appointment
    standing = [each for each in story.happened if isinstance(each, Changed) and each.undone_at is None]
    was = next((each.was for each in reversed(standing) if each.event is Event.RESCHEDULED), None)
    last = {each.event: each.said or "" for each in standing}
    return {
        "clinician": visit.clinician,
        "external_id": found.external_id,
        "is_expected": found.state in AHEAD,
        "old_time": was.starts_at if was and was.starts_at != found.starts_at else None,
        "reason": last.get(Event.CANCELLED) or last.get(Event.RESCHEDULED, ""),
        "wish": last.get(Event.WISH, "") if found.wish else "",
        "booked_at": found.created_at,
        "confirmed_at": found.confirmed_at,
        "ended_at": found.ended_at,
    }


def _moved(was: Place, became: Place) -> dict[str, Any]:
    """From when to when, and to whom where that changed."""
    to = became.clinician if became.clinician != was.clinician else ""
    return {"was": was.starts_at, "became": became.starts_at, "to": to, "same_time": was.starts_at == became.starts_at}
