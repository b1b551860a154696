"""One visit on a page of its own: how it stands, and its story."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.appointments.board import read_visit
from hub.console.arrivals import row_of
from hub.console.reader import pages_of, reader_of, show
from hub.people.roles import ALLOWED, Permission
from hub.people.story import Told, read_story


async def page(request: Request) -> Response:
    """GET: the visit; a clinician sees their own only."""
    person = await reader_of(request)
    mine = None if Permission.APPOINTMENTS_READ in ALLOWED[person.role] else person.id
    house = house_of(request)
    async with house.database.at_one_moment(person.tenant) as session:
        visit = await read_visit(session, request.path_params["id"], mine)
        told = await read_story(session, "appointment", visit.appointment.id)
    say = pages_of(request).gettext(person.language)
    clinician = {"id": str(visit.appointment.clinician_id), "name": visit.clinician}
    appointment = row_of(visit, house.clock()) | {
        "clinician": clinician,
        "booked_at": visit.appointment.created_at,
        "story": [{"at": each.at, "text": _in_words(say, each), "who": each.who or say("The hub")} for each in told],
    }
    if Permission.APPOINTMENTS_WRITE not in ALLOWED[person.role]:
        appointment["can_arrive"] = False
    return await show(request, "appointment.html", person, appointment=appointment)


def _in_words(_: Callable[[str], str], told: Told) -> str:
    words = {
        "appointment.booked": _("The appointment was booked"),
        "appointment.arrived": _("The patient arrived; the clinician was told"),
    }
    return words.get(told.action, told.action)
