"""The reader's own settings and sessions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hub.api.auth import house_of
from hub.console.reader import go, read_form, reader_of, show, text_of
from hub.people import sessions
from hub.people.staff import set_shortcuts
from hub.work import Actor


async def page(request: Request) -> Response:
    """GET: language, theme, shortcuts, and where the reader is signed in."""
    person = await reader_of(request)
    house = house_of(request)
    async with house.database.of_tenant(person.tenant) as session:
        found = await sessions.list_open(session, person.id, house.clock(), house.idle)
    shown = [
        {
            "id": str(each.id),
            "created_at": each.created_at,
            "last_seen_at": each.last_used_at,
            "current": each.id == person.session,
            "device": device_in_words(each.device),
        }
        for each in found
    ]
    return await show(request, "account.html", person, sessions=shown)


async def choose_shortcuts(request: Request) -> Response:
    """POST: single-key shortcuts on or off."""
    person = await reader_of(request)
    form = await read_form(request)
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        await set_shortcuts(work, person.id, on=text_of(form, "shortcuts") == "on")
    return go("/console/account")


def device_in_words(user_agent: str) -> str:
    """Browser and system, as far as they can be told from what the browser says of itself."""
    browsers = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"))
    more = (("Mac OS", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))
    browser = next((name for mark, name in browsers if mark in user_agent), user_agent.split("/", maxsplit=1)[0][:40])
    system = next((name for mark, name in (*systems, *more) if mark in user_agent), "")
    return f"{browser} · {system}" if system else browser
