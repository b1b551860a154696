"""Who reads a page, in which language and theme; every route begins here."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.api.auth import house_of, person_by_cookie
from hub.channels.sandbox import NAME as SANDBOX
from hub.console.pages import THEMES, Clinic, Me, Page, Pages
from hub.errors import Forbidden, HubError
from hub.inbox.feed import read_head
from hub.people.roles import ALLOWED, Permission, Role
from hub.people.sessions import Person
from hub.people.tenants import LANGUAGES

LANGUAGE_COOKIE = "hub-language"
THEME_COOKIE = "hub-theme"
YEAR_S = 365 * 24 * 3600

HOME = {Role.ADMIN: "/console/arrivals", Role.FRONT_DESK: "/console/arrivals", Role.PROVIDER: "/console/notifications"}


class SignInFirst(HubError):
    """A page that takes a session; the browser is led to the sign-in page and back."""

    code = "not-signed-in"


def pages_of(request: Request) -> Pages:
    """The templates."""
    pages: Pages = request.app.state.pages
    return pages


async def reader_of(request: Request) -> Person:
    """The person who reads; raises SignInFirst."""
    person = await person_by_cookie(request)
    if person is None:
        raise SignInFirst("Sign in to see this page.")
    request.state.person = person
    return person


def needs(person: Person, permission: Permission) -> None:
    """Raises Forbidden when the person's role does not allow this."""
    if permission not in ALLOWED[person.role]:
        raise Forbidden("Your role does not show this page.")


def language_of(request: Request, person: Person | None = None) -> str:
    """The reader's language: their own, else the one chosen here, else the browser's."""
    if person is not None:
        return person.language
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for part in request.headers.get("accept-language", "")[:200].split(","):
        wanted = part.strip()[:2].lower()
        if wanted in LANGUAGES:
            return wanted
    return LANGUAGES[0]


def page_of(request: Request, person: Person | None, unread: int = 0) -> Page:
    """What every page needs."""
    house = house_of(request)
    theme = request.cookies.get(THEME_COOKIE, "auto")
    query = f"?{request.url.query}" if request.url.query else ""
    me = clinic = None
    if person is not None:
        initials = "".join(word[0] for word in person.name.removeprefix("Dr. ").removeprefix("د. ").split()[:2])
        me = Me(str(person.id), person.name, person.role, person.language, initials, person.shortcuts)
        clinic = Clinic(person.clinic.name, person.clinic.zone.key)
    return Page(
        lang=language_of(request, person),
        path=request.url.path + query if request.method == "GET" else home_of(person),
        now=house.clock(),
        theme=theme if theme in THEMES else "auto",
        me=me,
        clinic=clinic,
        unread=unread,
        idle_seconds=int(house.idle.total_seconds()),
        has_outbox=house.vendors.by_name(SANDBOX) is not None,
    )


async def show(request: Request, template: str, person: Person, *, status: int = 200, **context: Any) -> Response:
    """A page for somebody signed in."""
    async with house_of(request).database.of_tenant(person.tenant) as session:
        unread = (await read_head(session, person.id)).unread
    page = page_of(request, person, unread)
    return HTMLResponse(pages_of(request).render(template, page, **context), status)


def home_of(person: Person | None) -> str:
    """Where somebody's day begins."""
    return HOME[person.role] if person else "/sign-in"


def own_path(wanted: object, otherwise: str) -> str:
    """`wanted` when it is a path on this hub, else `otherwise`: a link never leads off to somewhere else."""
    text = str(wanted or "")
    safe = text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text
    return text if safe else otherwise


def go(path: str) -> RedirectResponse:
    """See other: what was posted is done."""
    return RedirectResponse(quote(path, safe="/?&=%#:+,;@~-._"), 303)


async def read_form(request: Request) -> FormData:
    """The posted form; files are not accepted."""
    return await request.form(max_files=0, max_fields=200)


def text_of(form: FormData, name: str) -> str:
    """One field's text, trimmed; empty when it is not there."""
    return str(form.get(name) or "").strip()
